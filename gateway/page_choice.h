/* One line of the customers' page: what applies to a product (or "*"), and what a form on it makes of it: a
 * whole preference, as PUT takes it. Pure. */
#ifndef HEED_PAGE_CHOICE_H
#define HEED_PAGE_CHOICE_H

#include <jansson.h>
#include <stdbool.h>

#include "config.h"
#include "preference.h"

struct choice {
	const struct product *product; /* NULL: "*", the choice for everything else */
	const char *name;
	const char *offered[PREFERENCE_CHANNELS_MAX]; /* what may be ticked: offered and configured */
	size_t offered_count;
	struct choices choices;
	const struct preference *own;  /* made for this very line; NULL */
	const struct preference *time; /* whose hours, digest and pause apply; NULL: nobody's */
	struct applied applied;        /* of a product: whose list applies */
	/* the channels in force, in order; with the entry, where the customer wrote one */
	const char *channels[PREFERENCE_CHANNELS_MAX];
	const struct preference_entry *entries[PREFERENCE_CHANNELS_MAX];
	size_t count;
	bool no_opt_in; /* marketing that the customer did not ask for */
};

/* `preferences` are the customer's; both outlive the choice. False: nothing of it can be chosen. */
bool choice_read(const struct config *config, const struct product *product,
		 const struct preference *preferences, size_t count, struct choice *out);
bool choice_may_stop(const struct choice *choice);
bool choice_runs(const struct choice *choice);       /* is there anything that comes, and could be paused? */
int64_t choice_version(const struct choice *choice); /* of its own preference; 0: none */
int64_t choice_paused(const struct choice *choice, int64_t now); /* until when; 0: it is not */
bool choice_offers(const struct choice *choice, const char *channel);

/* Each a new reference; those that are based on what was seen carry the version that they were seen at. */
json_t *choice_stop(const struct choice *choice);
json_t *choice_move(const struct choice *choice, const char *channel, int64_t version);
json_t *choice_pause(const struct choice *choice, int64_t until, int64_t version); /* 0: resume */
/* Nothing of its own any more: what applies above goes on applying. */
json_t *choice_follow(const struct choice *choice, int64_t version);

/* A form as it is shown: from what is stored, or as it was typed. */
#define CHOICE_TIME_SIZE 16 /* "08:00" */
struct choice_form {
	const char *channels[PREFERENCE_CHANNELS_MAX]; /* all that are offered, in the order shown */
	bool on[PREFERENCE_CHANNELS_MAX];
	size_t count;
	char hours[64];   /* the value of the ticked one: "", hours, or CHOICE_OTHER */
	struct text own;  /* of CHOICE_OTHER: as written, with the language's days */
	const char *word; /* of the digest: "immediate", "hourly", "daily", "weekly" */
	int weekday;
	char time[CHOICE_TIME_SIZE];
	bool time_unread; /* one was typed that is none, and the digest wants one */
};
#define CHOICE_OTHER "other"
#define CHOICE_ANY "00:00-24:00" /* where the product has quiet hours that "" would mean */
#define CHOICE_DAY "08:00-21:00"
#define CHOICE_WORK "mon-fri 09:00-18:00"

void choice_form_of(const struct choice *choice, const json_t *words, struct choice_form *out);
/* `form` as form_read gave it. */
void choice_form_typed(const struct choice *choice, const json_t *words, const json_t *form,
		       struct choice_form *out);
void choice_form_release(struct choice_form *form);
/* The preference that the form asks for; what it says nothing about (pause, the hours of a channel) stays.
 * Whether its hours can be read is left to who stores it. */
json_t *choice_save(const struct choice *choice, const json_t *words, const struct choice_form *form,
		    int64_t version);

#endif
