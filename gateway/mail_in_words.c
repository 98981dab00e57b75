/* What the words of a bounce mean. Servers say the same things in many ways; each line here is one of them.
 * The order is the order of trust: what is about the sender or the sender's host may name unknown users and
 * hosts as well, and a full mailbox may be called unavailable. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "mail_in_private.h"
#include "xalloc.h"
#include "banned.h"

static const struct {
	enum mail_cause cause;
	const char *phrase;
} phrases[] = {
	{CAUSE_SYSTEM, "procmail:"},
	{CAUSE_POLICY, "error 550-'5.7"},
	{CAUSE_NO_DOMAIN, "dns lookup failure: host"},
	{CAUSE_NO_USER, "recipient address rejected: access denied"},
	{CAUSE_NO_DOMAIN, "find a mail exchanger or ip"},
	{CAUSE_NETWORK, "host not found, try again"},
	{CAUSE_BLOCKED, "my name was rejected"},
	{CAUSE_SENDER, "sender verify"},
	{CAUSE_SENDER, "sender address reject"},
	{CAUSE_SENDER, "sender rejected"},
	{CAUSE_SENDER, "invalid sender"},
	{CAUSE_SENDER, "bad sender"},
	{CAUSE_SENDER, "sender is invalid"},
	{CAUSE_SENDER, "sender domain"},
	{CAUSE_SENDER, "domain of sender"},
	{CAUSE_SENDER, "sender unknown"},
	{CAUSE_SENDER, "sender has been"},
	{CAUSE_SENDER, "sender denied"},
	{CAUSE_SENDER, "callback verification"},
	{CAUSE_SENDER, "callout verification"},
	{CAUSE_SENDER, "your envelope sender"},
	{CAUSE_SENDER, "the from address"},
	{CAUSE_SENDER, "mail from address"},
	{CAUSE_BLOCKED, "client host"},
	{CAUSE_BLOCKED, "helo"},
	{CAUSE_BLOCKED, "ehlo"},
	{CAUSE_BLOCKED, "dnsbl"},
	{CAUSE_BLOCKED, " rbl"},
	{CAUSE_BLOCKED, "spamhaus"},
	{CAUSE_BLOCKED, "spamcop"},
	{CAUSE_BLOCKED, "barracudacentral"},
	{CAUSE_BLOCKED, "blacklist"},
	{CAUSE_BLOCKED, "black list"},
	{CAUSE_BLOCKED, "blocklist"},
	{CAUSE_BLOCKED, "block list"},
	{CAUSE_BLOCKED, "blocked using"},
	{CAUSE_BLOCKED, "reverse dns"},
	{CAUSE_BLOCKED, "reverse-dns"},
	{CAUSE_BLOCKED, "ptr record"},
	{CAUSE_BLOCKED, "ptr resource record"},
	{CAUSE_BLOCKED, "no ptr"},
	{CAUSE_BLOCKED, "a ptr"},
	{CAUSE_BLOCKED, "dns record for"},
	{CAUSE_BLOCKED, "your hostname"},
	{CAUSE_BLOCKED, "reputation"},
	{CAUSE_BLOCKED, "banned sending ip"},
	{CAUSE_BLOCKED, "dynamic ip"},
	{CAUSE_BLOCKED, "your ip"},
	{CAUSE_BLOCKED, "ip address"},
	{CAUSE_BLOCKED, "your network"},
	{CAUSE_BLOCKED, "your mail server"},
	{CAUSE_BLOCKED, "your server"},
	{CAUSE_FULL, "mailbox full"},
	{CAUSE_FULL, "mailbox is full"},
	{CAUSE_FULL, "mail box full"},
	{CAUSE_FULL, "mailbox has exceeded"},
	{CAUSE_FULL, "mailbox size"},
	{CAUSE_FULL, "mailbox quota"},
	{CAUSE_FULL, "mailbox exceeds"},
	{CAUSE_FULL, "mailfolder is full"},
	{CAUSE_FULL, "mailfolder full"},
	{CAUSE_FULL, "inbox is full"},
	{CAUSE_FULL, "inbox full"},
	{CAUSE_FULL, "folder is full"},
	{CAUSE_FULL, "account is full"},
	{CAUSE_FULL, "is over quota"},
	{CAUSE_FULL, "over quota"},
	{CAUSE_FULL, "overquota"},
	{CAUSE_FULL, "over the allowed quota"},
	{CAUSE_FULL, "over their quota"},
	{CAUSE_FULL, "over its quota"},
	{CAUSE_FULL, "over disk quota"},
	{CAUSE_FULL, "out of quota"},
	{CAUSE_FULL, "quota exceed"},
	{CAUSE_FULL, "quota is exceeded"},
	{CAUSE_FULL, "quota violation"},
	{CAUSE_FULL, "quota full"},
	{CAUSE_FULL, "exceeds quota"},
	{CAUSE_FULL, "exceeded quota"},
	{CAUSE_FULL, "exceeded the quota"},
	{CAUSE_FULL, "exceed the quota"},
	{CAUSE_FULL, "exceeded its quota"},
	{CAUSE_FULL, "exceeded storage"},
	{CAUSE_FULL, "exceeded its storage"},
	{CAUSE_FULL, "exceeds storage"},
	{CAUSE_FULL, "exceeds the recipient's quota"},
	{CAUSE_FULL, "exceeding the recipient's"},
	{CAUSE_FULL, "exceeded email quota"},
	{CAUSE_FULL, "disk quota"},
	{CAUSE_FULL, "diskquota"},
	{CAUSE_FULL, "insufficient quota"},
	{CAUSE_FULL, "storage quota"},
	{CAUSE_FULL, "storage limit"},
	{CAUSE_FULL, "out of storage"},
	{CAUSE_FULL, "storage space in mailbox"},
	{CAUSE_FULL, "space in user's mailbox"},
	{CAUSE_FULL, "not enough storage space"},
	{CAUSE_FULL, "insufficient disk quota"},
	{CAUSE_FULL, "too much mail data"},
	{CAUSE_FULL, "recipient reached disk"},
	{CAUSE_FULL, "reached their storage"},
	{CAUSE_FULL, "allocated space"},
	{CAUSE_FULL, "larger than the current system limit"},
	{CAUSE_FULL, "user has too many messages"},
	{CAUSE_FULL, "too many messages in the mailbox"},
	{CAUSE_FULL, "too many messages on this mailbox"},
	{CAUSE_FULL, "postfach ist voll"},
	{CAUSE_FULL, "postfach voll"},
	{CAUSE_FULL, "buzón lleno"},
	{CAUSE_FULL, "boîte pleine"},
	{CAUSE_FULL, "boîte aux lettres pleine"},
	{CAUSE_FULL, "exceeded the local limit"},
	{CAUSE_FULL, "sufficient space"},
	{CAUSE_FULL, "maximum number of messages"},
	{CAUSE_SIZE, "message too large"},
	{CAUSE_SIZE, "message is too large"},
	{CAUSE_SIZE, "message too big"},
	{CAUSE_SIZE, "message is too big"},
	{CAUSE_SIZE, "message size exceed"},
	{CAUSE_SIZE, "message size is"},
	{CAUSE_SIZE, "message file too big"},
	{CAUSE_SIZE, "message length exceed"},
	{CAUSE_SIZE, "message exceeds"},
	{CAUSE_SIZE, "exceeds fixed maximum message size"},
	{CAUSE_SIZE, "exceeds maximum"},
	{CAUSE_SIZE, "exceeded maximum"},
	{CAUSE_SIZE, "size limit"},
	{CAUSE_SIZE, "too large for"},
	{CAUSE_SIZE, "max message size"},
	{CAUSE_SIZE, "maximum message size"},
	{CAUSE_SIZE, "mail too large"},
	{CAUSE_POLICY, "dmarc"},
	{CAUSE_POLICY, "dkim"},
	{CAUSE_POLICY, " spf"},
	{CAUSE_POLICY, "spf check"},
	{CAUSE_POLICY, "sender policy framework"},
	{CAUSE_CONTENT, "virus"},
	{CAUSE_CONTENT, "malware"},
	{CAUSE_SPAM, "spam"},
	{CAUSE_SPAM, "unsolicited"},
	{CAUSE_SPAM, "junk mail"},
	{CAUSE_SPAM, "junkmail"},
	{CAUSE_SPAM, "bulk mail"},
	{CAUSE_SPAM, "bulk e-mail"},
	{CAUSE_SPAM, "message content"},
	{CAUSE_SPAM, "mail content denied"},
	{CAUSE_SPAM, "content filter"},
	{CAUSE_SPAM, "content rejected"},
	{CAUSE_SPAM, "appears to be uce"},
	{CAUSE_SPAM, "suspicious"},
	{CAUSE_MOVED, "user has moved"},
	{CAUSE_MOVED, "user has changed"},
	{CAUSE_MOVED, "has moved to"},
	{CAUSE_MOVED, "mailbox has moved"},
	{CAUSE_MOVED, "address has changed"},
	{CAUSE_MOVED, "has been replaced by"},
	{CAUSE_MOVED, "no longer at this address"},
	{CAUSE_MOVED, "new address is"},
	{CAUSE_SUSPENDED, "disabled"},
	{CAUSE_SUSPENDED, "inactive"},
	{CAUSE_SUSPENDED, "inactivity"},
	{CAUSE_SUSPENDED, "suspended"},
	{CAUSE_SUSPENDED, "suspension"},
	{CAUSE_SUSPENDED, "deactivated"},
	{CAUSE_SUSPENDED, "not active"},
	{CAUSE_SUSPENDED, "not been activated"},
	{CAUSE_SUSPENDED, "account expired"},
	{CAUSE_SUSPENDED, "account is locked"},
	{CAUSE_SUSPENDED, "account locked"},
	{CAUSE_SUSPENDED, "has been locked"},
	{CAUSE_SUSPENDED, "mailbox frozen"},
	{CAUSE_SUSPENDED, "is frozen"},
	{CAUSE_SUSPENDED, "currently not accepting"},
	{CAUSE_SUSPENDED, "currently has been"},
	{CAUSE_SUSPENDED, "mailbox temporarily"},
	{CAUSE_NO_USER, "user unknown"},
	{CAUSE_NO_USER, "unknown user"},
	{CAUSE_NO_USER, "user is unknown"},
	{CAUSE_NO_USER, "user not known"},
	{CAUSE_NO_USER, "user not found"},
	{CAUSE_NO_USER, "user doesn't exist"},
	{CAUSE_NO_USER, "user does not exist"},
	{CAUSE_NO_USER, "user not exist"},
	{CAUSE_NO_USER, "user does not have"},
	{CAUSE_NO_USER, "user doesn't have a"},
	{CAUSE_NO_USER, "no such user"},
	{CAUSE_NO_USER, "no such recipient"},
	{CAUSE_NO_USER, "no such mailbox"},
	{CAUSE_NO_USER, "no such address"},
	{CAUSE_NO_USER, "no such person"},
	{CAUSE_NO_USER, "no such account"},
	{CAUSE_NO_USER, "no such email"},
	{CAUSE_NO_USER, "no such local"},
	{CAUSE_NO_USER, "no such virtual user"},
	{CAUSE_NO_USER, "no user by that name"},
	{CAUSE_NO_USER, "no mailbox here"},
	{CAUSE_NO_USER, "no mailbox by that name"},
	{CAUSE_NO_USER, "no mailbox found"},
	{CAUSE_NO_USER, "no account by that name"},
	{CAUSE_NO_USER, "no recipients found"},
	{CAUSE_NO_USER, "no matches to nameserver query"},
	{CAUSE_NO_USER, "unknown recipient"},
	{CAUSE_NO_USER, "recipient unknown"},
	{CAUSE_NO_USER, "recipient not found"},
	{CAUSE_NO_USER, "recipient does not exist"},
	{CAUSE_NO_USER, "recipient no longer on server"},
	{CAUSE_NO_USER, "recipient not known"},
	{CAUSE_NO_USER, "recipient name is not recognized"},
	{CAUSE_NO_USER, "recipient was not found"},
	{CAUSE_NO_USER, "recipient is not local"},
	{CAUSE_NO_USER, "recipient not exist"},
	{CAUSE_NO_USER, "recipnotfound"},
	{CAUSE_NO_USER, "recipientnotfound"},
	{CAUSE_NO_USER, "not found by smtp address lookup"},
	{CAUSE_NO_USER, "invalid recipient"},
	{CAUSE_NO_USER, "recipient is invalid"},
	{CAUSE_NO_USER, "recipient invalid"},
	{CAUSE_NO_USER, "invalid mailbox"},
	{CAUSE_NO_USER, "invalid user"},
	{CAUSE_NO_USER, "invalid final delivery userid"},
	{CAUSE_NO_USER, "not a valid mailbox"},
	{CAUSE_NO_USER, "not a valid user"},
	{CAUSE_NO_USER, "not a valid recipient"},
	{CAUSE_NO_USER, "not a known user"},
	{CAUSE_NO_USER, "not a local user"},
	{CAUSE_NO_USER, "is not a user"},
	{CAUSE_NO_USER, "unknown mailbox"},
	{CAUSE_NO_USER, "mailbox unknown"},
	{CAUSE_NO_USER, "mailbox not found"},
	{CAUSE_NO_USER, "mailbox does not exist"},
	{CAUSE_NO_USER, "mailbox doesn't exist"},
	{CAUSE_NO_USER, "mailbox not present"},
	{CAUSE_NO_USER, "mailbox is unknown"},
	{CAUSE_NO_USER, "mailbox invalid"},
	{CAUSE_NO_USER, "bad destination mailbox"},
	{CAUSE_NO_USER, "unknown address"},
	{CAUSE_NO_USER, "address unknown"},
	{CAUSE_NO_USER, "address not found"},
	{CAUSE_NO_USER, "address does not exist"},
	{CAUSE_NO_USER, "address doesn't exist"},
	{CAUSE_NO_USER, "address no longer exists"},
	{CAUSE_NO_USER, "address is not valid"},
	{CAUSE_NO_USER, "address couldn't be found"},
	{CAUSE_NO_USER, "address you entered couldn't be found"},
	{CAUSE_NO_USER, "address you sent your message to wasn't found"},
	{CAUSE_NO_USER, "wasn't found at"},
	{CAUSE_NO_USER, "addressee unknown"},
	{CAUSE_NO_USER, "unrouteable address"},
	{CAUSE_NO_USER, "unknown account"},
	{CAUSE_NO_USER, "account unknown"},
	{CAUSE_NO_USER, "account not found"},
	{CAUSE_NO_USER, "account does not exist"},
	{CAUSE_NO_USER, "that you tried to reach does not exist"},
	{CAUSE_NO_USER, "account has been deleted"},
	{CAUSE_NO_USER, "no longer exists"},
	{CAUSE_NO_USER, "unknown local part"},
	{CAUSE_NO_USER, "unknown local-part"},
	{CAUSE_NO_USER, "unknown or illegal"},
	{CAUSE_NO_USER, "not our customer"},
	{CAUSE_NO_USER, "is not known at this site"},
	{CAUSE_NO_USER, "not listed in domino directory"},
	{CAUSE_NO_USER, "not listed in public name"},
	{CAUSE_NO_USER, "no local mailbox"},
	{CAUSE_NO_USER, "does not have an account"},
	{CAUSE_NO_USER, "doesn't have an account"},
	{CAUSE_NO_USER, "can't find user"},
	{CAUSE_NO_USER, "cannot find user"},
	{CAUSE_NO_USER, "this address no longer accepts mail"},
	{CAUSE_NO_USER, "no valid recipients"},
	{CAUSE_NO_USER, "invalid user address"},
	{CAUSE_NO_USER, "requested action not taken: mailbox unavailable"},
	{CAUSE_NO_USER, "not a registered"},
	{CAUSE_NO_USER, "benutzer unbekannt"},
	{CAUSE_NO_USER, "unbekannter benutzer"},
	{CAUSE_NO_USER, "unbekannter empfänger"},
	{CAUSE_NO_USER, "empfänger unbekannt"},
	{CAUSE_NO_USER, "empfänger existiert nicht"},
	{CAUSE_NO_USER, "adresse existiert nicht"},
	{CAUSE_NO_USER, "usuario desconocido"},
	{CAUSE_NO_USER, "no existe el usuario"},
	{CAUSE_NO_USER, "usuario no existe"},
	{CAUSE_NO_USER, "utilisateur inconnu"},
	{CAUSE_NO_USER, "adresse inconnue"},
	{CAUSE_NO_DOMAIN, "host unknown"},
	{CAUSE_NO_DOMAIN, "unknown host"},
	{CAUSE_NO_DOMAIN, "unknown domain"},
	{CAUSE_NO_DOMAIN, "domain unknown"},
	{CAUSE_NO_DOMAIN, "domain not found"},
	{CAUSE_NO_DOMAIN, "domain name not found"},
	{CAUSE_NO_DOMAIN, "no such domain"},
	{CAUSE_NO_DOMAIN, "no such host"},
	{CAUSE_NO_DOMAIN, "domain does not exist"},
	{CAUSE_NO_DOMAIN, "domain doesn't exist"},
	{CAUSE_NO_DOMAIN, "domain must exist"},
	{CAUSE_NO_DOMAIN, "invalid domain"},
	{CAUSE_NO_DOMAIN, "illegal host"},
	{CAUSE_NO_DOMAIN, "bad destination system"},
	{CAUSE_NO_DOMAIN, "couldn't find any host"},
	{CAUSE_NO_DOMAIN, "host by that name"},
	{CAUSE_NO_DOMAIN, "host not found"},
	{CAUSE_NO_DOMAIN, "unrouteable mail domain"},
	{CAUSE_NO_DOMAIN, "unroutable mail domain"},
	{CAUSE_NO_DOMAIN, "non-existent hosts"},
	{CAUSE_NO_DOMAIN, "nxdomain"},
	{CAUSE_NO_DOMAIN, "non-existent domain"},
	{CAUSE_NO_DOMAIN, "recipient address has null mx"},
	{CAUSE_NO_DOMAIN, "does not accept mail (nullmx)"},
	{CAUSE_NO_DOMAIN, "no mx record"},
	{CAUSE_NO_DOMAIN, "no mx found"},
	{CAUSE_NO_DOMAIN, "indicated no smtp service"},
	{CAUSE_NO_DOMAIN, "domain is not reachable"},
	{CAUSE_SIZE, "too large"},
	{CAUSE_EXPIRED, "retry timeout exceeded"},
	{CAUSE_EXPIRED, "retry time not reached"},
	{CAUSE_EXPIRED, "retry timeout"},
	{CAUSE_EXPIRED, "message expired"},
	{CAUSE_EXPIRED, "delivery expired"},
	{CAUSE_EXPIRED, "delivery time expired"},
	{CAUSE_EXPIRED, "expired in queue"},
	{CAUSE_EXPIRED, "queue too long"},
	{CAUSE_EXPIRED, "been in the queue"},
	{CAUSE_EXPIRED, "could not be delivered for"},
	{CAUSE_EXPIRED, "cannot send message within"},
	{CAUSE_EXPIRED, "unable to deliver this message after"},
	{CAUSE_EXPIRED, "was unable to deliver"},
	{CAUSE_EXPIRED, "multiple retries"},
	{CAUSE_EXPIRED, "retries exceeded"},
	{CAUSE_EXPIRED, "delivery timed out"},
	{CAUSE_EXPIRED, "failing for a long time"},
	{CAUSE_EXPIRED, "time limit exceeded"},
	{CAUSE_RATE, "too many messages"},
	{CAUSE_RATE, "too many connections"},
	{CAUSE_RATE, "too many recipients"},
	{CAUSE_RATE, "too many sessions"},
	{CAUSE_RATE, "too many invalid"},
	{CAUSE_RATE, "too many"},
	{CAUSE_RATE, "rate limit"},
	{CAUSE_RATE, "ratelimit"},
	{CAUSE_RATE, "throttl"},
	{CAUSE_RATE, "greylist"},
	{CAUSE_RATE, "graylist"},
	{CAUSE_RATE, "unusual rate"},
	{CAUSE_RATE, "rate that"},
	{CAUSE_SYSTEM, "loop"},
	{CAUSE_SYSTEM, "too many hops"},
	{CAUSE_SYSTEM, "hop count"},
	{CAUSE_SYSTEM, "insufficient system"},
	{CAUSE_SYSTEM, "disk full"},
	{CAUSE_SYSTEM, "disk is full"},
	{CAUSE_SYSTEM, "no space left"},
	{CAUSE_SYSTEM, "system error"},
	{CAUSE_SYSTEM, "internal error"},
	{CAUSE_SYSTEM, "internal software error"},
	{CAUSE_SYSTEM, "configuration error"},
	{CAUSE_SYSTEM, "command died"},
	{CAUSE_SYSTEM, "command failed"},
	{CAUSE_SYSTEM, "exited with"},
	{CAUSE_SYSTEM, "procmail"},
	{CAUSE_SYSTEM, "can't create"},
	{CAUSE_SYSTEM, "cannot open"},
	{CAUSE_SYSTEM, "mailer error"},
	{CAUSE_SYSTEM, "out of memory"},
	{CAUSE_POLICY, "relaying"},
	{CAUSE_POLICY, "relay access"},
	{CAUSE_POLICY, "relay denied"},
	{CAUSE_POLICY, "relay not"},
	{CAUSE_POLICY, "to relay"},
	{CAUSE_POLICY, "authenticat"},
	{CAUSE_POLICY, "authoriz"},
	{CAUSE_POLICY, "policy"},
	{CAUSE_POLICY, "policies"},
	{CAUSE_POLICY, "permission"},
	{CAUSE_POLICY, "not permitted"},
	{CAUSE_POLICY, "not allowed"},
	{CAUSE_POLICY, "prohibited"},
	{CAUSE_POLICY, "restricted"},
	{CAUSE_POLICY, "access denied"},
	{CAUSE_POLICY, "administrative"},
	{CAUSE_NETWORK, "connection timed out"},
	{CAUSE_NETWORK, "connection timeout"},
	{CAUSE_NETWORK, "connection refused"},
	{CAUSE_NETWORK, "connection was"},
	{CAUSE_NETWORK, "connection dropped"},
	{CAUSE_NETWORK, "connection lost"},
	{CAUSE_NETWORK, "lost connection"},
	{CAUSE_NETWORK, "unable to connect"},
	{CAUSE_NETWORK, "could not connect"},
	{CAUSE_NETWORK, "couldn't connect"},
	{CAUSE_NETWORK, "cannot connect"},
	{CAUSE_NETWORK, "establish an smtp connection"},
	{CAUSE_NETWORK, "no route to host"},
	{CAUSE_NETWORK, "network is unreachable"},
	{CAUSE_NETWORK, "network unreachable"},
	{CAUSE_NETWORK, "host unreachable"},
	{CAUSE_NETWORK, "host is down"},
	{CAUSE_NETWORK, "no answer from host"},
	{CAUSE_NETWORK, "timed out while"},
	{CAUSE_NETWORK, "timed out"},
	{CAUSE_NETWORK, "name server"},
	{CAUSE_NETWORK, "tls"},
	{CAUSE_BLOCKED, "blocked"},
	{CAUSE_CONTENT, "attachment"},
	{CAUSE_CONTENT, "header error"},
	{CAUSE_CONTENT, "invalid header"},
	{CAUSE_CONTENT, "rfc 5322"},
	{CAUSE_CONTENT, "rfc 2822"},
	{CAUSE_CONTENT, "rfc5322"},
	{CAUSE_CONTENT, "format"},
};

char *mail_words(const char *text)
{
	static const struct {
		const char *was, *is;
	} marks[] = {{"\xe2\x80\x99", "'"}, {"\xe2\x80\x98", "'"}, {"\xc2\xa0", " "}};
	size_t len = strnlen(text, MAIL_LOOKED_AT), out = 0;
	char *words = xmalloc(len + 2);

	for (size_t i = 0; i < len;) {
		char c = text[i];
		size_t took = 1;
		for (size_t m = 0; m < sizeof marks / sizeof marks[0]; m++)
			if (strncmp(text + i, marks[m].was, strlen(marks[m].was)) == 0) {
				took = strlen(marks[m].was);
				c = *marks[m].is;
			}
		i += took;
		if (c == '"' || c == '\xad')
			continue;
		if (isspace((unsigned char)c) || c == '_')
			c = ' ';
		if (c == ' ' && (!out || words[out - 1] == ' '))
			continue;
		words[out++] = (char)tolower((unsigned char)c);
	}
	words[out] = '\0';
	return words;
}

bool mail_words_have(const char *words, const char *const list[])
{
	for (size_t i = 0; list[i]; i++)
		if (strstr(words, list[i]))
			return true;
	return false;
}

enum mail_cause mail_cause_of(const char *words)
{
	for (size_t i = 0; i < sizeof phrases / sizeof phrases[0]; i++)
		if (strstr(words, phrases[i].phrase))
			return phrases[i].cause;
	return CAUSE_UNSAID;
}

enum mail_cause mail_cause_of_status(const char *status)
{
	static const struct {
		const char *part; /* behind the class */
		enum mail_cause cause;
	} causes[] = {
		{"1.1", CAUSE_NO_USER}, {"1.2", CAUSE_NO_DOMAIN},  {"1.3", CAUSE_NO_USER},
		{"1.6", CAUSE_MOVED},   {"1.10", CAUSE_NO_DOMAIN}, {"1.7", CAUSE_SENDER},
		{"1.8", CAUSE_SENDER},  {"2.1", CAUSE_SUSPENDED},  {"2.2", CAUSE_FULL},
		{"2.3", CAUSE_SIZE},    {"2.4", CAUSE_SYSTEM},     {"3.4", CAUSE_SIZE},
		{"3.1", CAUSE_SYSTEM},  {"3.2", CAUSE_SYSTEM},     {"3.5", CAUSE_SYSTEM},
		{"4.1", CAUSE_NETWORK}, {"4.2", CAUSE_NETWORK},    {"4.3", CAUSE_NETWORK},
		{"4.4", CAUSE_NETWORK}, {"4.6", CAUSE_SYSTEM},     {"4.7", CAUSE_EXPIRED},
		{"5.3", CAUSE_RATE},    {"6.0", CAUSE_CONTENT},    {"6.1", CAUSE_CONTENT},
		{"6.2", CAUSE_CONTENT}, {"6.3", CAUSE_CONTENT},
	};

	if (strlen(status) < 5)
		return CAUSE_UNSAID;
	for (size_t i = 0; i < sizeof causes / sizeof causes[0]; i++)
		if (strcmp(status + 2, causes[i].part) == 0)
			return causes[i].cause;
	return status[2] == '7' ? CAUSE_POLICY : CAUSE_UNSAID;
}

