/* What a text is as a short message: its alphabet, its length, and the segments that it is split into
 * (3GPP TS 23.038 and 23.040). Whoever carries it charges by the segment. Pure. */
#ifndef HEED_SMS_TEXT_H
#define HEED_SMS_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#define SMS_GSM_ALONE 160 /* septets of a message in one segment */
#define SMS_GSM_PART 153  /* of each segment of several: six octets go to the header that joins them */
#define SMS_UCS2_ALONE 70 /* UTF-16 code units, likewise */
#define SMS_UCS2_PART 67
#define SMS_SEGMENTS_MAX 255 /* the header counts them in one octet (23.040 section 9.2.3.24.1) */

enum sms_alphabet {
	SMS_GSM, /* 7 bits: the default alphabet and its extension table */
	SMS_UCS2 /* 16 bits: what is beyond it, as UTF-16 */
};

struct sms_count {
	enum sms_alphabet alphabet;
	size_t units;    /* septets, an extended character being two; or UTF-16 code units */
	size_t segments; /* 1 for the empty text */
};

/* UTF-8; each byte that is none counts as one character beyond the GSM alphabet. */
struct sms_count sms_text_count(const char *text);

/* The bytes of `text` up to which each segment goes, at most `max` of them. No escape sequence and no
 * surrogate pair is split. The number of segments, which may be over `max`. */
size_t sms_text_split(const char *text, size_t ends[], size_t max);

/* Is every character in the GSM 7-bit default alphabet or its extension? Otherwise it is sent as UCS-2. */
bool sms_text_is_gsm(const char *text);

#endif
