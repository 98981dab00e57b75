/* File descriptors: a process has so many and no more, and when they are gone every socket and file that is
 * asked for is refused. A few are kept back from the start. When somebody is refused one they are let go, so
 * that the doors still answer and a zone can still be read, while the turn takes and begins nothing that
 * wants one (trouble.h). Any thread. */
#ifndef HEED_DESCRIPTORS_H
#define HEED_DESCRIPTORS_H

#include <stdbool.h>

#define DESCRIPTORS_KEPT_BACK 16
#define DESCRIPTORS_FREE_LEAST 16 /* so many more must be free for work to begin */

/* At the start, before other files: those kept back are to have small numbers, below a limit that is lowered
 * later. */
void descriptors_keep_back(void);
/* errno of a call that would have made one: is it that none is left? Then those kept back are let go, and it
 * is worth trying again. Leaves errno. */
bool descriptors_ran_out(void);
/* Is there enough to work with? Gets back what is to be kept, or lets go of all of it. */
bool descriptors_left(void);
/* Was anybody refused one in the last second, or would be now? What failed then was not the other side's
 * fault. */
bool descriptors_short(void);

#endif
