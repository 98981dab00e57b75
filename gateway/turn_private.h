/* What turn*.c and requests.c share. All of it belongs to the turn's thread, but what stands under `lock`. */
#ifndef HEED_TURN_PRIVATE_H
#define HEED_TURN_PRIVATE_H

#include <pthread.h>

#include "breaker.h"
#include "bucket.h"
#include "channel.h"
#include "choose.h"
#include "clock_watch.h"
#include "moment.h"
#include "trouble.h"
#include "turn.h"

/* Law 5: what one turn takes, and what may wait for it. */
#define TURN_ADMISSIONS_MAX 500
/* Where nobody has room some are admitted now and then all the same: admission waits for no channel. */
#define TURN_OVERFLOW_MAX 50
#define TURN_OVERFLOW_EVERY (5 * MOMENT_MS)
/* Where all that are asked take messages fast, room comes any moment: what is admitted without it is written
 * twice and read again. */
#define TURN_OVERFLOW_BRISK (25 * MOMENT_MS)
#define LINE_BRISK_PACE (1 * MOMENT_MS) /* a message */
#define TURN_OUTCOMES_MAX 1000
#define TURN_REQUESTS_MAX 64
#define TURN_SWEEP_MAX 200        /* rows looked at when a breaker opens, a turn */
#define TURN_HELD_MAX 500         /* rows moved to a hold or away from it, or taken back, a turn */
#define TURN_AGAIN_MAX 100        /* waiting rows of customers whose choice changed looked at, a turn */
#define INBOX_ADMISSIONS_MAX 4000 /* as the carrier reads ahead: what is urgent finds room */
#define OUTBOX_MEMORY_MAX 8000    /* events kept ready for the courier; the store has the rest */
#define TURN_EXPIRED_MAX 500      /* rows whose time is over, a turn */
#define TURN_FREED_MAX 3          /* times that what waits for a cap is looked at again in a turn */
#define RECEIPTS_KEPT_MAX 100000  /* receipts of which nothing is known yet */
#define RECEIPTS_A_TURN 200       /* of those, looked at in a sweep */
#define TURN_WAIT_MAX (1 * MOMENT_S)
#define TURN_STANDS_WAIT (100 * MOMENT_MS) /* while something keeps it from taking */
#define TURN_FAILURE_PAUSE (500 * MOMENT_MS)
#define SEVERAL_PAUSE (5 * MOMENT_MS) /* until what another gateway is at is looked at again */
#define TURN_CONTENDED_MAX 200        /* turns lost to others in a row: then it is a failure */
#define OUTBOX_LOOK (50 * MOMENT_MS)  /* at what other gateways have to be published */

/* No row is due before `due`: never too late, though it may be too early. What this turn makes wait is not in
 * the store's index yet when that is asked, so it is remembered beside it. */
struct hint {
	int64_t due, this_turn;
};

/* Who carries a channel's messages: its provider, or one of several. What it may take, and whether it is at
 * fault. */
struct outlet {
	const struct channel_config *config; /* of turn->config */
	struct channel *channel;             /* NULL: not opened (alone, or it could not be) */
	struct breaker breaker;
	struct bucket bucket;
	bool held;      /* an operator holds the provider */
	size_t credit;  /* what may still be claimed in this turn by what no rate holds */
	size_t budget;  /* and by all others */
	size_t claimed; /* in this turn */
};

#define SHARE_ONE 1024

/* A channel in use. Of its outlets the first that is not at fault carries; those before it are only probed.
 */
struct line {
	const struct channel_config *config; /* of the first outlet */
	struct outlet *outlets;
	size_t outlet_count;
	struct hint next; /* when a row that waits for it is due */
	unsigned chosen;  /* how many new messages chose it in this turn */
	unsigned share;   /* of the last that were admitted, in SHARE_ONEs */
	bool held;        /* by a hold on the channel, or on all its providers */
	/* the rows that wait turn from queued to deferred, in slices, because it came to be at fault or held;
	 * or back, because it is held no more */
	bool sweeping, resuming;
	struct waiting_at swept;
};

/* A hold in force, and how far its rows are moved to where they wait for its end. */
struct holding {
	struct hold hold;
	bool sweeping;
	size_t line; /* whose rows are looked at; for a campaign: no line */
	struct waiting_at swept;
};

