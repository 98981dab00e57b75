/* Every key of heed's files, in the order in which they are shown. The checker, the defaults, `heed help
 * config`, heed.yaml(5) and the samples config/heed.yaml and config/products.yaml all come from these tables
 * (the types are explained in config_check.h). KEY(path, type, default or NULL, limits, adapter or "", flags,
 * example, help) */

#define CONFIG_KEYS(KEY)                                                                                     \
	KEY("gateway", MAP, NULL, "", "", 0, "", "This process.")                                            \
	KEY("gateway.name", TEXT, NULL, "required", "", 0, "gateway-1",                                      \
	    "Its name, stable over restarts: whose entries are whose in Redis. Default: the host's name.")   \
	KEY("gateway.lease", DURATION, "30s", "", "", 0, "",                                                 \
	    "How long a claimed attempt may take to begin.")                                                 \
	KEY("gateway.drain", DURATION, "20s", "", "", 0, "",                                                 \
	    "How long SIGTERM waits for what is under way.")                                                 \
	KEY("gateway.attempt_open_max", DURATION, "24h", "", "", 0, "",                                      \
	    "How long an attempt that nobody reports is listed as on its way.")                              \
	KEY("queue", MAP, NULL, "", "", 0, "", "Redis, which carries messages in and events out.")           \
	KEY("queue.redis", URL, "redis://127.0.0.1:6379/0", "required", "", KEY_SECRET, "",                  \
	    "redis://[user:password@]host[:port][/db], unix:PATH, redis+cluster://h1:p1,h2:p2, or "          \
	    "redis+sentinel://h1:p1,h2:p2/NAME.")                                                            \
	KEY("queue.prefix", TEXT, "heed", "required", "", 0, "",                                             \
	    "What stands in front of the names of its streams.")                                             \
	KEY("queue.partitions", INTEGER, "1", "1..1024", "", 0, "",                                          \
	    "Streams for each lane, each a part of the customers.")                                          \
	KEY("queue.events_max", INTEGER, "100000", "1..1000000000", "", 0, "",                               \
	    "Entries that heed:events keeps.")                                                               \
	KEY("queue.dead_max", INTEGER, "100000", "1..1000000000", "", 0, "",                                 \
	    "Entries in heed:dead over which the gateway stops reading.")                                    \
	KEY("store", MAP, NULL, "", "", KEY_REQUIRED | KEY_SAMPLE, "{ url: \"sqlite:../var/heed.db\" }",     \
	    "Where everything is kept.")                                                                     \
	KEY("store.url", URL, NULL, "required", "", KEY_REQUIRED | KEY_SAMPLE | KEY_SECRET,                  \
	    "\"sqlite:../var/heed.db\"",                                                                     \
	    "sqlite:PATH, or postgresql://USER@HOST/DATABASE as libpq takes it.")                            \
	KEY("store.migrate", WORD, "auto", "auto|manual", "", 0, "",                                         \
	    "auto: a newer schema is applied at start; manual: by `heed migrate`.")                          \
	KEY("store.max_backlog", INTEGER, "10000000", "1..1000000000000", "", 0, "",                         \
	    "Waiting messages over which the bulk lane is left in Redis.")                                   \
	KEY("http", MAP, NULL, "", "", 0, "",                                                                \
	    "Listeners. The Unix socket for the command line is always there.")                              \
	KEY("http.socket", TEXT, "../var/heed.sock", "required", "", 0, "", "Where; its mode is 0600.")      \
	KEY("http.public", TEXT, NULL, "required", "", 0, "\"127.0.0.1:8480\"",                              \
	    "The customers' page, unsubscribe, callbacks of providers: ADDRESS:PORT.")                       \
	KEY("http.internal", TEXT, NULL, "required", "", 0, "\"127.0.0.1:8481\"",                            \
	    "API, log, metrics, health, the operators' page: ADDRESS:PORT.")                                 \
	KEY("http.public_url", TEXT, "", "", "", 0, "\"https://m.example.com\"",                             \
	    "How customers reach `public`; required with it.")                                               \
	KEY("http.trusted_proxies", TEXTS, "[]", "", "", 0, "", "Whose X-Forwarded-For is believed.")        \
	KEY("http.tokens", MAPS, "[]", "", "", 0, "",                                                        \
	    "Who may use the API: `heed token NAME` prints a line.")                                         \
	KEY("http.tokens.*", MAP, NULL, "", "", 0, "", "A token.")                                           \
	KEY("http.tokens.*.name", TEXT, NULL, "required", "", KEY_REQUIRED, "shop", "Whose it is.")          \
	KEY("http.tokens.*.sha256", TEXT, NULL, "required", "", KEY_REQUIRED | KEY_SECRET, "\"…\"",          \
	    "Its hash.")                                                                                     \
	KEY("http.tokens.*.scopes", TEXTS, NULL, "", "", KEY_REQUIRED, "[send, read]",                       \
	    "What it may: send, read, history, write, ops.")                                                 \
	KEY("http.tokens.*.products", TEXTS, NULL, "", "", 0, "[card-alerts]",                               \
	    "For these only. Default: all.")                                                                 \
	KEY("secrets", TEXTS, "[]", "", "", KEY_SECRET, "[ \"${HEED_SECRET}\" ]",                            \
	    "Each 32 bytes or more. The first signs, all verify; required with http.public.")                \
	KEY("products", TEXT, NULL, "required", "", KEY_REQUIRED | KEY_SAMPLE, "products.yaml",              \
	    "The file that says what messages are about.")                                                   \
	KEY("templates", TEXT, "../templates", "required", "", 0, "",                                        \
	    "The folder of messages/ and partials/; what is in its pages/ and assets/ takes the place of "   \
	    "heed's own.")                                                                                   \
	KEY("customers", MAP, NULL, "", "", 0, "", "For customers who have none of their own.")              \
	KEY("customers.timezone", TEXT, "UTC", "required", "", 0, "",                                        \
	    "Time zone, as America/Argentina/Buenos_Aires.")                                                 \
	KEY("customers.locale", TEXT, "en", "required", "", 0, "", "Language, as es-AR.")                    \
	KEY("company", MAP, NULL, "", "", 0, "", "What the customers' page shows.")                          \
	KEY("company.name", TEXT, "", "", "", 0, "Example Bank", "Its name.")                                \
	KEY("company.logo", TEXT, "", "", "", 0, "logo.svg",                                                 \
	    "A picture file (PNG, JPEG, GIF, WebP, SVG), shown 40 pixels high.")                             \
	KEY("company.colour", TEXT, "", "", "", 0, "\"#0a5c36\"",                                            \
	    "Of buttons and links; darker or lighter where it could not be read.")                           \
	KEY("limits", MAP, NULL, "", "", 0, "", "Caps over several products.")                               \
	KEY("limits.marketing", TEXT, "", "", "", 0, "3/week",                                               \
	    "Over all marketing together, for each customer: 3/week.")                                       \
	KEY("history", MAP, NULL, "", "", 0, "", "What is kept of what was sent.")                           \
	KEY("history.content", WORD, "summary", "full|summary|none", "", 0, "",                              \
	    "How much of a message's text.")                                                                 \
	KEY("history.content_keep", DURATION, "90d", "", "", 0, "", "For how long.")                         \
	KEY("history.contacts_keep", DURATION, "400d", "", "", 0, "", "For how long contacts are kept.")     \
	KEY("channels", NAMES, NULL, "", "", KEY_REQUIRED | KEY_SAMPLE, "{ email: { adapter: smtp, … } }",   \
	    "The ways to reach a customer: names of your own, at least one.")                                \
	KEY("channels.*", MAP, NULL, "", "", 0, "", "A channel.")                                            \
	KEY("channels.*.adapter", TEXT, NULL, "required", "", KEY_REQUIRED | KEY_SAMPLE, "smtp",             \
	    "The code that speaks its protocol: smtp, http or webhook; capture (heed captured shows it) "    \
	    "and flaky (for drills) send nothing.")                                                          \
	KEY("channels.*.relay", URL, NULL, "required", "smtp", KEY_REQUIRED | KEY_SAMPLE | KEY_SECRET,       \
	    "\"smtp://127.0.0.1:25\"",                                                                       \
	    "smtp://host[:port] to this host or a trusted network; smtps:// or "                             \
	    "smtp+starttls://[user:password@]host[:port] else.")                                             \
	KEY("channels.*.ca", TEXT, "", "", "smtp", 0, "mail-ca.pem",                                         \
	    "Whom the relay's certificate must come from, a PEM file. Default: those whom this system "      \
	    "trusts.")                                                                                       \
	KEY("channels.*.from", TEXT, NULL, "required", "smtp", KEY_REQUIRED | KEY_SAMPLE,                    \
	    "\"Example Bank <messages@example.com>\"", "Whom the mail is from.")                             \
	KEY("channels.*.envelope_from", TEXT, "", "", "smtp", KEY_SAMPLE, "\"bounces@example.com\"",         \
	    "Where bounces go; bounces+{token}@example.com names the attempt in it. Default: the address "   \
	    "of `from`.")                                                                                    \
	KEY("channels.*.inbound", MAP, NULL, "", "smtp", 0, "",                                              \
	    "A mailbox that is read: where envelope_from, from and complaints lead. Nobody else may read "   \
	    "it.")                                                                                           \
	KEY("channels.*.inbound.imap", URL, NULL, "required", "smtp", KEY_REQUIRED | KEY_SECRET,             \
	    "\"imaps://user:password@mail.example.com/INBOX\"",                                              \
	    "imaps:// or imap+starttls://user:password@host[:port]/FOLDER; imap:// only on this host.")      \
	KEY("channels.*.inbound.ca", TEXT, "", "", "smtp", 0, "mail-ca.pem",                                 \
	    "Whom its certificate must come from, a PEM file. Default: those whom this system trusts.")      \
	KEY("channels.*.inbound.every", DURATION, "1m", "", "smtp", 0, "",                                   \
	    "How often it is looked at, where the server does not tell of new mail by itself (IDLE).")       \
	KEY("channels.*.inbound.then", WORD, "mark", "mark|delete", "smtp", 0, "",                           \
	    "What becomes of a mail once it is recorded: marked as read, or deleted.")                       \
	KEY("channels.*.sessions", INTEGER, "4", "1..64", "smtp", 0, "", "Connections to the relay.")        \
	KEY("channels.*.dkim", MAPS, "[]", "", "smtp", 0,                                                    \
	    "[ { domain: example.com, selector: s2026, key: \"${file:dkim.pem}\" } ]",                       \
	    "DKIM keys; each signs every mail. RSA and Ed25519 may stand side by side, at most 4.")          \
	KEY("channels.*.dkim.*", MAP, NULL, "", "smtp", 0, "", "A key.")                                     \
	KEY("channels.*.dkim.*.domain", TEXT, NULL, "required", "smtp", KEY_REQUIRED, "example.com",         \
	    "That of `from`, or one above it.")                                                              \
	KEY("channels.*.dkim.*.selector", TEXT, NULL, "required", "smtp", KEY_REQUIRED, "s2026",             \
	    "The public key stands in the DNS at SELECTOR._domainkey.DOMAIN.")                               \
	KEY("channels.*.dkim.*.key", TEXT, NULL, "required", "smtp", KEY_REQUIRED | KEY_SECRET,              \
	    "\"${file:dkim.pem}\"", "The private key, as PEM.")                                              \
	KEY("channels.*.provider", TEXT, NULL, "required", "http", KEY_SAMPLE, "twilio",                     \
	    "The provider's file: providers/NAME.yaml beside this one, or an installed one; with a / a "     \
	    "path.")                                                                                         \
	KEY("channels.*.settings", FREE, NULL, "", "http", KEY_SAMPLE | KEY_SECRET,                          \
	    "{ account_sid: \"${TWILIO_SID}\", auth_token: \"${TWILIO_TOKEN}\", from: \"+15005550006\" }",   \
	    "What the provider's file asks for.")                                                            \
	KEY("channels.*.max_segments", INTEGER, NULL, "1..255", "http", 0, "3",                              \
	    "A short message that takes more is an error; it is never cut. Default: 255, the most that "     \
	    "there can be.")                                                                                 \
	KEY("channels.*.numbers", MAP, NULL, "", "http", 0, "",                                              \
	    "How national phone numbers may be written, beside + and 00. Default: they may not.")            \
	KEY("channels.*.numbers.country", TEXT, NULL, "required", "http", KEY_REQUIRED, "\"54\"",            \
	    "The country's code.")                                                                           \
	KEY("channels.*.numbers.trunk", TEXT, NULL, "", "http", 0, "\"0\"",                                  \
	    "What stands in front inside the country, and is dropped. Default: nothing.")                    \
	KEY("channels.*.numbers.digits", INTEGER, NULL, "4..14", "http", 0, "10",                            \
	    "How many digits follow; right where all numbers of the country have as many.")                  \
	KEY("channels.*.allow_private", BOOLEAN, "false", "", "webhook", 0, "",                              \
	    "May customers' URLs lead inside (private, loopback, link-local addresses)? For tests.")         \
	KEY("channels.*.allow_http", BOOLEAN, "false", "", "webhook", 0, "",                                 \
	    "May they be http:// ? For tests.")                                                              \
	KEY("channels.*.faults", MAP, NULL, "", "flaky", 0, "",                                              \
	    "For drills: how often what happens, in percent; the rest is accepted. Nothing is sent.")        \
	KEY("channels.*.faults.rejected", INTEGER, "0", "0..100", "flaky", 0, "5", "Refused for good.")      \
	KEY("channels.*.faults.dead", INTEGER, "0", "0..100", "flaky", 0, "1",                               \
	    "The address does not exist.")                                                                   \
	KEY("channels.*.faults.retry", INTEGER, "0", "0..100", "flaky", 0, "5", "Put off.")                  \
	KEY("channels.*.faults.provider", INTEGER, "0", "0..100", "flaky", 0, "1",                           \
	    "The provider is at fault.")                                                                     \
	KEY("channels.*.faults.in_doubt", INTEGER, "0", "0..100", "flaky", 0, "1",                           \
	    "It breaks off in the middle.")                                                                  \
	KEY("channels.*.faults.slow", INTEGER, "0", "0..100", "flaky", 0, "10", "Accepted, after `delay`.")  \
	KEY("channels.*.faults.hang", INTEGER, "0", "0..100", "flaky", 0, "1",                               \
	    "No answer within the timeout.")                                                                 \
	KEY("channels.*.faults.delay", DURATION, "1s", "", "flaky", 0, "300ms", "How long `slow` takes.")    \
	KEY("channels.*.timeout", DURATION, "15s", "", "", 0, "", "For one attempt.")                        \
	KEY("channels.*.providers", TEXTS, "[]", "", "http", 0, "[twilio, vonage]",                          \
	    "Several in the place of one: the next takes over while the first is at fault. Then `settings` " \
	    "is { NAME: { … } }.")                                                                           \
	KEY("channels.*.rate", TEXT, "", "", "", 0, "100/s",                                                 \
	    "At most so many in a second (/s), a minute (/m) or an hour (/h), to each of its providers. "    \
	    "Default: no limit.")                                                                            \
	KEY("channels.*.in_doubt", WORD, NULL, "resend|hold", "", 0, "hold",                                 \
	    "What becomes of a message that may have been taken. Default: resend for smtp and webhook, "     \
	    "hold for others.")                                                                              \
	KEY("channels.*.retry", MAP, NULL, "", "", 0, "", "The pauses between attempts, with jitter.")       \
	KEY("channels.*.retry.first", DURATION, "10s", "", "", 0, "", "The first one.")                      \
	KEY("channels.*.retry.factor", NUMBER, "3", "1..100", "", 0, "",                                     \
	    "What the next one is multiplied with.")                                                         \
	KEY("channels.*.retry.max", DURATION, "1h", "", "", 0, "", "The longest.")                           \
	KEY("channels.*.retry.give_up_after", DURATION, "24h", "", "", 0, "",                                \
	    "When the message fails; the clock stands while the provider is at fault.")

