/* No include guard: the steps at which a crash is provoked, and what was done just before. */
/* the turn, in its transaction */
CRASH(turn_begun, "the transaction is open")
CRASH(turn_recovered, "what was left behind is taken in hand")
CRASH(turn_outcomes, "the outcomes are applied")
CRASH(turn_asked, "requests are run, new messages taken")
CRASH(turn_placed, "everything is chosen for")
CRASH(turn_written, "all rows are written")
CRASH(turn_before_commit, "the events are written")
/* and after it */
CRASH(turn_committed, "the commit is done, and nothing else")
CRASH(turn_handed, "the first of what was claimed is handed over")
CRASH(turn_all_handed, "all that was claimed is handed over")
CRASH(turn_finished, "flights that are over are forgotten")
CRASH(turn_answered, "who asked is answered")
/* a channel */
CRASH(channel_handed, "an attempt has come to its channel")
CRASH(channel_before_begin, "it is rendered, and asks whether it may begin")
CRASH(channel_begun, "it may: the file of what has begun says so")
CRASH(channel_outcome, "the other side has answered")
CRASH(channel_reported, "the turn is told")
/* the courier */
CRASH(reader_read, "entries are read from the queue")
CRASH(reader_admitted, "they are the turn's")
CRASH(courier_collected, "what was committed is in the courier's hands")
CRASH(courier_settled, "it is acknowledged in the queue")
CRASH(courier_published, "an event is out, and its row is still there")
/* the start */
CRASH(start_opened, "the store is open")
CRASH(start_recovered, "what was left behind is settled, and nothing else runs")
