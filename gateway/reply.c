#include "reply.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "reply_private.h"
#include "sms_text.h"
#include "utf8.h"
#include "banned.h"

/* --- folding --- */

/* U+00C0 to U+017F without their accents, by Unicode's decompositions; ' ' for what is no letter there. */
static const char plain_latin[] = "aaaaaaaceeeeiiiidnooooo ouuuuyts" /* 00C0 */
				  "aaaaaaaceeeeiiiidnooooo ouuuuyty" /* 00E0 */
				  "aaaaaaccccccccddddeeeeeeeeeegggg" /* 0100 */
				  "gggghhhhiiiiiiiiiiiijjkkklllllll" /* 0120 */
				  "lllnnnnnnnnnoooooooorrrrrrssssss" /* 0140 */
				  "ssttttttuuuuuuuuuuuuwwyyyzzzzzzs" /* 0160 */;

#define LATIN_FIRST 0xc0U
#define LATIN_LAST 0x17fU

/* Seen by nobody, or a mark on the letter before it: as if it were not there. */
static bool is_unseen(uint32_t point)
{
	return (point >= 0x300 && point <= 0x36f) || point == 0xad || point == 0x61c || point == 0x180e ||
	       (point >= 0x200b && point <= 0x200f) || (point >= 0x202a && point <= 0x202e) ||
	       (point >= 0x2060 && point <= 0x206f) || (point >= 0xfe00 && point <= 0xfe0f) ||
	       point == 0xfeff || (point >= 0xe0000 && point <= 0xe0fff);
}

/* Punctuation, symbols, spaces, emoji: what may stand around a word. */
static bool is_between(uint32_t point)
{
	static const uint32_t ranges[][2] = {
		{0x80, 0xa9},     {0xab, 0xb1},     {0xb4, 0xb8},     {0xbb, 0xbf},      {0xd7, 0xd7},
		{0xf7, 0xf7},     {0x2b9, 0x2df},   {0x1680, 0x1680}, {0x2000, 0x206f},  {0x20a0, 0x20cf},
		{0x20d0, 0x20ff}, {0x2100, 0x2bff}, {0x2e00, 0x2e7f}, {0x3000, 0x303f},  {0x30fb, 0x30fb},
		{0xfe10, 0xfe6f}, {0xff5f, 0xff65}, {0xffe0, 0xffff}, {0x1f000, 0x1fbff}};

	for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
		if (point >= ranges[i][0] && point <= ranges[i][1])
			return true;
	return false;
}

static bool is_alphanumeric(uint32_t point)
{
	return (point >= 'a' && point <= 'z') || (point >= '0' && point <= '9');
}

/* A character as it is compared: ' ' between words, 0 for nothing. */
static uint32_t fold_point(uint32_t point)
{
	if (point >= 0xff01 && point <= 0xff5e) /* full width */
		point = point - 0xff01 + '!';
	if (point >= 'A' && point <= 'Z')
		return point - 'A' + 'a';
	if (point < 0x80)
		return is_alphanumeric(point) ? point : ' ';
	if (is_unseen(point))
		return 0;
	if (point >= LATIN_FIRST && point <= LATIN_LAST)
		return (unsigned char)plain_latin[point - LATIN_FIRST];
	if (point == 0x1e9e) /* capital ß */
		return 's';
	if (point == 0x218 || point == 0x219)
		return 's';
	if (point == 0x21a || point == 0x21b)
		return 't';
	return is_between(point) ? ' ' : point;
}

static void add_point(struct text *out, uint32_t point, const char *s, size_t size)
{
	if (point < 0x80)
		text_putc(out, (char)point);
	else
		text_add(out, s, size); /* a letter of another script, as it is */
}

void reply_fold(const char *text, struct text *out)
{
	size_t len = strlen(text), size = 0, begun = out->len;
	bool gap = false;

	for (const char *s = text; len; s += size, len -= size) {
		uint32_t point;
		size = utf8_take(s, len, &point);
		uint32_t folded = fold_point(point);
		if (folded == ' ')
			gap = true;
		if (folded == ' ' || !folded)
			continue;
		if (gap && out->len > begun)
			text_putc(out, ' ');
		gap = false;
		add_point(out, folded, s, size);
		if (point == 0xdf || point == 0x1e9e)
			text_putc(out, 's');
	}
}

bool reply_same(const char *folded, const char *other)
{
	for (;; folded++, other++) {
		folded += strspn(folded, " ");
		other += strspn(other, " ");
		if (*folded != *other)
			return false;
		if (!*folded)
			return true;
	}
}

/* --- deciding --- */