#define PRODUCT_KEYS(KEY)                                                                               \
	KEY("*", MAP, NULL, "", "", 0, "", "A product, or a part of one (card-alerts/fraud).")          \
	KEY("*.title", LOCALES, NULL, "", "", KEY_SAMPLE, "{ en: Card alerts, es: Avisos de tarjeta }", \
	    "What the customer reads, by locale. Default: the name.")                                   \
	KEY("*.description", LOCALES, NULL, "", "", KEY_SAMPLE, "{ en: Every payment with your card }", \
	    "A sentence on it, by locale.")                                                             \
	KEY("*.purpose", WORD, "service", "service|marketing|critical", "", KEY_SAMPLE, "service",      \
	    "marketing goes only to whom opted in; critical is outside caps.")                          \
	KEY("*.channels", TEXTS, NULL, "", "", KEY_SAMPLE, "[email, webhook]", "What may be chosen.")   \
	KEY("*.default", TEXTS, "[]", "", "", KEY_SAMPLE, "[email]",                                    \
	    "What is used, in order, until the customer chooses. [] = only for whom opts in.")          \
	KEY("*.may_stop", BOOLEAN, "true", "", "", KEY_SAMPLE, "true",                                  \
	    "false: a legal notice; can be moved, not stopped.")                                        \
	KEY("*.content", WORD, NULL, "full|summary|none", "", 0, "summary",                             \
	    "How much of its text the history keeps. Default: history.content.")                        \
	KEY("*.urgent", BOOLEAN, "false", "", "", 0, "",                                                \
	    "With purpose critical: hours, digest and pause do not hold it.")                           \
	KEY("*.quiet_hours", TEXT, "", "", "", 0, "\"22:00-07:00\"",                                    \
	    "Not then, in the customer's time zone; the customer's own hours replace it.")              \
	KEY("*.cap", TEXT, "", "", "", 0, "20/day",                                                     \
	    "For each customer at most so many in a day or week; the rest waits.")                      \
	KEY("*.expires_after", DURATION, NULL, "", "", 0, "24h", "Not sent later than this after it came in.")

