/* The channel that sends nothing: for whoever tries an integration. It makes what would have left
 * (outgoing.h), keeps it in the contact's content, where `heed captured` finds it, and lets the address say
 * the outcome:
 *
 *   +sent, +rejected, +retry, +doubt   behind an e-mail's local part (ana+retry@example.com), at the end of a
 *                                      URL's path (https://example.com/hook+retry) or of any other address
 *   01, 02, 03, 04                     a phone number's last two digits, in the same order
 *
 * and anything else was sent. Values of a provider's secret settings are kept as "hidden". */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "channel.h"
#include "config.h"
#include "moment.h"
#include "outgoing.h"
#include "xalloc.h"
#include "banned.h"

#define CREDIT 200                            /* attempts in hand */
#define BYTES_MAX (MAIL_SIZE_MAX + 64 * 1024) /* of one message, as it would have left */
#define HEADERS_MAX (16 * 1024)               /* of a request */
#define NOBODY "heed <heed@localhost>"        /* whom a mail is from where nothing says it */
#define HIDDEN "hidden"                       /* in the place of a secret */
#define KEPT "captured: nothing was sent; the address asked for it"

struct capture {
	struct channel base;
	struct provider_request *request; /* NULL: no provider */
	struct mailbox from;
	pthread_t thread;
	pthread_mutex_t lock; /* for what follows */
	pthread_cond_t more;
	struct attempt *first, **last;
	bool closing;
};

/* --- what the address asks for --- */

enum wish { WISH_SENT, WISH_REJECTED, WISH_RETRY, WISH_DOUBT, WISHES };

static bool ends_with(const char *s, size_t len, const char *end)
{
	size_t end_len = strlen(end);

	return len >= end_len && memcmp(s + len - end_len, end, end_len) == 0;
}

static enum wish wish_of(enum address_kind kind, const char *address)
{
	static const char *const words[WISHES] = {"+sent", "+rejected", "+retry", "+doubt"};
	static const char *const digits[WISHES] = {"01", "02", "03", "04"};
	bool number =
		kind == ADDRESS_PHONE || (kind == ADDRESS_TEXT && !address[strspn(address, "+0123456789")]);
	size_t len = strlen(address);

	if (kind == ADDRESS_EMAIL && strrchr(address, '@'))
		len = (size_t)(strrchr(address, '@') - address);
	else if (kind == ADDRESS_URL)
		len = strcspn(address, "?#");
	for (int wish = 0; wish < WISHES; wish++)
		if (ends_with(address, len, number ? digits[wish] : words[wish]))
			return (enum wish)wish;
	return WISH_SENT;
}

static struct outcome outcome_wished(const struct channel_config *config, const struct attempt *attempt)
{
	static const enum outcome_kind kinds[WISHES] = {OUTCOME_ACCEPTED, OUTCOME_REJECTED, OUTCOME_RETRY,
							OUTCOME_IN_DOUBT};
	enum wish wish = wish_of(config->ops->address_kind(config), attempt->address);
	struct outcome outcome = outcome_make(kinds[wish], SCOPE_MESSAGE, "captured", "%s",
					      wish == WISH_SENT ? "captured: nothing was sent" : KEPT);

	outcome.delivered = wish == WISH_SENT && config->ops->text == CHANNEL_TEXT_JSON;
	return outcome;
}

/* --- what would have left --- */

static bool add_header(void *headers, const char *name, const char *value)
{
	for (const char *s = value; *s; s++)
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			return false;
	return text_addf(headers, "%s: %s\n", name, value);
}

/* METHOD URL, headers, an empty line, body. */
static bool make_request(const struct capture *capture, const struct attempt *attempt, struct text *bytes,
			 struct outgoing *kept, struct text *error)
{
	const struct channel_config *config = capture->base.config;
	struct text url, headers, body;
	struct provider_sink sink = {.url = &url, .body = &body, .header = add_header, .context = &headers};

	text_init(&url, HEADERS_MAX);
	text_init(&headers, HEADERS_MAX);
	text_init(&body, BYTES_MAX);
	bool ok = capture->request
			  ? outgoing_to_provider(config, attempt, capture->request, &sink, kept, error)
			  : outgoing_to_webhook(config, attempt, &sink, kept, error);
	if (ok) {
		text_addf(bytes, "%s %s\n%s\n", sink.method, url.data, headers.data);
		text_add(bytes, body.data, body.len);
	}
	text_release(&url);
	text_release(&headers);
	text_release(&body);
	return ok;
}

static bool make(const struct capture *capture, const struct attempt *attempt, struct text *bytes,
		 struct outgoing *kept, struct text *error)
{
	const struct channel_config *config = capture->base.config;
	bool ok;

	if (config->ops->text == CHANNEL_TEXT_MAIL)
		ok = outgoing_mail(config, attempt, &capture->from, bytes, kept, error);
	else if (config->ops->text == CHANNEL_TEXT_JSON || capture->request)
		ok = make_request(capture, attempt, bytes, kept, error);
	else
		ok = outgoing_plain(config, attempt, bytes, kept, error);
	return ok && (!bytes->full || text_error(error, "it is over %d bytes", BYTES_MAX));
}

