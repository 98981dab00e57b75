/* The crash switch, in test builds only (build/crash/heed): HEED_CRASH=LABEL[:N] ends the process as a kill
 * would, the N-th time that it comes to the step with that label. In the product there is no trace of it. */
#ifndef HEED_CRASH_H
#define HEED_CRASH_H

#ifdef HEED_CRASH
enum crash_label {
#define CRASH(name, what) CRASH_##name,
#include "crash_labels.h"
#undef CRASH
	CRASH_LABELS
};
void crash_point(enum crash_label label);
#define CRASH_POINT(name) crash_point(CRASH_##name)
#else
#define CRASH_POINT(name) ((void)0)
#endif

#endif
