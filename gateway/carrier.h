/* What carries between the queue and the turn: a thread that reads messages in, and one, the courier, that
 * acknowledges what was committed and publishes its events. Each has a connection of its own. Redis going
 * away stops neither the turn nor the channels: both wait and try again. */
#ifndef HEED_CARRIER_H
#define HEED_CARRIER_H

#include "config.h"
#include "text.h"
#include "turn.h"

/* Read and not yet acknowledged: so much memory may wait for a slow store or a Redis that went away. From
 * half of it on only what is urgent is read. */
#define CARRIER_READ_AHEAD_MAX 4000
/* After the turn has ended: how long the courier tries to bring the last things out. */
#define CARRIER_LAST_WORDS (3 * MOMENT_S)

struct carrier;

/* Starts both threads. NULL and `error` if the queue's URL is bad. */
struct carrier *carrier_start(struct turn *turn, const struct config *config, struct text *error);
/* Nothing more is read; what was read and not admitted stays pending in the queue. */
void carrier_stop_reading(struct carrier *carrier);
/* After turn_stop: waits for the courier, frees. */
void carrier_finish(struct carrier *carrier);

#endif