/* A rule of a response: all that it names must hold. */
#define PROVIDER_RULE_KEYS(KEY, LIST, WHAT)                                                            \
	KEY("response." LIST, MAPS, "[]", "", "", 0, "", WHAT)                                         \
	KEY("response." LIST ".*", MAP, NULL, "", "", 0, "", "A rule: all that it names must hold.")   \
	KEY("response." LIST ".*.status", FREE, NULL, "", "", 0, "2xx", "200, 2xx, or a list.")        \
	KEY("response." LIST ".*.code", FREE, NULL, "", "", 0, "[21211]",                              \
	    "What error_code gives: one, or a list.")                                                  \
	KEY("response." LIST ".*.json", TEXT, NULL, "required", "", 0, "messages.0.status",            \
	    "A path into the answer; * is each element.")                                              \
	KEY("response." LIST ".*.equals", FREE, NULL, "", "", 0, "\"0\"", "What stands at the path.")  \
	KEY("response." LIST ".*.in", FREE, NULL, "", "", 0, "[\"0\"]", "What may stand at the path.") \
	KEY("response." LIST ".*.text", FREE, NULL, "", "", 0, "{ prefix: \"0:\" }",                   \
	    "prefix and contains, of the whole answer.")

#define PROVIDER_FIND_KEYS(KEY, NAME, WHAT)                                           \
	KEY("response." NAME, MAP, NULL, "", "", 0, "", WHAT)                         \
	KEY("response." NAME ".json", TEXT, NULL, "required", "", 0, "sid",           \
	    "At a path of the answer's JSON.")                                        \
	KEY("response." NAME ".text", TEXT, NULL, "required", "", 0, "'id=([0-9]+)'", \
	    "By a regular expression with one group.")                                \
	KEY("response." NAME ".header", TEXT, NULL, "required", "", 0, "Location", "In a header.")

