#include "sms_text.h"

#include <string.h>

#include "banned.h"

bool sms_text_is_gsm(const char *text)
{
	static const char ascii[] = "\n\f\r !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_"
				    "abcdefghijklmnopqrstuvwxyz{|}~";
	static const char *const others[] = {"£", "¥", "è", "é", "ù", "ì", "ò", "Ç", "Ø", "ø",
					     "Å", "å", "Δ", "Φ", "Γ", "Λ", "Ω", "Π", "Ψ", "Σ",
					     "Θ", "Ξ", "Æ", "æ", "ß", "É", "¤", "¡", "Ä", "Ö",
					     "Ñ", "Ü", "§", "¿", "ä", "ö", "ñ", "ü", "à", "€"};
	const size_t count = sizeof others / sizeof others[0];

	while (*text) {
		size_t i = 0;
		if (strchr(ascii, *text)) {
			text++;
			continue;
		}
		while (i < count && strncmp(text, others[i], strlen(others[i])) != 0)
			i++;
		if (i == count)
			return false;
		text += strlen(others[i]);
	}
	return true;
}
