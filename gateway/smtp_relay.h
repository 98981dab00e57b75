/* Where the mails go: the `relay:` of the configuration, smtp://[user:password@]host[:port]. Pure. */
#ifndef HEED_SMTP_RELAY_H
#define HEED_SMTP_RELAY_H

#include <stdbool.h>

#include "text.h"

#define SMTP_PORT "25"

struct smtp_relay {
	char *host;
	char *port;
	char *user; /* NULL: no AUTH */
	char *password;
};

/* False: `error` says what is wrong and what would be right, without the password. A password is taken only
 * to a host that is this one: the connection has no TLS. Release in both cases. */
bool smtp_relay_parse(const char *url, struct smtp_relay *out, struct text *error);
void smtp_relay_release(struct smtp_relay *relay);

#endif
