/* Calls that have no bound or hide state; including this makes using them a compile error. */
#ifndef HEED_BANNED_H
#define HEED_BANNED_H

#pragma GCC poison strcpy strcat sprintf vsprintf strncpy strncat strtok gets gmtime localtime ctime asctime
#pragma GCC poison atoi atol atof

#endif
