#include "utf8.h"

#include <string.h>

#include "xalloc.h"
#include "banned.h"

size_t utf8_take(const char *s, size_t len, uint32_t *point)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	const unsigned char *u = (const unsigned char *)s;
	size_t need = u[0] < 0x80             ? 1
		      : (u[0] & 0xe0) == 0xc0 ? 2
		      : (u[0] & 0xf0) == 0xe0 ? 3
		      : (u[0] & 0xf8) == 0xf0 ? 4
					      : 0;
	uint32_t value = need == 1 ? u[0] : u[0] & (0x7fU >> need);

	*point = UTF8_REPLACEMENT;
	if (need == 0 || need > len)
		return 1;
	for (size_t i = 1; i < need; i++) {
		if ((u[i] & 0xc0) != 0x80)
			return 1;
		value = value << 6 | (u[i] & 0x3fU);
	}
	if (value < least[need] || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
		return 1;
	*point = value;
	return need;
}

bool utf8_is_control(uint32_t point)
{
	return point < 0x20 || (point >= 0x7f && point <= 0x9f) || point == 0x2028 || point == 0x2029;
}

char *utf8_mend(const char *s, size_t len)
{
	size_t wrong = 0, to = 0;
	uint32_t point;

	for (size_t i = 0, size; i < len; i += size) {
		size = (unsigned char)s[i] < 0x80 ? 1 : utf8_take(s + i, len - i, &point);
		wrong += size == 1 && (unsigned char)s[i] >= 0x80;
	}
	if (!wrong)
		return NULL;
	char *out = xmalloc(len + wrong * strlen(UTF8_REPLACEMENT_TEXT) + 1);
	for (size_t i = 0, size; i < len; i += size) {
		size = utf8_take(s + i, len - i, &point);
		bool bad = size == 1 && (unsigned char)s[i] >= 0x80;
		size_t more = bad ? strlen(UTF8_REPLACEMENT_TEXT) : size;
		memcpy(out + to, bad ? UTF8_REPLACEMENT_TEXT : s + i, more);
		to += more;
	}
	out[to] = '\0';
	return out;
}
