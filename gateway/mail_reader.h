/* The threads that read mailboxes: one for each channel with `inbound`. What is there is read, judged and
 * recorded, and only then marked. A server that is away is tried again, with growing pauses. */
#ifndef HEED_MAIL_READER_H
#define HEED_MAIL_READER_H

#include "config.h"
#include "turn.h"

struct mail_reader;

/* One with no threads where no channel reads a mailbox. Never NULL. */
struct mail_reader *mail_reader_start(struct turn *turn, struct config *config);
/* Waits for what is being recorded, ends the threads, frees; NULL is fine. Before turn_stop. */
void mail_reader_stop(struct mail_reader *reader);

#endif