/* The keyword that the text is, or begins with: then *rest is what follows. The longest. NULL: none. */
static const struct reply_word *find_word(const struct reply_set *set, const char *folded, const char **rest)
{
	const struct reply_word *found = NULL;
	size_t longest = 0;

	for (size_t i = 0; i < set->word_count; i++) {
		const char *word = set->words[i].folded;
		size_t len = strlen(word);
		if (len <= longest || strncmp(folded, word, len) != 0 || (folded[len] && folded[len] != ' '))
			continue;
		found = &set->words[i];
		longest = len;
	}
	*rest = found ? folded + longest + (folded[longest] == ' ') : folded;
	return found;
}

static void refuse(struct reply_decision *out, enum reply_words words)
{
	out->refused = true;
	out->words = words;
}

static void decide_product(const struct reply_word *word, const struct reply_facts *facts,
			   struct reply_decision *out)
{
	bool may_stop = facts->may_stop(facts->context, out->product);

	switch (word->verb) {
	case VERB_STOP:
		out->action = REPLY_STOPS_PRODUCT;
		out->words = WORDS_PRODUCT_STOPPED;
		if (!may_stop)
			refuse(out, WORDS_KEPT);
		break;
	case VERB_LATER:
		out->action = REPLY_PAUSES;
		out->words = WORDS_PAUSED;
		if (!may_stop)
			refuse(out, WORDS_KEPT);
		break;
	case VERB_CHANNEL:
		out->action = REPLY_MOVES;
		out->channel = word->channel;
		out->words = WORDS_MOVED;
		if (!facts->reaches(facts->context, out->product, out->channel))
			refuse(out, WORDS_NOT_MOVED);
		break;
	case VERB_WHY:
		out->action = REPLY_EXPLAINS;
		out->words = WORDS_WHY;
		break;
	case VERB_START:
	case VERB_HELP:
	case REPLY_VERBS:
		*out = (struct reply_decision){.action = REPLY_PASSES_ON};
		break;
	}
}

static void decide(const struct reply_set *set, const char *folded, const struct reply_facts *facts,
		   struct reply_decision *out)
{
	static const struct {
		enum reply_action action;
		enum reply_words words;
	} alone[] = {[VERB_STOP] = {REPLY_STOPS, WORDS_STOPPED},
		     [VERB_START] = {REPLY_OPENS, WORDS_OPENED},
		     [VERB_HELP] = {REPLY_HELPS, WORDS_HELP}};
	const char *rest;
	const struct reply_word *word = find_word(set, folded, &rest);

	if (!word)
		return;
	if (*rest) {
		out->product = facts->product_called(facts->context, rest);
		/* why another message came is not asked for here */
		if (!out->product || (word->verb == VERB_WHY &&
				      (!facts->product || strcmp(out->product, facts->product) != 0))) {
			out->product = NULL;
			return;
		}
	} else if (word->verb <= VERB_HELP) {
		out->action = alone[word->verb].action;
		out->words = alone[word->verb].words;
	} else {
		out->product = facts->product;
	}
	if (out->product)
		decide_product(word, facts, out);
	if (out->action != REPLY_PASSES_ON)
		out->keyword = reply_verb_name(word->verb);
}

void reply_decide(const struct reply_set *set, const char *text, const struct reply_facts *facts,
		  struct reply_decision *out)
{
	struct text folded;

	*out = (struct reply_decision){.action = REPLY_PASSES_ON};
	if (strlen(text) > REPLY_LOOKED_AT)
		return;
	text_init(&folded, (size_t)2 * REPLY_LOOKED_AT);
	reply_fold(text, &folded);
	if (folded.len && !folded.full)
		decide(set, folded.data, facts, out);
	text_release(&folded);
}

/* --- answers --- */

static const struct reply_language *language_of(const struct reply_set *set, const char *locale)
{
	size_t len = strcspn(locale, "-");

	for (size_t i = 0; i < set->language_count; i++)
		if (strlen(set->languages[i].name) == len &&
		    strncasecmp(set->languages[i].name, locale, len) == 0)
			return &set->languages[i];
	return NULL;
}

/* Cut to one short message, at a character's end. */
static void cut_to_one(struct text *text)
{
	if (sms_text_count(text->data).segments <= 1)
		return;
	bool gsm = sms_text_is_gsm(text->data);
	size_t most = gsm ? SMS_GSM_ALONE : (size_t)3 * SMS_UCS2_ALONE; /* bytes that could be one */
	do {
		text->len = text->len > most ? most : text->len - 1;
		while (text->len && ((unsigned char)text->data[text->len] & 0xc0) == 0x80)
			text->len--;
		text->data[text->len] = '\0';
	} while (sms_text_count(text->data).segments > 1);
}

void reply_render(const struct reply_set *set, const char *locale, const char *fallback,
		  enum reply_words words, json_t *data, struct text *out)
{
	const struct reply_language *language = language_of(set, locale);
	json_t *const stack[] = {data};

	language = language ? language : language_of(set, fallback);
	language = language ? language : language_of(set, "en");
	language = language ? language : set->languages;
	text_clear(out);
	mustache_render(language->words[words], stack, 1, NULL, ESCAPE_NONE, out, NULL);
	cut_to_one(out);
}
