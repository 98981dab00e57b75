/* Between the files of the page's model: page_model.c, page_says.c, page_choices.c. */
#ifndef HEED_PAGE_MODEL_PRIVATE_H
#define HEED_PAGE_MODEL_PRIVATE_H

#include "page_model.h"
#include "page_words.h"

#define FORM_NAME_MAX 256

/* The text as a JSON string; it is empty again. */
json_t *model_taken(struct text *text);
/* Mustache takes "" for true: what is empty is not there. */
json_t *model_some(const char *text);
void model_set(json_t *object, const char *key, json_t *value); /* takes it */

/* The product's title in the language; NULL: of everything else. */
const char *choice_title(const struct page_view *view, const struct product *product);
/* What stands on a closed line. */
void choice_says_short(const struct page_view *view, const struct choice *choice, struct text *out);
/* All that is to be said of it, a sentence each. */
json_t *choice_sentences(const struct page_view *view, const struct choice *choice);
json_t *choice_tags(const struct page_view *view, const struct product *product);

#endif