/* A claimed attempt, from the commit that made its row `sending` until its outcome is committed. */
enum flight_state { FLIGHT_ALOFT, FLIGHT_CALLED_BACK, FLIGHT_RESOLVED };
struct flight {
	struct flight *next, **link;
	struct attempt *attempt;
	struct message_row row;     /* as committed */
	struct message_rows others; /* of a digest: its other messages, likewise */
	struct contact contact;     /* as committed */
	int64_t claimed_at;
	enum flight_state state;  /* CALLED_BACK: it will never begin, and nobody has committed that yet */
	bool resend;              /* an earlier attempt on this channel is in doubt */
	bool probe;               /* the one that asks whether the provider is back */
	bool erased;              /* its customer was, since: its events say little */
	bool in_turn;             /* this run of the turn already deals with it */
	struct begun_slot *begun; /* says to the next start whether it had begun; NULL */
	bool lost;                /* another gateway took it over: what it reports is late */
};

enum work_why {
	WORK_NEW,        /* admitted now */
	WORK_DUE,        /* its time has come */
	WORK_AGAIN,      /* its attempt ended; choose on */
	WORK_RECONSIDER, /* it waits, and the choice changed */
	WORK_SETTLED     /* nothing to choose: the row is to be saved */
};

/* One message looked at in this turn. */
struct work {
	struct work *next;
	enum work_why why;
	enum state was; /* as committed; STATES for a new one */
	struct message_row row;
	struct message message; /* read when first needed: work_message */
	bool message_read;
	struct facts facts;
	struct admission *admission; /* WORK_NEW: borrowed */
	struct flight *flight;       /* whose outcome or call-back this is; NULL */
	struct contact *contact;     /* to be added; NULL */
	struct contact *ended;       /* an earlier contact to be saved; NULL */
	struct outlet *outlet;       /* claimed: who carries it */
	char *bound;                 /* in doubt: the provider that it was tried with; NULL: any */
	struct attempt *attempt;     /* claimed: to be handed over after the commit */
	struct address unowned;      /* of an address that is to be confirmed: where it goes */
	struct begun_slot *begun;    /* and its place in the file of what has begun; NULL */
	struct work *lead;           /* of a digest: whose contact it shares; NULL */
	size_t followers;            /* of a digest: how many share this one's contact */
	bool shares;                 /* `ended` is another work's too, and is saved there */
	bool placed;                 /* it is chosen for already */
	bool heir;      /* counts from now on for the digest that it was in, and may go with it */
	bool kept;      /* of the tenth that bulk keeps: placed first */
	bool probe;     /* claimed while the breaker is open */
	bool unchanged; /* nothing to save after all */
};

/* How much of a cap a customer has had: as stored, and what this run adds. */
struct cap_use {
	int64_t customer;
	char *name;
	int64_t used, more, ends;
};

/* How a customer's stripe is held by this transaction. */
enum stripe_hold { STRIPE_NONE, STRIPE_SHARED, STRIPE_EXCLUSIVE };

struct pointers {
	void **list;
	size_t count, capacity;
};
void pointers_add(struct pointers *p, void *item);

/* What an outcome says of a provider. */
enum verdict { NOTE_OK, NOTE_FAULT, NOTE_NO_VERDICT, NOTE_PACE };

/* What this run of the turn wants written; thrown away and made anew if the store fails. */
struct plan {
	struct work *first, **tail;
	size_t count;
	struct work **by_n; /* of rows that have a number; open addressing */
	size_t by_n_size, by_n_count;
	bool strays;            /* some were found: there may be more */
	size_t looked;          /* waiting rows of customers that were looked at again */
	size_t admitted;        /* new messages */
	size_t swept;           /* rows that wait and were taken in hand by a sweep */
	struct pointers events; /* struct event_row */
	struct pointers late;   /* struct contact: of late reports, to be saved */
	struct counters deltas;
	struct breaker_note {
		struct line *line;
		struct outlet *outlet;
		int verdict; /* enum verdict */
		enum breaker_fault_kind fault;
		int64_t retry_after;
	} * notes; /* verdicts on providers: told to the breakers after the commit */
	size_t note_count;
	struct cap_use *caps;
	size_t cap_count;
	json_t *cap_index;        /* {"customer name": place in caps} */
	struct pointers receipts; /* keys of kept ones that may count in the next turn */
	struct pointers freed; /* int64_t: customers whose counters went down: what waits for a cap may go */
};

