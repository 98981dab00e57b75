/* Between reply.c (what is asked for) and reply_load.c (the languages). */
#ifndef HEED_REPLY_PRIVATE_H
#define HEED_REPLY_PRIVATE_H

#include "mustache.h"
#include "reply.h"

enum reply_verb { VERB_STOP, VERB_START, VERB_HELP, VERB_LATER, VERB_WHY, VERB_CHANNEL, REPLY_VERBS };

struct reply_word {
	char *folded;
	enum reply_verb verb;
	char *channel; /* of VERB_CHANNEL; "" */
};

struct reply_language {
	char *name; /* "en" */
	struct mustache *words[REPLY_WORDS];
};

struct reply_set {
	struct reply_word *words; /* of all languages */
	size_t word_count;
	struct reply_language *languages;
	size_t language_count;
};

/* As the files and the help name them: "stop"; "product_stopped". */
const char *reply_verb_name(enum reply_verb verb);
const char *reply_words_name(enum reply_words words);

#endif
