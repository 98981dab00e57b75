/* Every key of heed's files, in the order in which they are shown. The checker, the defaults, `heed help config`,
 * heed.yaml(5) and the samples config/heed.yaml and config/products.yaml all come from these tables (the types
 * are explained in config_check.h).
 * KEY(path, type, default or NULL, limits, adapter or "", flags, later, letter, example, help) */

#define CONFIG_KEYS(KEY)                                                                                               \
KEY("gateway", MAP, NULL, "", "", 0, NOW, "", "", "This process.")                                                     \
KEY("gateway.name", TEXT, NULL, "required", "", 0, NOW, "", "gateway-1",                                               \
    "Its name, stable over restarts: whose entries are whose in Redis. Default: the host's name.")                     \
KEY("gateway.lease", DURATION, "30s", "", "", 0, NOW, "", "", "How long a claimed attempt may take to begin.")         \
KEY("gateway.drain", DURATION, "20s", "", "", 0, NOW, "", "", "How long SIGTERM waits for what is under way.")         \
KEY("gateway.attempt_open_max", DURATION, "24h", "", "", 0, NOW, "", "",                                               \
    "How long an attempt that nobody reports is listed as on its way.")                                                \
KEY("queue", MAP, NULL, "", "", 0, NOW, "", "", "Redis, which carries messages in and events out.")                    \
KEY("queue.redis", URL, "redis://127.0.0.1:6379/0", "required", "", KEY_SECRET, NOW, "", "",                           \
    "redis://[user:password@]host[:port][/db], unix:PATH, redis+cluster://h1:p1,h2:p2, or redis+sentinel://h1:p1,h2:p2/NAME.")                                                         \
KEY("queue.prefix", TEXT, "heed", "required", "", 0, NOW, "", "", "What stands in front of the names of its streams.") \
KEY("queue.partitions", INTEGER, "1", "1..1024", "", 0, NOW, "", "", "Streams for each lane, each a part of the customers.")                      \
KEY("queue.events_max", INTEGER, "100000", "1..1000000000", "", 0, NOW, "", "", "Entries that heed:events keeps.")     \
KEY("queue.dead_max", INTEGER, "100000", "1..1000000000", "", 0, NOW, "", "",                                          \
    "Entries in heed:dead over which the gateway stops reading.")                                                      \
KEY("store", MAP, NULL, "", "", KEY_REQUIRED | KEY_SAMPLE, NOW, "", "{ url: \"sqlite:../var/heed.db\" }",              \
    "Where everything is kept.")                                                                                       \
KEY("store.url", URL, NULL, "required", "", KEY_REQUIRED | KEY_SAMPLE | KEY_SECRET, NOW, "",                           \
    "\"sqlite:../var/heed.db\"", "sqlite:PATH, or postgresql://USER@HOST/DATABASE as libpq takes it.")                 \
KEY("store.migrate", WORD, "auto", "auto|manual", "", 0, NOW, "", "",                                                  \
    "auto: a newer schema is applied at start; manual: by `heed migrate`.")                                            \
KEY("store.max_backlog", INTEGER, "10000000", "1..1000000000000", "", 0, NOW, "", "",                                  \
    "Waiting messages over which the bulk lane is left in Redis.")                                                     \
KEY("http", MAP, NULL, "", "", 0, NOW, "", "", "Listeners. The Unix socket for the command line is always there.")     \
KEY("http.socket", TEXT, "../var/heed.sock", "required", "", 0, NOW, "", "", "Where; its mode is 0600.")               \
KEY("http.public", TEXT, NULL, "required", "", 0, NOW, "", "\"127.0.0.1:8480\"",                                    \
    "The customers' page, unsubscribe, callbacks of providers: ADDRESS:PORT.")                                         \
KEY("http.internal", TEXT, NULL, "required", "", 0, NOW, "", "\"127.0.0.1:8481\"",                                  \
    "API, log, metrics, health, the operators' page: ADDRESS:PORT.")                                                   \
KEY("http.public_url", TEXT, "", "", "", 0, NOW, "", "\"https://m.example.com\"",                                   \
    "How customers reach `public`; required with it.")                                                                 \