#define PROVIDER_KEYS(KEY)                                                                                   \
	KEY("name", TEXT, NULL, "required", "", KEY_REQUIRED, "twilio",                                      \
	    "Its name, in contacts and breakers.")                                                           \
	KEY("channel", TEXT, "", "", "", 0, "sms",                                                           \
	    "The channel that it is made for. Texts to phone numbers are short messages, with segments, "    \
	    "where it is sms or \"\".")                                                                      \
	KEY("address", WORD, "phone", "phone|email|url|text", "", 0, "", "What its addresses are.")          \
	KEY("gives_receipts", BOOLEAN, "false", "", "", 0, "", "Does it report what was delivered?")         \
	KEY("settings", NAMES, NULL, "", "", KEY_REQUIRED, "{ base_url: { default: \"https://…\" } }",       \
	    "What a channel's settings may hold.")                                                           \
	KEY("settings.*", MAP, NULL, "", "", 0, "", "A setting.")                                            \
	KEY("settings.*.default", TEXT, NULL, "", "", 0, "", "Its default.")                                 \
	KEY("settings.*.required", BOOLEAN, "false", "", "", 0, "", "Must it be given?")                     \
	KEY("settings.*.secret", BOOLEAN, "false", "", "", 0, "", "Is it never to be shown?")                \
	KEY("settings.*.help", TEXT, "", "", "", 0, "", "What it is.")                                       \
	KEY("request", MAP, NULL, "", "", KEY_REQUIRED, "{ url: … }",                                        \
	    "What is sent. Its texts are Mustache.")                                                         \
	KEY("request.method", WORD, "POST", "GET|POST|PUT|PATCH", "", 0, "", "The method.")                  \
	KEY("request.url", TEXT, NULL, "required", "", KEY_REQUIRED, "\"{{settings.base_url}}/send\"",       \
	    "Where to.")                                                                                     \
	KEY("request.auth", MAP, NULL, "", "", 0, "", "How heed says who it is.")                            \
	KEY("request.auth.type", WORD, "none", "none|basic|bearer|header|query|hmac|oauth2", "", 0, "",      \
	    "The kind.")                                                                                     \
	KEY("request.auth.user", TEXT, NULL, "required", "", 0, "", "For basic.")                            \
	KEY("request.auth.password", TEXT, NULL, "required", "", KEY_SECRET, "", "For basic.")               \
	KEY("request.auth.token", TEXT, NULL, "required", "", KEY_SECRET, "", "For bearer.")                 \
	KEY("request.auth.name", TEXT, NULL, "required", "", 0, "",                                          \
	    "The header's or parameter's: for header, query, hmac.")                                         \
	KEY("request.auth.value", TEXT, NULL, "required", "", KEY_SECRET, "",                                \
	    "For header and query; for hmac it holds {{signature}}, which is its default.")                  \
	KEY("request.auth.key", TEXT, NULL, "required", "", KEY_SECRET, "",                                  \
	    "For hmac: what it is signed with.")                                                             \
	KEY("request.auth.key_encoding", WORD, NULL, "text|base64|hex", "", 0, "text",                       \
	    "How the key is written. Default: text.")                                                        \
	KEY("request.auth.digest", WORD, NULL, "sha256|sha512|sha1|md5", "", 0, "sha256",                    \
	    "For hmac. Default: sha256.")                                                                    \
	KEY("request.auth.sign", TEXT, NULL, "required", "", 0,                                              \
	    "\"{{request.method}}\\n{{request.target}}\\n{{time.unix}}\\n{{request.body}}\"",                \
	    "For hmac: what is signed.")                                                                     \
	KEY("request.auth.encoding", WORD, NULL, "hex|base64", "", 0, "hex",                                 \
	    "How the signature is written. Default: hex.")                                                   \
	KEY("request.auth.in", WORD, NULL, "header|query", "", 0, "header",                                  \
	    "Where the signature goes. Default: header.")                                                    \
	KEY("request.auth.token_url", TEXT, NULL, "required", "", 0, "\"{{settings.token_url}}\"",           \
	    "For oauth2: where a token is fetched (RFC 6749, client credentials).")                          \
	KEY("request.auth.client_id", TEXT, NULL, "required", "", 0, "", "For oauth2.")                      \
	KEY("request.auth.client_secret", TEXT, NULL, "required", "", KEY_SECRET, "", "For oauth2.")         \
	KEY("request.auth.client_auth", WORD, NULL, "basic|body", "", 0, "basic",                            \
	    "How id and secret are sent. Default: basic.")                                                   \
	KEY("request.auth.scope", TEXT, NULL, "required", "", 0, "", "For oauth2, where it is asked for.")   \
	KEY("request.auth.params", LOCALES, NULL, "", "", 0, "{ audience: … }",                              \
	    "For oauth2: further fields of the token's request.")                                            \
	KEY("request.headers", LOCALES, NULL, "", "", 0, "", "Further headers.")                             \
	KEY("request.query", LOCALES, NULL, "", "", 0, "", "Behind the URL; encoded by heed.")               \
	KEY("request.form", LOCALES, NULL, "", "", 0, "", "The body as a form; encoded by heed.")            \
	KEY("request.json", FREE, NULL, "", "", 0, "", "The body as JSON whose texts are Mustache.")         \
	KEY("request.body", TEXT, NULL, "", "", 0, "", "The body as it is.")                                 \
	KEY("request.content_type", TEXT, NULL, "required", "", 0, "", "With body.")                         \
	KEY("response", MAP, NULL, "", "", KEY_REQUIRED, "{ id: { json: sid } }", "How the answer reads.")   \
	PROVIDER_RULE_KEYS(KEY, "success", "It was taken.")                                                  \
	PROVIDER_FIND_KEYS(KEY, "id", "Where the provider's id of the message is.")                          \
	PROVIDER_FIND_KEYS(KEY, "error_code", "Where its code of the error is.")                             \
	PROVIDER_FIND_KEYS(KEY, "error_text", "Where its words are.")                                        \
	PROVIDER_FIND_KEYS(KEY, "retry_after",                                                               \
			   "Where it says how long to wait; the header Retry-After is always read.")         \
	KEY("response.retry_after.unit", WORD, NULL, "s|ms", "", 0, "s", "What it counts. Default: s.")      \
	PROVIDER_RULE_KEYS(KEY, "in_doubt", "Nobody can say whether it was taken.")                          \
	PROVIDER_RULE_KEYS(KEY, "dead", "The address does not exist.")                                       \
	PROVIDER_RULE_KEYS(KEY, "company", "The company's own trouble: the provider is at fault.")           \
	PROVIDER_RULE_KEYS(KEY, "retry", "Later.")                                                           \
	PROVIDER_RULE_KEYS(KEY, "permanent", "Never.")                                                       \
	KEY("callbacks", MAP, NULL, "", "", 0, "",                                                           \
	    "What it tells us, at /in/CHANNEL/PROVIDER below http.public_url.")                              \
	KEY("callbacks.signature", MAP, NULL, "", "", KEY_REQUIRED, "{ type: secret }",                      \
	    "How it proves that it is who it says.")                                                         \
	KEY("callbacks.signature.type", WORD, NULL, "twilio|sorted|jwt|hmac|secret", "", KEY_REQUIRED,       \
	    "jwt",                                                                                           \
	    "twilio: HMAC-SHA1 over URL and form; sorted: HMAC over all parameters (Vonage); jwt: with "     \
	    "hashes of body and URL; hmac: over the body or sign; secret: a word.")                          \
	KEY("callbacks.signature.key", TEXT, NULL, "required", "", KEY_REQUIRED | KEY_SECRET,                \
	    "\"{{settings.auth_token}}\"",                                                                   \
	    "What it is signed with, or the word. Where that is empty nothing is asked for, and nothing "    \
	    "believed.")                                                                                     \
	KEY("callbacks.signature.name", TEXT, NULL, "required", "", 0, "X-Signature",                        \
	    "Of the header or parameter that holds it.")                                                     \
	KEY("callbacks.signature.in", WORD, NULL, "header|query", "", 0, "header",                           \
	    "Where it is. Default: header.")                                                                 \
	KEY("callbacks.signature.digest", WORD, NULL, "sha256|sha512|sha1|md5", "", 0, "sha256",             \
	    "For sorted and hmac. Default: sha256.")                                                         \
	KEY("callbacks.signature.encoding", WORD, NULL, "hex|base64", "", 0, "hex",                          \
	    "For hmac: how the signature is written. Default: hex.")                                         \
	KEY("callbacks.signature.prefix", TEXT, NULL, "", "", 0, "\"sha256=\"", "What stands before it.")    \
	KEY("callbacks.signature.sign", TEXT, NULL, "required", "", 0, "\"{{base}}{{header.x-nonce}}\"",     \
	    "For hmac: what is signed; it sees url, base (without the query), method, body, header.NAME in " \
	    "lower case. Default: the body.")                                                                \
	KEY("callbacks.signature.url", BOOLEAN, NULL, "", "", 0, "true",                                     \
	    "For jwt: must the URL be signed? Default: false.")                                              \
	KEY("callbacks.receipt", MAP, NULL, "", "", 0, "{ state: MessageStatus }",                           \
	    "What a receipt looks like: names of fields, or paths in its JSON.")                             \
	KEY("callbacks.receipt.each", TEXT, NULL, "required", "", 0, "results",                              \
	    "A list in the JSON: each element is one, and its paths begin there.")                           \
	KEY("callbacks.receipt.when", LOCALES, NULL, "", "", 0, "{ type: delivery_report }",                 \
	    "Only where these fields have these values.")                                                    \
	KEY("callbacks.receipt.id", TEXT, NULL, "required", "", 0, "MessageSid",                             \
	    "The id that response.id found.")                                                                \
	KEY("callbacks.receipt.attempt", TEXT, NULL, "required", "", 0, "attempt",                           \
	    "The attempt, which callback_url names. Default: attempt.")                                      \
	KEY("callbacks.receipt.state", TEXT, NULL, "required", "", KEY_REQUIRED, "MessageStatus",            \
	    "What became of it.")                                                                            \
	KEY("callbacks.receipt.code", TEXT, NULL, "required", "", 0, "ErrorCode",                            \
	    "Its code of the error. Default: the state.")                                                    \
	KEY("callbacks.receipt.text", TEXT, NULL, "required", "", 0, "", "Its words.")                       \
	KEY("callbacks.receipt.delivered", TEXTS, NULL, "", "", KEY_REQUIRED, "[delivered]",                 \
	    "States that mean: it arrived.")                                                                 \
	KEY("callbacks.receipt.rejected", TEXTS, NULL, "", "", 0, "[undelivered, failed]",                   \
	    "It never will: the next channel is tried.")                                                     \
	KEY("callbacks.receipt.dead", TEXTS, NULL, "", "", 0, "",                                            \
	    "Likewise, and the address does not exist.")                                                     \
	KEY("callbacks.receipt.retry", TEXTS, NULL, "", "", 0, "", "It did not, and is sent again.")         \
	KEY("callbacks.receipt.ignored", TEXTS, NULL, "", "", 0, "[queued, sent]",                           \
	    "In between. What stands nowhere is ignored too.")                                               \
	KEY("callbacks.receipt.dead_codes", TEXTS, NULL, "", "", 0, "[\"30005\"]",                           \
	    "Codes of a rejected one that mean: the address does not exist.")                                \
	KEY("callbacks.reply", MAP, NULL, "", "", 0, "{ from: From, text: Body }",                           \
	    "What a message from a customer looks like, likewise.")                                          \
	KEY("callbacks.reply.each", TEXT, NULL, "required", "", 0, "results", "A list in the JSON.")         \
	KEY("callbacks.reply.when", LOCALES, NULL, "", "", 0, "{ type: mo_text }",                           \
	    "Only where these fields have these values.")                                                    \
	KEY("callbacks.reply.id", TEXT, NULL, "required", "", 0, "MessageSid",                               \
	    "The provider's id of it: the same again is taken once.")                                        \
	KEY("callbacks.reply.from", TEXT, NULL, "required", "", KEY_REQUIRED, "From", "Whom it is from.")    \
	KEY("callbacks.reply.to", TEXT, NULL, "required", "", 0, "To", "Our number.")                        \
	KEY("callbacks.reply.text", TEXT, NULL, "required", "", KEY_REQUIRED, "Body", "What was written.")   \
	KEY("callbacks.reply.answers", TEXT, NULL, "required", "", 0, "",                                    \
	    "The id of the message that it answers, where the provider knows.")

