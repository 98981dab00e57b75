#include "page_colour.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "banned.h"

/* Of page.css: the grounds that text in the colour stands on, the harder one of each scheme. */
static const struct colour light_ground = {0xf4, 0xf5, 0xf7}, dark_ground = {0x1c, 0x21, 0x27};
static const struct colour white = {255, 255, 255}, black = {0, 0, 0};

static int hex(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

bool colour_parse(const char *text, struct colour *out)
{
	int digits[6];
	size_t len = strlen(text);

	if (*text != '#' || (len != 4 && len != 7))
		return false;
	for (size_t i = 0; i < 6; i++) {
		digits[i] = hex(text[1 + (len == 4 ? i / 2 : i)]);
		if (digits[i] < 0)
			return false;
	}
	*out = (struct colour){digits[0] * 16 + digits[1], digits[2] * 16 + digits[3],
			       digits[4] * 16 + digits[5]};
	return true;
}

static double channel_luminance(int value)
{
	double part = value / 255.0;

	return part <= 0.04045 ? part / 12.92 : pow((part + 0.055) / 1.055, 2.4);
}

static double luminance(struct colour c)
{
	return 0.2126 * channel_luminance(c.red) + 0.7152 * channel_luminance(c.green) +
	       0.0722 * channel_luminance(c.blue);
}

double colour_contrast(struct colour a, struct colour b)
{
	double one = luminance(a), other = luminance(b);

	return one > other ? (one + 0.05) / (other + 0.05) : (other + 0.05) / (one + 0.05);
}

static int between(int from, int to, int step)
{
	return from + (to - from) * step / 100;
}

struct colour colour_readable(struct colour colour, struct colour ground)
{
	struct colour towards = luminance(ground) > 0.18 ? black : white, made = colour;

	for (int step = 1; step <= 100 && colour_contrast(made, ground) < COLOUR_CONTRAST; step++)
		made = (struct colour){between(colour.red, towards.red, step),
				       between(colour.green, towards.green, step),
				       between(colour.blue, towards.blue, step)};
	return made;
}

static void add(struct text *out, const char *name, struct colour c)
{
	text_addf(out, "--%s:#%02x%02x%02x;", name, (unsigned)c.red, (unsigned)c.green, (unsigned)c.blue);
}

static struct colour upon(struct colour c)
{
	return colour_contrast(c, white) >= colour_contrast(c, black) ? white : black;
}

void colour_css(struct colour company, struct text *out)
{
	struct colour light = colour_readable(company, light_ground);
	struct colour dark = colour_readable(company, dark_ground);

	text_puts(out, ":root{");
	add(out, "company", company);
	add(out, "accent", light);
	add(out, "on-accent", upon(light));
	text_puts(out, "}\n@media (prefers-color-scheme: dark){:root{");
	add(out, "accent", dark);
	add(out, "on-accent", upon(dark));
	text_puts(out, "}}\n");
}