KEY("http.trusted_proxies", TEXTS, "[]", "", "", 0, NOW, "", "", "Whose X-Forwarded-For is believed.")              \
KEY("http.tokens", MAPS, "[]", "", "", 0, NOW, "", "", "Who may use the API: `heed token NAME` prints a line.")     \
KEY("http.tokens.*", MAP, NULL, "", "", 0, NOW, "", "", "A token.")                                                    \
KEY("http.tokens.*.name", TEXT, NULL, "required", "", KEY_REQUIRED, NOW, "", "shop", "Whose it is.")                   \
KEY("http.tokens.*.sha256", TEXT, NULL, "required", "", KEY_REQUIRED | KEY_SECRET, NOW, "", "\"…\"", "Its hash.")      \
KEY("http.tokens.*.scopes", TEXTS, NULL, "", "", KEY_REQUIRED, NOW, "", "[send, read]",                                \
    "What it may: send, read, history, write, ops.")                                                                   \
KEY("http.tokens.*.products", TEXTS, NULL, "", "", 0, NOW, "", "[card-alerts]", "For these only. Default: all.")       \
KEY("secrets", TEXTS, "[]", "", "", KEY_SECRET, NOW, "", "[ \"${HEED_SECRET}\" ]",                                  \
    "Each 32 bytes or more. The first signs, all verify; required with http.public.")                                  \
KEY("products", TEXT, NULL, "required", "", KEY_REQUIRED | KEY_SAMPLE, NOW, "", "products.yaml",                       \
    "The file that says what messages are about.")                                                                     \
KEY("templates", TEXT, "../templates", "required", "", 0, NOW, "", "", "The folder of messages/ and partials/.")       \
KEY("customers", MAP, NULL, "", "", 0, NOW, "", "", "For customers who have none of their own.")                       \
KEY("customers.timezone", TEXT, "UTC", "required", "", 0, NOW, "", "", "Time zone, as America/Argentina/Buenos_Aires.") \
KEY("customers.locale", TEXT, "en", "required", "", 0, NOW, "", "", "Language, as es-AR.")                             \
KEY("company", MAP, NULL, "", "", 0, NOW, "", "", "What the customers' page shows.")                                   \
KEY("company.name", TEXT, "", "", "", 0, NOW, "", "Example Bank", "Its name.")                                         \
KEY("company.logo", TEXT, "", "", "", 0, NOW, "", "logo.svg",                                                          \
    "A picture file (PNG, JPEG, GIF, WebP, SVG), shown 40 pixels high.")                                               \
KEY("company.colour", TEXT, "", "", "", 0, NOW, "", "\"#0a5c36\"",                                                      \
    "Of buttons and links; darker or lighter where it could not be read.")                                             \
KEY("limits", MAP, NULL, "", "", 0, NOW, "", "", "Caps over several products.")                                        \
KEY("limits.marketing", TEXT, "", "", "", 0, NOW, "", "3/week", "Over all marketing together, for each customer: 3/week.")                \
KEY("history", MAP, NULL, "", "", 0, NOW, "", "", "What is kept of what was sent.")                                    \
KEY("history.content", WORD, "summary", "full|summary|none", "", 0, NOW, "", "", "How much of a message's text.")      \
KEY("history.content_keep", DURATION, "90d", "", "", 0, NOW, "", "", "For how long.")                                  \
KEY("history.contacts_keep", DURATION, "400d", "", "", 0, NOW, "", "", "For how long contacts are kept.")              \
KEY("channels", NAMES, NULL, "", "", KEY_REQUIRED | KEY_SAMPLE, NOW, "", "{ email: { adapter: smtp, … } }",            \
    "The ways to reach a customer: names of your own, at least one.")                                                  \
KEY("channels.*", MAP, NULL, "", "", 0, NOW, "", "", "A channel.")                                                     \
KEY("channels.*.adapter", TEXT, NULL, "required", "", KEY_REQUIRED | KEY_SAMPLE, NOW, "", "smtp",                      \
    "The code that speaks its protocol: smtp, http or webhook; capture sends nothing (heed captured shows it).")       \