/* A customer of whom more rows wait than one turn looks at, and how far it came. */
struct again {
	int64_t customer;
	int64_t after, next; /* n; next: with this transaction, MOMENT_NEVER when it is done */
};

/* How far the erasure of a customer came; the store says whose. */
enum erase_step { ERASE_WAITING, ERASE_CHANGES, ERASE_EVENTS, ERASE_CONTACTS, ERASE_END };
struct erasing {
	bool pending;  /* somebody may be */
	bool cleaning; /* the store's files are to be cleaned then */
	int64_t customer;
	enum erase_step step;
	int64_t change, event, contact; /* seq */
	int64_t not_before;             /* monotonic */
};

/* What a turn takes (turn_pace.c). */
#define PACE_NO_END (SIZE_MAX / 4)
struct pace {
	int64_t asked; /* monotonic: when somebody last waited for an answer; 0: never */
	int64_t each;  /* nanoseconds that a message costs a turn, but for the commit; 0: not known yet */
	size_t most;   /* outcomes, new messages and what is due, in this turn */
};

struct pruning {
	bool running;
	int64_t next;       /* monotonic: when it runs by itself; 0: not known yet */
	struct pruned done; /* since it was started */
	/* of this run of the turn */
	struct pruned slice;
	bool more;
};

struct turn {
	struct store *store;
	struct config *config;
	struct line *lines;
	size_t line_count;
	int64_t share; /* gateways that share the rates; 0: there are no others */
	struct holding *holds;
	size_t hold_count;
	char **releasing; /* waits_for of what a hold that is gone left behind */
	size_t releasing_count;
	struct {
		struct pointers found; /* keys of kept ones that may count now */
		int64_t count;         /* kept in the store; -1: not known */
		int64_t due;           /* when the oldest was kept long enough */
		int64_t last_at;
		int64_t swept, swept_now; /* up to when those kept were tried since the start;
					     MOMENT_NEVER: all */
	} receipts;
	struct again *again;
	size_t again_count;
	struct erasing erasing, erasing_next; /* next: with this transaction */
	int64_t clean_at;                     /* monotonic */
	struct pruning prune;
	struct pace pace;
	struct hint expiry;     /* when something that waits expires */
	struct hint unassigned; /* for rows that wait for nobody in particular */
	struct flight *flights;
	size_t flight_count;
	struct retired {
		struct channel *channel;
		struct config *config; /* held: the channel reads it */
	} * retired;                   /* of an earlier configuration: closed when they are empty */
	size_t retired_count;
	struct several { /* where several gateways write (turn_several.c) */
		unsigned char held[STORE_STRIPES + 1], wanted[STORE_STRIPES + 1];
		int64_t last_hold;              /* seq of the last change of holds that was seen */
		int64_t gateways;               /* that share the rates; 0: not known yet */
		int64_t next_look, next_office; /* monotonic */
		size_t left;                    /* rows of this turn whose customer somebody else is at */
	} several;
	char *name;             /* of this gateway, from the configuration that it started with */
	int64_t gateway;        /* its number; 0: not reported yet */
	int64_t reported;       /* when it said last that it is alive, by the store's clock; 0: never */
	struct begun *begun;    /* NULL: there is none */
	bool begun_asked;       /* it still says what the run before left */
	bool holds_known;       /* `holds` is what the store says */
	bool again_known;       /* what an earlier run left is in `again` */
	int64_t orphans_looked; /* when it looked last for what is its own and forgotten */
	bool look_for_abandoned, overtaken; /* overtaken: others may have claimed what is in flight */
	bool alone;
	bool config_new; /* its products and templates are not kept yet */
	bool reloaded;   /* what was claimed under the old one and has not begun is chosen again */
	bool standing;   /* of this run: nothing is taken or begun */
	bool stopping, claiming;
	int64_t now;   /* of this run, the store's clock */
	int64_t clock; /* the store's ahead of ours */
	struct clock_watch watch;
	int64_t moving; /* the clock is followed by so much with this transaction; 0 */
	struct troubles troubles;
	int64_t next_look; /* monotonic: at the descriptors */
	int64_t ahead;     /* of the wall clock: for tests that can't wait for tomorrow */
	int64_t mono;
	uint64_t random;
	unsigned long number;
	struct plan plan;
	/* taken from the inbox, kept until the commit */
	struct attempt *outcomes;
	struct request *requests;
	struct admission *admissions;
	char event_prefix[24];
	uint64_t event_next;
	struct text event; /* the one that is being made */
	int64_t event_at;  /* the time that event_time shows */
	char event_time[MOMENT_TEXT];
	int64_t overflow;  /* monotonic: when the next may be admitted for which nobody has room */
	int64_t placing;   /* monotonic: since when this turn has what others may lock */
	int64_t recovered; /* n up to which rows left `sending` by a crash were dealt with; MOMENT_NEVER: all
			    */
	int contended;     /* turns in a row that were lost to other gateways */
	bool lost;         /* the last transaction was rolled back */
	bool late;         /* because a change could not be made binding in time */

