/* The promise and the end, as a model for spin: one message, a customer who changes their mind, two gateways on one store,
 * crashes, freezes (a process that is simply not scheduled), leases that run out, and takeover.
 *
 * What is atomic here is one transaction of the store, or one atomic instruction of a process. The names are those of
 * gateway/turn.c, requests.c and channel.c. A fault put in with -DFAULT_… must be found: model.py runs each of them.
 *
 *   never   a hand-over begins under a choice older than one that is confirmed, unless the answer listed it
 *   ends    the message ends, if processes go on and there are not endless crashes */

#ifndef CHANGES
#define CHANGES 2 /* of mind */
#endif
#ifndef CRASHES
#define CRASHES 2 /* of any gateway, all together */
#endif
#ifndef EXPIRIES
#define EXPIRIES 2 /* leases that run out while their holder lives: it is frozen, or slow */
#endif
#ifndef RETRIES
#define RETRIES 1 /* outcomes that say: not now */
#endif
#define GATEWAYS 2
#define NOBODY GATEWAYS

mtype = { QUEUED, SENDING, ENDED };          /* the row's state; in doubt and to be resent is QUEUED again here */
mtype = { IDLE, HANDED, CHECKED, BEGUN };    /* an attempt in a gateway's memory: attempt->phase */

/* the store */
mtype state = QUEUED;
byte epoch = 0, holder = NOBODY;
bool lease = false;
byte choice = 0;              /* the version of the preference */
bool taken_over[GATEWAYS];    /* an attempt that this gateway held was taken from it, and it has not reported since */

/* the gateways' memory, lost in a crash */
mtype phase[GATEWAYS] = IDLE;
byte my_epoch[GATEWAYS], my_choice[GATEWAYS];

/* what the customer was told */
byte confirmed = 0;
bool listed[GATEWAYS];        /* this gateway's attempt was in an answer, as on its way */

byte crashes = 0, expiries = 0, retries = 0;

inline forget(g)
{
	phase[g] = IDLE; my_epoch[g] = 0; my_choice[g] = 0
}

/* The claim: preference read and row written in one transaction (law 2). */
inline claim(g)
{
	atomic {
		phase[g] == IDLE && (state == QUEUED || (state == SENDING && (holder == g || !lease)));
		if
		:: state == SENDING && holder != g -> taken_over[holder] = true /* by takeover: in doubt, and sent again */
		:: else
		fi;
		listed[g] = false;
#ifndef FAULT_STALE_CHOICE
		my_choice[g] = choice;
#endif
		state = SENDING; epoch++; holder = g; lease = true;
		my_epoch[g] = epoch; phase[g] = HANDED
	}
}

/* attempt_begin: one compare and exchange, and the lease looked at; then the first byte. Between them a process may freeze. */
inline begin(g)
{
	atomic {
		phase[g] == HANDED;
		if
		:: epoch == my_epoch[g] && lease -> phase[g] = CHECKED
		:: else -> forget(g) /* NOT_BEGUN: it is taken over, or will be */
		fi
	}
}

inline hand_over(g)
{
	atomic {
		phase[g] == CHECKED;
		assert(my_choice[g] >= confirmed || listed[g]); /* never */
		phase[g] = BEGUN
	}
}

/* The outcome's commit: an older epoch cannot overwrite its successor's. */
inline report(g)
{
	atomic {
		phase[g] == BEGUN;
		if
#ifdef FAULT_NO_EPOCH
		:: true -> holder = NOBODY;
#else
		:: state == SENDING && epoch == my_epoch[g] -> holder = NOBODY;
#endif
			if
			:: state = ENDED
			:: state != ENDED && retries < RETRIES -> retries++; state = QUEUED
			fi
#ifndef FAULT_NO_EPOCH
		:: else /* a late report */
#endif
		fi;
		taken_over[g] = false;
		forget(g)
	}
}

/* kill -9, and the next start: what it held is sent again by claim(), at once. What was called back or handed over is gone. */
inline crash(g)
{
	atomic {
		crashes < CRASHES;
		crashes++;
		taken_over[g] = false; /* its process is no more: nothing of it can begin */
		listed[g] = false;
		forget(g)
	}
}

proctype gateway(byte g)
{
#ifdef FAULT_STALE_CHOICE
	my_choice[g] = choice; /* read once at the start, as so many do */
#endif
	do
	:: claim(g)
	:: begin(g)
	:: hand_over(g)
	:: report(g)
	:: crash(g)
	:: state == ENDED && phase[g] == IDLE -> break
	od
}

/* Its time runs out while it is neither dead nor reporting. */
proctype clock()
{
	do
	:: atomic { expiries < EXPIRIES && state == SENDING && lease -> expiries++; lease = false }
	:: state == ENDED -> break
	od
}

/* One attempt of gateway `g`, as a change that is made through gateway `at` sees it in its transaction. */
inline bind_one(at, g)
{
	if
	:: phase[g] == IDLE || my_choice[g] >= choice
	:: !(phase[g] == IDLE || my_choice[g] >= choice) && g == at && phase[g] == HANDED && my_epoch[g] == epoch -> /* its own, and not begun: called back */
#ifndef FAULT_NO_CALL_BACK
		forget(g);
		if
		:: state == SENDING && holder == g -> state = QUEUED; holder = NOBODY
		:: else
		fi
#else
		skip
#endif
	:: !(phase[g] == IDLE || my_choice[g] >= choice) && !(g == at && phase[g] == HANDED && my_epoch[g] == epoch) ->
#ifndef FAULT_NOT_LISTED
#ifdef FAULT_TAKEN_OVER_NOT_LISTED
		listed[g] = (state == SENDING && holder == g)
#else
		listed[g] = (state == SENDING && holder == g) || taken_over[g]
#endif
#else
		skip
#endif
	fi
}

proctype customer()
{
	byte at;

	do
	:: choice < CHANGES ->
		if
		:: at = 0
		:: at = 1
		fi;
		atomic { /* the change's commit, and what had not begun is called back */
			choice++;
			bind_one(at, 0);
			bind_one(at, 1)
		}
		/* the answer: it may come late, or never (the gateway crashed) */
		if
		:: confirmed = choice
		:: skip
		fi
	:: break
	od
}

init {
	atomic {
		run gateway(0);
		run gateway(1);
		run clock();
		run customer()
	}
}

ltl ends { <> (state == ENDED) }