KEY("channels.*.relay", URL, NULL, "required", "smtp", KEY_REQUIRED | KEY_SAMPLE | KEY_SECRET, NOW, "",                \
    "\"smtp://127.0.0.1:25\"",                                                                                         \
    "smtp://host[:port] to this host or a trusted network; smtps:// or smtp+starttls://[user:password@]host[:port] else.")\
KEY("channels.*.ca", TEXT, "", "", "smtp", 0, NOW, "", "mail-ca.pem",                                                  \
    "Whom the relay's certificate must come from, a PEM file. Default: those whom this system trusts.")                \
KEY("channels.*.from", TEXT, NULL, "required", "smtp", KEY_REQUIRED | KEY_SAMPLE, NOW, "",                             \
    "\"Example Bank <messages@example.com>\"", "Whom the mail is from.")                                               \
KEY("channels.*.envelope_from", TEXT, "", "", "smtp", KEY_SAMPLE, NOW, "", "\"bounces@example.com\"",                  \
    "Where bounces go. Default: the address of `from`.")                                                               \
KEY("channels.*.sessions", INTEGER, "4", "1..64", "smtp", 0, NOW, "", "", "Connections to the relay.")                 \
KEY("channels.*.dkim", MAPS, "[]", "", "smtp", 0, NOW, "",                                                             \
    "[ { domain: example.com, selector: s2026, key: \"${file:dkim.pem}\" } ]",                                         \
    "DKIM keys; each signs every mail. RSA and Ed25519 may stand side by side, at most 4.")                            \
KEY("channels.*.dkim.*", MAP, NULL, "", "smtp", 0, NOW, "", "", "A key.")                                              \
KEY("channels.*.dkim.*.domain", TEXT, NULL, "required", "smtp", KEY_REQUIRED, NOW, "", "example.com", "That of `from`, or one above it.")\
KEY("channels.*.dkim.*.selector", TEXT, NULL, "required", "smtp", KEY_REQUIRED, NOW, "", "s2026",                      \
    "The public key stands in the DNS at SELECTOR._domainkey.DOMAIN.")                                                 \
KEY("channels.*.dkim.*.key", TEXT, NULL, "required", "smtp", KEY_REQUIRED | KEY_SECRET, NOW, "", "\"${file:dkim.pem}\"",\
    "The private key, as PEM.")                                                                                        \
KEY("channels.*.provider", TEXT, NULL, "required", "http", KEY_SAMPLE, NOW, "", "twilio",               \
    "The provider's file: providers/NAME.yaml beside this one, or an installed one; with a / a path.")                 \
KEY("channels.*.settings", FREE, NULL, "", "http", KEY_SAMPLE | KEY_SECRET, NOW, "",                                   \
    "{ account_sid: \"${TWILIO_SID}\", auth_token: \"${TWILIO_TOKEN}\", from: \"+15005550006\" }",                     \
    "What the provider's file asks for.")                                                                              \
KEY("channels.*.max_segments", INTEGER, NULL, "1..255", "http", 0, NOW, "", "3",                                       \
    "A short message that takes more is an error; it is never cut. Default: 255, the most that there can be.")          \
KEY("channels.*.numbers", MAP, NULL, "", "http", 0, NOW, "", "",                                                       \
    "How national phone numbers may be written, beside + and 00. Default: they may not.")                              \
KEY("channels.*.numbers.country", TEXT, NULL, "required", "http", KEY_REQUIRED, NOW, "", "\"54\"", "The country's code.")   \
KEY("channels.*.numbers.trunk", TEXT, NULL, "", "http", 0, NOW, "", "\"0\"",                                                 \
    "What stands in front inside the country, and is dropped. Default: nothing.")                                      \
KEY("channels.*.numbers.digits", INTEGER, NULL, "4..14", "http", 0, NOW, "", "10",                                         \
    "How many digits follow; right where all numbers of the country have as many.")                                    \
KEY("channels.*.allow_private", BOOLEAN, "false", "", "webhook", 0, NOW, "", "",                                       \
    "May customers' URLs lead inside (private, loopback, link-local addresses)? For tests.")                           \
