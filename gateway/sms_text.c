#include "sms_text.h"

#include <stdint.h>
#include <string.h>

#include "utf8.h"
#include "banned.h"

/* In the default alphabet or its extension: one septet, or two with the escape; 0: in neither (23.038
 * sections 6.2.1 and 6.2.1.1). */
static size_t septets(uint32_t c)
{
	static const uint32_t beyond_ascii[] = {
		0xa1,  0xa3,  0xa4,  0xa5,  0xa7,  0xbf,                /* ¡ £ ¤ ¥ § ¿ */
		0xc4,  0xc5,  0xc6,  0xc7,  0xc9,  0xd1,  0xd6,  0xd8,  /* Ä Å Æ Ç É Ñ Ö Ø */
		0xdc,  0xdf,  0xe0,  0xe4,  0xe5,  0xe6,  0xe8,  0xe9,  /* Ü ß à ä å æ è é */
		0xec,  0xf1,  0xf2,  0xf6,  0xf8,  0xf9,  0xfc,         /* ì ñ ò ö ø ù ü */
		0x393, 0x394, 0x398, 0x39b, 0x39e, 0x3a0, 0x3a3, 0x3a6, /* Γ Δ Θ Λ Ξ Π Σ Φ */
		0x3a8, 0x3a9,                                           /* Ψ Ω */
	};

	if (c == 0x20ac || (c && c < 0x80 && strchr("\f[\\]^{|}~", (int)c))) /* the euro sign */
		return 2;
	if (c < 0x80)
		return c == '\n' || c == '\r' || (c >= ' ' && c != '`' && c != 0x7f);
	for (size_t i = 0; i < sizeof beyond_ascii / sizeof beyond_ascii[0]; i++)
		if (beyond_ascii[i] == c)
			return 1;
	return 0;
}

static size_t units(enum sms_alphabet alphabet, uint32_t c)
{
	return alphabet == SMS_GSM ? septets(c) : c > 0xffff ? 2 : 1;
}

bool sms_text_is_gsm(const char *text)
{
	const char *end = text + strlen(text);
	uint32_t c;

	while (text < end) {
		text += utf8_take(text, (size_t)(end - text), &c);
		if (!septets(c))
			return false;
	}
	return true;
}

/* One walk over the text with `room` units a segment. */
static struct sms_count split(const char *text, enum sms_alphabet alphabet, size_t room, size_t ends[],
			      size_t max)
{
	struct sms_count count = {.alphabet = alphabet, .segments = 1};
	size_t len = strlen(text), used = 0, at = 0;
	uint32_t c;

	while (at < len) {
		size_t bytes = utf8_take(text + at, len - at, &c), more = units(alphabet, c);
		if (used + more > room) {
			if (count.segments <= max)
				ends[count.segments - 1] = at;
			count.segments++;
			used = 0;
		}
		used += more;
		count.units += more;
		at += bytes;
	}
	if (count.segments <= max)
		ends[count.segments - 1] = at;
	return count;
}

static struct sms_count count_and_split(const char *text, size_t ends[], size_t max)
{
	bool gsm = sms_text_is_gsm(text);
	enum sms_alphabet alphabet = gsm ? SMS_GSM : SMS_UCS2;
	struct sms_count count = split(text, alphabet, gsm ? SMS_GSM_ALONE : SMS_UCS2_ALONE, ends, max);

	if (count.segments > 1)
		count = split(text, alphabet, gsm ? SMS_GSM_PART : SMS_UCS2_PART, ends, max);
	return count;
}

struct sms_count sms_text_count(const char *text)
{
	return count_and_split(text, NULL, 0);
}

size_t sms_text_split(const char *text, size_t ends[], size_t max)
{
	return count_and_split(text, ends, max).segments;
}