	pthread_t thread;
	bool started;
	pthread_mutex_t lock;
	pthread_cond_t wake;  /* something for the turn */
	pthread_cond_t space; /* room in the inbox, an answer, something for the courier */
	struct {
		struct attempt *outcomes, **outcomes_tail;
		struct request *requests, **requests_tail;
		struct inbox_lane {
			struct admission *first, **tail;
			size_t count;
		} lanes[LANES];
		size_t admission_count; /* in all lanes */
		struct config *reload;
		struct text *reload_error;
		bool reload_done, reload_ok;
		bool stop;
	} inbox;
	struct {
		struct admission *settled, **settled_tail;
		struct event_row *events;
		size_t event_count, event_capacity;
		int64_t last_kept; /* seq of the last event that was put here */
		int64_t last_stored;
		int64_t published, dropping, dropped; /* dropping: by this transaction */
		bool behind;                          /* the store holds more than is here */
		bool others;                          /* they are read from the store: several write */
		bool office;                          /* and are ours to publish */
		bool ended;
	} outbox;
	struct turn_stats stats;
	unsigned lanes;
};

/* turn.c */
/* What turn_start does before there is a thread: opens the channels, recovers. For tests that turn by hand.
 */
bool turn_ready(struct turn *turn, struct text *error);
/* One turn over what waits, in the caller's thread. False: the store failed, and what was taken is kept. */
bool turn_step(struct turn *turn);

/* turn_lines.c */
bool lines_open(struct turn *turn, struct config *config, bool with_channels, struct text *error);
void lines_close(struct turn *turn, int64_t patience);
struct line *line_find(const struct turn *turn, const char *channel);
void lines_forget_turn(struct turn *turn); /* the transaction was lost: hints are to be made anew */
void lines_begin_turn(struct turn *turn);  /* budgets */
bool lines_take_due(struct turn *turn);    /* rows whose time has come become work */
bool lines_sweep(struct turn *turn);
/* How many new messages could be claimed at once, if they choose as the last ones did. A channel for which
 * others wait already, or that is at fault, is not asked. 0: nobody has room. */
size_t lines_room(const struct turn *turn);
/* Do all that new messages choose take them fast? */
bool lines_are_brisk(const struct turn *turn);
int64_t lines_next(struct turn *turn);      /* when to look again: microseconds from now */
bool lines_adopt_strays(struct turn *turn); /* rows that wait for a channel that is gone are chosen again */
void line_waits(struct turn *turn, const char *channel, int64_t due); /* a row waits: keep the hint right */
/* Who would take one more now; NULL: nobody. `bound` NULL: any provider; `urgent`: no rate holds it. */
struct outlet *line_outlet(struct line *line, const char *bound, bool urgent);
struct outlet *line_find_outlet(struct line *line, const char *provider); /* NULL */
/* Is everybody at fault who could carry it? */
bool line_at_fault(const struct line *line, const char *bound);
/* Holds came or went: which lines stand still. */
void lines_follow_holds(struct turn *turn);
/* So many share the rates; nothing of a rate goes before `from` (monotonic). */
void lines_share(struct turn *turn, int64_t gateways, int64_t from);
void lines_after_commit(struct turn *turn); /* what was claimed is taken from the rates */
void plan_note(struct turn *turn, struct line *line, struct outlet *outlet, int verdict,
	       enum breaker_fault_kind fault, int64_t retry_after);