KEY("channels.*.allow_http", BOOLEAN, "false", "", "webhook", 0, NOW, "", "", "May they be http:// ? For tests.")      \
KEY("channels.*.timeout", DURATION, "15s", "", "", 0, NOW, "", "", "For one attempt.")                                 \
KEY("channels.*.providers", TEXTS, "[]", "", "http", 0, NOW, "", "[twilio, vonage]",                                    \
    "Several in the place of one: the next takes over while the first is at fault. Then `settings` is { NAME: { … } }.") \
KEY("channels.*.rate", TEXT, "", "", "", 0, NOW, "", "100/s",                                                          \
    "At most so many in a second (/s), a minute (/m) or an hour (/h), to each of its providers. Default: no limit.")   \
KEY("channels.*.in_doubt", WORD, NULL, "resend|hold", "", 0, NOW, "", "hold",                                          \
    "What becomes of a message that may have been taken. Default: resend for smtp and webhook, hold for others.")      \
KEY("channels.*.retry", MAP, NULL, "", "", 0, NOW, "", "", "The pauses between attempts, with jitter.")                \
KEY("channels.*.retry.first", DURATION, "10s", "", "", 0, NOW, "", "", "The first one.")                               \
KEY("channels.*.retry.factor", NUMBER, "3", "1..100", "", 0, NOW, "", "", "What the next one is multiplied with.")     \
KEY("channels.*.retry.max", DURATION, "1h", "", "", 0, NOW, "", "", "The longest.")                                    \
KEY("channels.*.retry.give_up_after", DURATION, "24h", "", "", 0, NOW, "", "",                                         \
    "When the message fails; the clock stands while the provider is at fault.")

#define PRODUCT_KEYS(KEY)                                                                                              \
KEY("*", MAP, NULL, "", "", 0, NOW, "", "", "A product, or a part of one (card-alerts/fraud).")                        \
KEY("*.title", LOCALES, NULL, "", "", KEY_SAMPLE, NOW, "", "{ en: Card alerts, es: Avisos de tarjeta }",               \
    "What the customer reads, by locale. Default: the name.")                                                          \
KEY("*.description", LOCALES, NULL, "", "", KEY_SAMPLE, NOW, "", "{ en: Every payment with your card }",               \
    "A sentence on it, by locale.")                                                                                    \
KEY("*.purpose", WORD, "service", "service|marketing|critical", "", KEY_SAMPLE, NOW, "", "service",                    \
    "marketing goes only to whom opted in; critical is outside caps.")                                                 \
KEY("*.channels", TEXTS, NULL, "", "", KEY_SAMPLE, NOW, "", "[email, webhook]", "What may be chosen.")                 \
KEY("*.default", TEXTS, "[]", "", "", KEY_SAMPLE, NOW, "", "[email]",                                                  \
    "What is used, in order, until the customer chooses. [] = only for whom opts in.")                                 \
KEY("*.may_stop", BOOLEAN, "true", "", "", KEY_SAMPLE, NOW, "", "true", "false: a legal notice; can be moved, not stopped.") \
KEY("*.content", WORD, NULL, "full|summary|none", "", 0, NOW, "", "summary",                                           \
    "How much of its text the history keeps. Default: history.content.")                                               \
KEY("*.urgent", BOOLEAN, "false", "", "", 0, NOW, "", "", "With purpose critical: hours, digest and pause do not hold it.") \
KEY("*.quiet_hours", TEXT, "", "", "", 0, NOW, "", "\"22:00-07:00\"",                                                   \
    "Not then, in the customer's time zone; the customer's own hours replace it.")                                     \
KEY("*.cap", TEXT, "", "", "", 0, NOW, "", "20/day", "For each customer at most so many in a day or week; the rest waits.") \
KEY("*.expires_after", DURATION, NULL, "", "", 0, NOW, "", "24h", "Not sent later than this after it came in.")

