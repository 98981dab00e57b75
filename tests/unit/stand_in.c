#include <string.h>
#include "product.h"
__attribute__((weak)) bool product_offers(const struct product *product, const char *channel)
{
	for (size_t i = 0; i < product->channel_count; i++)
		if (strcmp(product->channels[i], channel) == 0)
			return true;
	return false;
}