/* turn_admit.c */
bool admissions_take(struct turn *turn);
/* The lane of the inbox that it belongs to. */
struct inbox_lane *admission_lane(struct turn *turn, const struct admission *admission);
__attribute__((format(printf, 2, 3))) void admission_refuse(struct admission *admission, const char *format,
							    ...);

/* turn_batch.c; all of it under the lock */
/* What the turn took is committed, or refused: the queue's go to the courier, the others to who waits. */
void admissions_settle(struct turn *turn);
/* Those that somebody waits for, and for whom it is too late (all: every one), are refused with 503. Only
 * between two transactions. */
void batches_refuse_late(struct turn *turn, bool all, const char *why);

/* turn_place.c */
struct work *work_add(struct turn *turn, enum work_why why,
		      const struct message_row *row); /* copies the row */
/* The same, and takes the row over, which is one of the store's. */
struct work *work_take(struct turn *turn, enum work_why why, struct message_row *row);
/* The work on a row, if this turn has it already: rows that wait are looked at once a turn. */
struct work *work_of(const struct turn *turn, int64_t n);
void work_free(struct work *work);
/* Reads facts for all work that needs choosing, and places each. */
bool works_place(struct turn *turn);
void work_set_state(struct turn *turn, struct work *work, enum state state);
/* `preference`: the one that settled it; NULL where none did. */
void work_end(struct turn *turn, struct work *work, enum state state, const struct preference *preference);
void work_wait(struct turn *turn, struct work *work, enum state state, const char *waits_for, int64_t due);
/* Appends to the row's reasons. `args` is taken. */
void work_reason(struct work *work, enum reason_code code, json_t *args);
void work_reason_text(struct work *work, enum reason_code code, const char *args); /* compact JSON */
/* The event that goes with the row's state as it is now. */
void work_event(struct turn *turn, struct work *work, enum state state, const struct contact *contact);
void contact_copy(const struct contact *contact, struct contact *out);

/* Chooses under what `facts` say; puts reasons and the turn in the list into the row. False: the store
 * failed. Release the decision's reasons. */
bool work_decide(struct turn *turn, struct work *work, const struct facts *facts, bool caps,
		 struct decision *out);
const struct message *work_message(struct work *work);
struct contact *contact_new(const struct turn *turn, const struct work *work, const struct facts *facts,
			    const struct preference *preference);

/* turn_holds.c */
bool holds_load(struct turn *turn); /* in the transaction, where they are not known yet */
/* The hold of a kind and name; NULL. */
const struct hold *holds_find(const struct turn *turn, enum hold_kind kind, const char *name);
/* What stops the row from being sent through the line (NULL: wherever); NULL: nothing. */
const struct hold *holds_stop(const struct turn *turn, const struct message_row *row, const struct line *line,
			      const char *bound);
/* The cancel of its campaign; NULL. */
const struct hold *holds_cancel(const struct turn *turn, const struct message_row *row);
/* It waits for the end of the hold. */
void work_hold(struct turn *turn, struct work *work, const struct hold *hold, const char *channel);
/* It ends; a doubt stays one, and what was sent is sent. False: the store failed. */
bool work_cancel(struct turn *turn, struct work *work, const char *who, const char *why);
bool holds_sweep(struct turn *turn);
bool holds_take_released(struct turn *turn);
/* Is anything left to be moved or ended? `cancels`: ended only. */
bool holds_busy(const struct turn *turn, bool cancels);
void holds_restart(struct turn *turn); /* the lines are others now */
void holds_forget(struct turn *turn);

/* turn_again.c */
typedef bool (*again_wants)(const struct message_row *row, const void *context);
/* What waits of the customer and is wanted (NULL: all) is chosen again, in this turn or, where it is much, in
 * the next ones too, which then look at all of it. *added (NULL): works made now. False: the store failed. */