/* A rule of a response: all that it names must hold. */
#define PROVIDER_RULE_KEYS(KEY, LIST, WHAT)                                                                            \
KEY("response." LIST, MAPS, "[]", "", "", 0, NOW, "", "", WHAT)                                                        \
KEY("response." LIST ".*", MAP, NULL, "", "", 0, NOW, "", "", "A rule: all that it names must hold.")                  \
KEY("response." LIST ".*.status", FREE, NULL, "", "", 0, NOW, "", "2xx", "200, 2xx, or a list.")                       \
KEY("response." LIST ".*.code", FREE, NULL, "", "", 0, NOW, "", "[21211]", "What error_code gives: one, or a list.")   \
KEY("response." LIST ".*.json", TEXT, NULL, "required", "", 0, NOW, "", "messages.0.status", "A path into the answer; * is each element.") \
KEY("response." LIST ".*.equals", FREE, NULL, "", "", 0, NOW, "", "\"0\"", "What stands at the path.")                 \
KEY("response." LIST ".*.in", FREE, NULL, "", "", 0, NOW, "", "[\"0\"]", "What may stand at the path.")                \
KEY("response." LIST ".*.text", FREE, NULL, "", "", 0, NOW, "", "{ prefix: \"0:\" }", "prefix and contains, of the whole answer.")

#define PROVIDER_FIND_KEYS(KEY, NAME, WHAT)                                                                            \
KEY("response." NAME, MAP, NULL, "", "", 0, NOW, "", "", WHAT)                                                         \
KEY("response." NAME ".json", TEXT, NULL, "required", "", 0, NOW, "", "sid", "At a path of the answer's JSON.")        \
KEY("response." NAME ".text", TEXT, NULL, "required", "", 0, NOW, "", "'id=([0-9]+)'", "By a regular expression with one group.") \
KEY("response." NAME ".header", TEXT, NULL, "required", "", 0, NOW, "", "Location", "In a header.")

#define PROVIDER_KEYS(KEY)                                                                                             \
KEY("name", TEXT, NULL, "required", "", KEY_REQUIRED, NOW, "", "twilio", "Its name, in contacts and breakers.")        \
KEY("channel", TEXT, "", "", "", 0, NOW, "", "sms",                                                                    \
    "The channel that it is made for. Texts to phone numbers are short messages, with segments, where it is sms or \"\".") \
KEY("address", WORD, "phone", "phone|email|url|text", "", 0, NOW, "", "", "What its addresses are.")                   \
KEY("gives_receipts", BOOLEAN, "false", "", "", 0, NOW, "", "", "Does it report what was delivered?")                  \
KEY("settings", NAMES, NULL, "", "", KEY_REQUIRED, NOW, "", "{ base_url: { default: \"https://…\" } }",                \
    "What a channel's settings may hold.")                                                                             \
KEY("settings.*", MAP, NULL, "", "", 0, NOW, "", "", "A setting.")                                                     \
KEY("settings.*.default", TEXT, NULL, "", "", 0, NOW, "", "", "Its default.")                                          \
KEY("settings.*.required", BOOLEAN, "false", "", "", 0, NOW, "", "", "Must it be given?")                              \
KEY("settings.*.secret", BOOLEAN, "false", "", "", 0, NOW, "", "", "Is it never to be shown?")                         \
KEY("settings.*.help", TEXT, "", "", "", 0, NOW, "", "", "What it is.")                                                \
KEY("request", MAP, NULL, "", "", KEY_REQUIRED, NOW, "", "{ url: … }", "What is sent. Its texts are Mustache.")        \
KEY("request.method", WORD, "POST", "GET|POST|PUT|PATCH", "", 0, NOW, "", "", "The method.")                           \
KEY("request.url", TEXT, NULL, "required", "", KEY_REQUIRED, NOW, "", "\"{{settings.base_url}}/send\"", "Where to.")   \
KEY("request.auth", MAP, NULL, "", "", 0, NOW, "", "", "How heed says who it is.")                                     \
KEY("request.auth.type", WORD, "none", "none|basic|bearer|header|query|hmac|oauth2", "", 0, NOW, "", "", "The kind.")  \
KEY("request.auth.user", TEXT, NULL, "required", "", 0, NOW, "", "", "For basic.")                                     \
KEY("request.auth.password", TEXT, NULL, "required", "", KEY_SECRET, NOW, "", "", "For basic.")                        \
KEY("request.auth.token", TEXT, NULL, "required", "", KEY_SECRET, NOW, "", "", "For bearer.")                          \
KEY("request.auth.name", TEXT, NULL, "required", "", 0, NOW, "", "", "The header's or parameter's: for header, query, hmac.")\
KEY("request.auth.value", TEXT, NULL, "required", "", KEY_SECRET, NOW, "", "",                                         \
    "For header and query; for hmac it holds {{signature}}, which is its default.")                                    \