/* templates/replies/LANGUAGE.yaml */
#define REPLY_KEYS(KEY)                                                                               \
	KEY("keywords", MAP, NULL, "", "", KEY_REQUIRED, "{ stop: [STOP] }",                          \
	    "What a customer may write back, in this language.")                                      \
	KEY("keywords.stop", TEXTS, NULL, "", "", KEY_REQUIRED, "[STOP]",                             \
	    "No more at this address; with a product behind it: no more of that.")                    \
	KEY("keywords.start", TEXTS, NULL, "", "", 0, "[START]", "Messages at this address again.")   \
	KEY("keywords.help", TEXTS, NULL, "", "", 0, "[HELP]", "What may be written.")                \
	KEY("keywords.later", TEXTS, NULL, "", "", 0, "[LATER]",                                      \
	    "The product of the last message pauses for a day.")                                      \
	KEY("keywords.why", TEXTS, NULL, "", "", 0, "[WHY]", "Why the last message came.")            \
	KEY("keywords.channels", NAMES, NULL, "", "", 0, "{ email: [EMAIL] }",                        \
	    "The words for a channel: the product of the last message moves there.")                  \
	KEY("keywords.channels.*", TEXTS, NULL, "", "", 0, "[EMAIL]", "Those of one channel.")        \
	KEY("answers", MAP, NULL, "", "", KEY_REQUIRED, "{ stopped: \"…\" }",                         \
	    "What heed answers: Mustache over company, product, channel, until and reason.")          \
	KEY("answers.stopped", TEXT, NULL, "required", "", KEY_REQUIRED, "\"…\"",                     \
	    "The confirmation of a STOP.")                                                            \
	KEY("answers.opened", TEXT, NULL, "required", "", KEY_REQUIRED, "\"…\"", "After START.")      \
	KEY("answers.help", TEXT, NULL, "required", "", KEY_REQUIRED, "\"…\"", "After HELP.")         \
	KEY("answers.product_stopped", TEXT, NULL, "required", "", KEY_REQUIRED, "\"…\"",             \
	    "A product was stopped.")                                                                 \
	KEY("answers.kept", TEXT, NULL, "required", "", KEY_REQUIRED, "\"…\"",                        \
	    "It may not be stopped or paused.")                                                       \
	KEY("answers.moved", TEXT, NULL, "required", "", KEY_REQUIRED, "\"…\"",                       \
	    "A product was moved to another channel.")                                                \
	KEY("answers.not_moved", TEXT, NULL, "required", "", KEY_REQUIRED, "\"…\"",                   \
	    "It is not to be had there.")                                                             \
	KEY("answers.paused", TEXT, NULL, "required", "", KEY_REQUIRED, "\"…\"", "A product pauses.") \
	KEY("answers.why", TEXT, NULL, "required", "", KEY_REQUIRED, "\"…\"", "Why the last message came.")