static void take(const struct capture *capture, struct attempt *attempt)
{
	struct outgoing kept = {0};
	struct outcome outcome;
	struct text bytes, error;

	text_init(&bytes, BYTES_MAX);
	text_init(&error, OUTCOME_TEXT_MAX);
	bool made = make(capture, attempt, &bytes, &kept, &error);
	if (!attempt_begin(attempt)) {
		outcome =
			outcome_make(OUTCOME_NOT_BEGUN, SCOPE_MESSAGE, "", "taken back before it had begun");
	} else if (!made) {
		outcome = outcome_make(OUTCOME_UNSENDABLE, SCOPE_MESSAGE, "", "%s", error.data);
	} else {
		outcome = outcome_wished(capture->base.config, attempt);
		outcome.content = text_detach(&bytes);
	}
	outcome.segments = kept.segments;
	outcome.summary = kept.summary;
	kept.summary = NULL;
	channel_report(attempt, &outcome);
	outgoing_release(&kept);
	text_release(&bytes);
	text_release(&error);
}

/* --- the channel --- */

static void *capture_main(void *argument)
{
	struct capture *capture = argument;

	pthread_mutex_lock(&capture->lock);
	while (!capture->closing) {
		struct attempt *attempt = capture->first;
		if (!attempt) {
			pthread_cond_wait(&capture->more, &capture->lock);
			continue;
		}
		capture->first = attempt->next;
		if (!capture->first)
			capture->last = &capture->first;
		pthread_mutex_unlock(&capture->lock);
		take(capture, attempt);
		pthread_mutex_lock(&capture->lock);
	}
	pthread_mutex_unlock(&capture->lock);
	return NULL;
}

/* The channel's settings for its provider, without the secrets. */
static json_t *settings_shown(const struct channel_config *config)
{
	json_t *settings = json_copy(json_object_get(config->settings, "settings")), *about;
	const char *name;

	settings = settings ? settings : json_object();
	json_object_foreach(json_object_get(config->provider_file, "settings"), name, about)
	{
		if (json_is_true(json_object_get(about, "secret")) && json_object_get(settings, name))
			json_object_set_new(settings, name, json_string(HIDDEN));
	}
	return settings;
}

static void capture_free(struct capture *capture)
{
	provider_request_free(capture->request);
	mailbox_release(&capture->from);
	pthread_mutex_destroy(&capture->lock);
	pthread_cond_destroy(&capture->more);
	free(capture);
}

static struct channel *capture_open(const struct channel_config *config, struct outcome_sink sink,
				    struct text *error)
{
	struct capture *capture = xcalloc(1, sizeof *capture);
	const char *from = json_string_value(json_object_get(config->settings, "from"));
	bool ok = true;

	(void)sink;
	pthread_mutex_init(&capture->lock, NULL);
	pthread_cond_init(&capture->more, NULL);
	capture->last = &capture->first;
	capture->base.credit = CREDIT;
	if (config->provider_file) {
		json_t *settings = settings_shown(config);
		capture->request = provider_request_compile(config->provider_file, settings, error);
		ok = capture->request != NULL;
		json_decref(settings);
	}
	if (ok && config->ops->text == CHANNEL_TEXT_MAIL)
		ok = mailbox_parse(from && *from ? from : NOBODY, &capture->from, error);
	if (ok && pthread_create(&capture->thread, NULL, capture_main, capture) != 0)
		ok = text_error(error, "its thread could not be made");
	if (ok)
		return &capture->base;
	capture_free(capture);
	return NULL;
}

static void capture_send(struct channel *channel, struct attempt *attempt)
{
	struct capture *capture = (struct capture *)channel;

	attempt->next = NULL;
	pthread_mutex_lock(&capture->lock);
	*capture->last = attempt;
	capture->last = &attempt->next;
	pthread_cond_signal(&capture->more);
	pthread_mutex_unlock(&capture->lock);
}

static void capture_close(struct channel *channel, int64_t patience)
{
	struct capture *capture = (struct capture *)channel;

	(void)patience; /* what is at work has no one to wait for */
	pthread_mutex_lock(&capture->lock);
	capture->closing = true;
	pthread_cond_signal(&capture->more);
	pthread_mutex_unlock(&capture->lock);
	pthread_join(capture->thread, NULL);
	for (struct attempt *attempt = capture->first, *next; attempt; attempt = next) {
		struct outcome outcome =
			outcome_make(OUTCOME_NOT_BEGUN, SCOPE_MESSAGE, "", "the channel is closing");
		next = attempt->next;
		channel_report(attempt, &outcome);
	}
	capture_free(capture);
}

/* Where nothing but the name says what it stands in for. */
static enum address_kind capture_address_kind(const struct channel_config *config)
{
	bool phone = strcmp(config->name, "sms") == 0 || strcmp(config->name, "voice") == 0;

	return phone ? ADDRESS_PHONE : ADDRESS_TEXT;
}

extern const struct channel_ops channel_capture_ops; /* adapters/registry.c names it */
const struct channel_ops channel_capture_ops = {
	.adapter = "capture",
	.stands_in = true,
	.text = CHANNEL_TEXT_PLAIN,
	.address_kind = capture_address_kind,
	.has_provider = false,
	.resend_in_doubt = false,
	.check = NULL,
	.open = capture_open,
	.send = capture_send,
	.close = capture_close,
	.probe = NULL,
};