KEY("request.auth.key", TEXT, NULL, "required", "", KEY_SECRET, NOW, "", "", "For hmac: what it is signed with.")      \
KEY("request.auth.key_encoding", WORD, NULL, "text|base64|hex", "", 0, NOW, "", "text", "How the key is written. Default: text.")\
KEY("request.auth.digest", WORD, NULL, "sha256|sha512|sha1|md5", "", 0, NOW, "", "sha256", "For hmac. Default: sha256.")\
KEY("request.auth.sign", TEXT, NULL, "required", "", 0, NOW, "",                                                       \
    "\"{{request.method}}\\n{{request.target}}\\n{{time.unix}}\\n{{request.body}}\"", "For hmac: what is signed.")     \
KEY("request.auth.encoding", WORD, NULL, "hex|base64", "", 0, NOW, "", "hex", "How the signature is written. Default: hex.")\
KEY("request.auth.in", WORD, NULL, "header|query", "", 0, NOW, "", "header", "Where the signature goes. Default: header.")\
KEY("request.auth.token_url", TEXT, NULL, "required", "", 0, NOW, "", "\"{{settings.token_url}}\"",                    \
    "For oauth2: where a token is fetched (RFC 6749, client credentials).")                                            \
KEY("request.auth.client_id", TEXT, NULL, "required", "", 0, NOW, "", "", "For oauth2.")                               \
KEY("request.auth.client_secret", TEXT, NULL, "required", "", KEY_SECRET, NOW, "", "", "For oauth2.")                  \
KEY("request.auth.client_auth", WORD, NULL, "basic|body", "", 0, NOW, "", "basic", "How id and secret are sent. Default: basic.")\
KEY("request.auth.scope", TEXT, NULL, "required", "", 0, NOW, "", "", "For oauth2, where it is asked for.")            \
KEY("request.auth.params", LOCALES, NULL, "", "", 0, NOW, "", "{ audience: … }", "For oauth2: further fields of the token's request.")\
KEY("request.headers", LOCALES, NULL, "", "", 0, NOW, "", "", "Further headers.")                                      \
KEY("request.query", LOCALES, NULL, "", "", 0, NOW, "", "", "Behind the URL; encoded by heed.")                        \
KEY("request.form", LOCALES, NULL, "", "", 0, NOW, "", "", "The body as a form; encoded by heed.")                     \
KEY("request.json", FREE, NULL, "", "", 0, NOW, "", "", "The body as JSON whose texts are Mustache.")                  \
KEY("request.body", TEXT, NULL, "", "", 0, NOW, "", "", "The body as it is.")                                          \
KEY("request.content_type", TEXT, NULL, "required", "", 0, NOW, "", "", "With body.")                                  \
KEY("response", MAP, NULL, "", "", KEY_REQUIRED, NOW, "", "{ id: { json: sid } }", "How the answer reads.")            \
PROVIDER_RULE_KEYS(KEY, "success", "It was taken.")                                                                    \
PROVIDER_FIND_KEYS(KEY, "id", "Where the provider's id of the message is.")                                            \
PROVIDER_FIND_KEYS(KEY, "error_code", "Where its code of the error is.")                                               \
PROVIDER_FIND_KEYS(KEY, "error_text", "Where its words are.")                                                          \
PROVIDER_FIND_KEYS(KEY, "retry_after", "Where it says how long to wait; the header Retry-After is always read.")           \
KEY("response.retry_after.unit", WORD, NULL, "s|ms", "", 0, NOW, "", "s", "What it counts. Default: s.")               \
PROVIDER_RULE_KEYS(KEY, "in_doubt", "Nobody can say whether it was taken.")                                            \
PROVIDER_RULE_KEYS(KEY, "dead", "The address does not exist.")                                                         \
PROVIDER_RULE_KEYS(KEY, "company", "The company's own trouble: the provider is at fault.")                             \
PROVIDER_RULE_KEYS(KEY, "retry", "Later.")                                                                             \
PROVIDER_RULE_KEYS(KEY, "permanent", "Never.")