bool again_look(struct turn *turn, int64_t customer, again_wants wants, const void *context, size_t *added);
bool again_take(struct turn *turn); /* what earlier turns left */
void again_after_commit(struct turn *turn);
void again_after_loss(struct turn *turn);

/* turn_erase.c */
bool erasures_take(struct turn *turn); /* a slice */
void erasures_after_commit(struct turn *turn);
int64_t erasures_next(const struct turn *turn); /* microseconds until there is something to do */
void erasures_clean(struct turn *turn);         /* between transactions */
bool erasures_finished(const struct turn *turn);
/* Who was erased under this id; NULL: nobody. False: the store failed. */
bool erased_find(struct turn *turn, const char *id, struct customer **out);
/* A message for somebody who was erased: refused, and what it said is not kept. */
void admission_erased(struct admission *admission, const char *name);

/* turn_prune.c */
void prune_start(struct turn *turn);
void prune_put_off(struct turn *turn); /* by itself it runs a day from now */
bool prune_take(struct turn *turn);    /* a slice */
void prune_after_commit(struct turn *turn);
int64_t prune_next(const struct turn *turn);

/* turn_stands.c */
/* The time, the store's clock. */
int64_t turn_clock(struct turn *turn);
/* Before a run, and before one is waited for: the time, and whether anything keeps us from taking. */
void turn_look(struct turn *turn);
/* An attempt could not begin for want of a descriptor. */
void turn_no_descriptors(struct turn *turn);
/* In the transaction, first: where the clock is followed, what waits moves with it. False: the store failed.
 */
bool clock_move(struct turn *turn);
void clock_moved(struct turn *turn); /* after the commit */
/* When this gateway was seen last, by the store: is the clock behind that? False: the store failed. */
bool clock_since_last_run(struct turn *turn, int64_t last);

/* turn_claim.c */
/* Makes it `sending`, with all that goes in one digest with it. False: the store failed. */
bool work_claim(struct turn *turn, struct work *work, struct outlet *outlet, const struct decision *decision,
		const struct product *product);

/* turn_when.c */
/* What choose() wants to know of time, patience and caps. False: the store failed. */
bool when_fill(struct turn *turn, const struct message_row *row, const struct customer *customer,
	       const struct product *product, struct choose_input *in);
/* It counts in its caps from now on, if it does not yet. False: the store failed. */
bool caps_count(struct turn *turn, struct work *work, const struct customer *customer,
		const struct product *product);
/* It went in the contact of `lead`, which counts once: it is covered, and adds nothing. */
void caps_share(struct work *lead, struct work *work);
/* It does not count any more; where it counted for a digest, another one of it that goes on does. */
bool caps_release(struct turn *turn, struct work *work);
bool caps_write(struct turn *turn);
/* What waits for a cap that was freed in this run becomes work; *any. */
bool caps_freed(struct turn *turn, bool *any);
/* The clocks of a row that waits. A provider at fault and a hold have all of them stand (fault_since). That
 * of the wait stands besides from `due` on for a row that waits for the channel whose turn it is: rates, and
 * others before it, are not the customer's trouble. */
void row_fault_over(struct message_row *row, int64_t now); /* they go on, as the row leaves its place */
/* They go on, and it keeps its place, waiting from `due` on. */
void row_fault_over_in_place(struct message_row *row, int64_t now);
/* Its place changes, whatever comes: the time that it queued there is taken off its wait. */
void row_queued(struct message_row *row, int64_t now);
/* How long the wait's clock has stood; not in wait_since and wait_until yet. */
int64_t row_wait_stood(const struct message_row *row, int64_t now);
void row_wait_longer(struct message_row *row, int64_t by);
/* A message rests in the best that became of it: `state`, or what an earlier channel came to. */
enum state row_rests(const struct message_row *row, enum state state);
bool expiries_take(struct turn *turn);
void expiry_waits(struct turn *turn, const struct message_row *row);