/* "5.1.1", and nothing that it is a part of (an address of the network, a version). Its length; 0: none. */
static size_t status_at(const char *text, size_t at)
{
	const char *s = text + at;
	size_t n = 0;

	if ((*s != '2' && *s != '4' && *s != '5') || s[1] != '.' || s[2] < '0' || s[2] > '7' || s[3] != '.')
		return 0;
	if (at && (isalnum((unsigned char)text[at - 1]) || strchr("./-", text[at - 1])) &&
	    !(at >= 4 && text[at - 1] == '-' && isdigit((unsigned char)text[at - 2])))
		return 0;
	while (isdigit((unsigned char)s[4 + n]))
		n++;
	bool goes_on =
		isalpha((unsigned char)s[4 + n]) || (s[4 + n] == '.' && isdigit((unsigned char)s[5 + n]));
	return n && n <= 3 && !goes_on ? 4 + n : 0;
}

static bool code_at(const char *text, size_t at)
{
	const char *s = text + at;

	return (*s == '4' || *s == '5') && s[1] >= '0' && s[1] <= '5' && isdigit((unsigned char)s[2]) &&
	       !isalnum((unsigned char)s[3]) && s[3] != '.' && s[3] != '@' &&
	       !(at && (isalnum((unsigned char)text[at - 1]) || strchr(".,:/-=", text[at - 1])) &&
		 !(text[at - 1] == ':' && at > 1 && !isdigit((unsigned char)text[at - 2])));
}

void mail_find_codes(const char *text, char status[12], char code[4])
{
	size_t found = 0, found_len = 0, len = 0;
	bool together = false;

	status[0] = code[0] = '\0';
	for (size_t i = 0; text[i] && !together; i++) {
		if (code_at(text, i)) {
			bool behind = (text[i + 3] == ' ' || text[i + 3] == '-') &&
				      (len = status_at(text, i + 4)) != 0;
			if (!code[0] || behind) {
				memcpy(code, text + i, 3);
				code[3] = '\0';
			}
			if (behind && text[i + 4] == text[i]) {
				found = i + 4;
				found_len = len;
				together = true;
			}
		} else if (!found_len && (len = status_at(text, i)) != 0) {
			found = i;
			found_len = len;
		}
	}
	memcpy(status, text + found, found_len);
	status[found_len] = '\0';
}
