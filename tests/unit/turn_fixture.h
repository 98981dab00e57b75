/* A turn with a store, three scripted channels and a configuration of the test's own. By hand: turn_step in
 * the test's thread, so that everything that happens is written down in the test. With a thread: world_run.
 *
 * email and sms have a provider; email is sent again in doubt, sms is held; webhook has no provider.
 * Products: card-alerts [sms, email, webhook], by default email; card-alerts/fraud a part of it; terms may
 * not be stopped; news is marketing; alarm is critical. */
#ifndef HEED_TURN_FIXTURE_H
#define HEED_TURN_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "channel.h"
#include "config.h"
#include "moment.h"
#include "requests.h"
#include "store.h"
#include "turn_private.h"
#include "xalloc.h"

#define SCRIPT_HELD_MAX 4096

/* What a channel does with what it is handed. */
struct script {
	const char *name;
	size_t credit;
	bool begins;  /* calls attempt_begin at once */
	bool answers; /* reports `answer` at once; else it is held until the test reports */
	struct outcome answer;
	/* what it was handed and did not report yet, oldest first */
	struct attempt *held[SCRIPT_HELD_MAX];
	size_t held_count;
	size_t handed, begun, open;
	/* called by send, under the fixture's lock; NULL */
	void (*watch)(const struct attempt *attempt);
};

struct world {
	struct config *config;
	char url[160];
	struct store *store;
	struct store_reader *reader;
	struct turn *turn;
	bool corrupt;   /* by the test: the audit is not asked at its end */
	bool remembers; /* turns from now on know what had begun before a crash */
	struct script email, sms, webhook;
	/* what the courier was given: JSON, in order; see world_events */
	char **events;
	size_t event_count;
	json_t *parsed, *event_ids;
	size_t repeated; /* with the same id and words: not in `events` again */
	size_t acknowledged;
	json_t *dead; /* errors of dead letters */
	unsigned long entries;
};
extern struct world world;

/* cmocka's: a folder, a store of the kind and a turn by hand. */
int world_open_memory(void **state);
int world_open_sqlite(void **state);
int world_close(void **state);
/* Both back ends. */
#define ON_BOTH(test)                                                         \
	{#test " (memory)", test, world_open_memory, world_close, NULL},      \
	{                                                                     \
#test " (sqlite)", test, world_open_sqlite, world_close, NULL \
	}
#define IN_MEMORY(test)                                           \
	{                                                         \
#test, test, world_open_memory, world_close, NULL \
	}

/* The turn ends as a kill would end it: nothing is told to the store. A new one starts on the same store. */
void world_crash(void);
/* Everything from the beginning, in memory, with the same configuration. */
void world_fresh(void);
/* Ends the turn in order, and starts another. */
void world_restart(void);
/* From now on with a thread, and by hand again: turn_stop, and a new turn on what it left. */
void world_run(void);
void world_stop(void);
/* Far from where a day or a week ends, in every zone that a customer here lives in: a Wednesday, 10:20 UTC.
 */
void midweek(void);
/* By hand: the next turn has this configuration; it belongs to the world. */
void world_reload(struct config *config);
/* Reads a configuration with these channels (NULL: all three) and products (NULL: those above). */
struct config *world_config(const char *channels, const char *products);

/* --- in --- */

void customer_is(const char *id, const char *json);
/* {"id":…,"addresses":{"email":ID@example.com,"sms":…,"webhook":…}} */
void customer_with_all(const char *id);
int customer_put(const char *id, const char *json, json_t **answer);
int prefer(const char *customer, const char *product, const char *json, json_t **answer);
/* Answers on_their_way's ids, sorted, with commas; valid until the next call. */
const char *prefer_way(const char *customer, const char *product, const char *channels);
int settle(const char *message, const char *as);
int retry(const char *message);
extern struct text problem; /* of the last one */

/* To the inbox only. `more` is "" or further members: ",\"lane\":\"bulk\"". */
void admit(const char *id, const char *customer, const char *product, const char *more);
void admit_json(const char *json);
/* One turn; asserts that the store did not fail. */
void step(void);
/* Turns until nothing is to be done at once. */
void steps(void);
/* Turns for so long: for what is put off. */
void steps_for(int64_t time);

/* --- the channels --- */

/* All that it holds is gone, as with a process that is killed. */
void script_forget(struct script *script);
/* The attempt that is held for the message; fails the test if there is none. */
struct attempt *held(struct script *script, const char *message);
bool is_held(struct script *script, const char *message);
/* Asserts that it may begin. */
void begin(struct script *script, const char *message);
void report(struct script *script, const char *message, enum outcome_kind kind, enum outcome_scope scope,
	    const char *code);
void report_outcome(struct script *script, const char *message, struct outcome outcome);
void taken(struct script *script, const char *message);

/* --- out --- */

/* "queued", … ; "unknown". Valid until the next call but three. */
const char *state_of(const char *message);
struct message_row row_of(const char *message); /* message_row_release */
/* "1:email:sent 2:sms:sending": attempt, channel, state, in order. */
const char *contacts_of(const char *message);
/* "queued sending sent" */
const char *events_of(const char *subject);
size_t events_typed(const char *type);
/* The codes of its reasons: "chosen accepted" */
const char *reasons_of(const char *message);
/* Counts all rows and compares with the counters of store and turn: the sum holds. Gives the number of rows.
 */
size_t sum_holds(void);
/* The audit finds nothing. Every test ends with it, and so does sum_holds. */
void audit_holds(void);
void collect(void);
/* All that was given to the courier: a list, borrowed. */
json_t *world_events(void);

#define is(text, wanted) assert_string_equal(text, wanted)

#endif
