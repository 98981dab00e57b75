/* Route: a link to a customer's page, for an application that logged the customer in by itself, or for
 * whoever speaks with one. */
#include <string.h>

#include "api_private.h"
#include "link.h"
#include "banned.h"

struct link_wanted {
	const char *level, *product;
};

/* False, and answered. */
static bool read_wanted(struct call *call, struct link_wanted *out)
{
	const struct call_word words[] = {{"level", false, &out->level}, {"product", false, &out->product}};

	*out = (struct link_wanted){.level = "choose", .product = ""};
	if (!call_words(call, words, sizeof words / sizeof words[0]))
		return false;
	if (strcmp(out->level, "choose") != 0 && strcmp(out->level, "full") != 0)
		call_problem(call, 422, "level: is neither choose nor full");
	else if (*out->product && !product_find(call->api->config->products, out->product))
		call_problem(call, 422, "product: %s is not in the products file", out->product);
	return !call->response->status;
}

static json_t *link_made(const struct config *config, const struct customer *customer,
			 const struct link_wanted *wanted)
{
	const bool full = strcmp(wanted->level, "full") == 0;
	const struct link link = {.kind = full ? LINK_FULL : LINK_CHOOSE,
				  .customer = customer->n,
				  .product = link_product(wanted->product),
				  .expires_at = moment_now() + (full ? LINK_FULL_KEEP : LINK_CHOOSE_KEEP)};
	char expires_at[MOMENT_TEXT];
	struct text url;

	text_init(&url, LINK_URL_MAX);
	link_url(config->links, &link, customer->id, &url);
	moment_format(link.expires_at, expires_at);
	json_t *answer = json_pack("{s:s, s:s, s:s, s:s*, s:s}", "customer", customer->id, "level",
				   wanted->level, "url", url.data, "product",
				   *wanted->product ? wanted->product : NULL, "expires_at", expires_at);
	text_release(&url);
	return answer;
}

void api_link(struct call *call)
{
	const struct config *config = call->api->config;
	struct customer_view view = {0};
	struct link_wanted wanted;

	if (!read_wanted(call, &wanted))
		return;
	if (!config->links)
		call_problem(call, 409,
			     "http.public: is not in the configuration, so there is no page to link to");
	else if (customer_view_read(call, call->args[0], &view))
		call_answer(call, 200, link_made(config, view.customer, &wanted));
	customer_view_release(&view);
}
