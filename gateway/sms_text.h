/* What fits in which alphabet of a short message. Pure. */
#ifndef HEED_SMS_TEXT_H
#define HEED_SMS_TEXT_H

#include <stdbool.h>

/* Is every character in the GSM 7-bit default alphabet or its extension (3GPP TS 23.038)? Otherwise it is
 * sent as UCS-2. Not UTF-8: false. */
bool sms_text_is_gsm(const char *text);

#endif