/* turn_several.c */
/* In the transaction, first: the store's clock, and the stripes of all that was taken in hand. */
bool several_begin(struct turn *turn);
bool several_reported(struct turn *turn); /* once this gateway has its number */
/* From `stripes` of a request: it changes this customer. */
void stripe_change(struct turn *turn, const char *customer_id);
/* Likewise: it brings a receipt for this reference, or contact (0: it names none). */
void stripe_receipt(struct turn *turn, const char *provider_ref, int64_t contact);
/* Before facts are read: locks whose choices they are. What can wait and is not to be had stays as it is. */
bool several_place(struct turn *turn, struct work *first);
void several_after_commit(struct turn *turn);
/* When to look again at what is said to be due then. */
int64_t several_hint(const struct turn *turn, int64_t due);

/* turn_takeover.c */
/* Says that this gateway is alive, when it is time to; notices what others took over from it. False: the
 * store failed. */
bool gateway_report(struct turn *turn);
int64_t gateway_next_report(const struct turn *turn); /* microseconds from now */
/* What becomes known of an attempt that another gateway took over. False: the store failed. */
bool outcome_late(struct turn *turn, struct flight *flight);

/* turn_outcome.c */
/* What an outcome (NULL: nobody knows it) says in its contact. */
void contact_outcome(struct contact *contact, enum state state, const struct outcome *outcome);
bool outcomes_take(struct turn *turn);
bool recover_take(struct turn *turn); /* what a crash, or a gateway that is gone, left `sending` */
/* The works on a flight's messages: an outcome is all of theirs. */
struct work *flight_works(struct turn *turn, struct flight *flight, enum work_why why);
bool flight_has(const struct flight *flight, int64_t n);
/* The flight of ours that has the message now; NULL. */
struct flight *flight_aloft(const struct turn *turn, int64_t n);
/* Calls back what has not begun of one customer (0: of all) and is touched, and lets it be chosen again in
 * this turn. */
void flights_call_back(struct turn *turn, int64_t customer, const struct touched *touched);
/* The same for those that `wants` wants. */
void flights_call_back_if(struct turn *turn, bool (*wants)(const struct flight *, const void *context),
			  const void *context);
/* Nothing of what is handed over begins any more; a turn deals with it. Outside of a transaction. */
void flights_stop(struct turn *turn);
/* One. Its works, to be chosen again; NULL: it had begun, or this run deals with it already. */
struct work *flight_call_back(struct turn *turn, struct flight *flight);
/* The address is dead from now on. */
bool turn_address_dies(struct turn *turn, int64_t address, const char *channel, int64_t customer,
		       const char *customer_id, const char *provider);

/* Does the provider that carries the channel's messages say later what became of them? */
bool gives_receipts(const struct turn *turn, const char *channel, const char *provider);
/* Another try after the usual pause. */
void work_try_again(struct turn *turn, struct work *work);

/* turn_receipts.c */
bool receipts_take(struct turn *turn);  /* what was kept and may count now; what was kept long enough */
bool receipts_match(struct turn *turn); /* once the outcomes are written */
void receipts_after_commit(struct turn *turn);
void receipts_lost(struct turn *turn); /* the transaction was lost */
void receipts_forget(struct pointers *keys);

/* turn_pace.c */
/* How many outcomes and new messages this turn takes; once its requests are taken. */
size_t pace_most(struct turn *turn);
/* How many rows that are due may come to that; never none for long. */
size_t pace_left(const struct turn *turn);
/* took: microseconds, without the commit and the wait for others' locks. */
void pace_learn(struct turn *turn, int64_t took);

/* turn_stats.c */
void stats_publish(struct turn *turn, bool committed);

/* turn_outbox.c */
/* An event of type `type``word`: its data is to be appended to what is given back, before event_end. */
struct text *event_begin(struct turn *turn, const char *type, const char *word, const char *subject);
void event_end(struct turn *turn);
void event_add(struct turn *turn, const char *type, const char *subject, const char *data);
/* To the stream of what customers said. */
void event_add_inbound(struct turn *turn, const char *type, const char *subject, const char *data);
/* Takes back those that were added since there were `count`. */
void events_forget(struct turn *turn, size_t count);
bool outbox_before_commit(struct turn *turn); /* writes the plan's events, drops what is published */
void outbox_after_commit(struct turn *turn);
bool outbox_refill(struct turn *turn);
/* Where several write: whether this gateway publishes the events of all. */
void outbox_office(struct turn *turn, bool mine);

#endif
