/* The configuration: what is accepted, what is filled, and how every mistake is told. The adapters and the
 * templates are doubles. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "channel.h"
#include "config.h"
#include "config_check.h"
#include "link.h"
#include "moment.h"
#include "pages.h"
#include "queue.h"
#include "registry.h"
#include "scratch.h"
#include "xalloc.h"
#include "banned.h"

/* --- doubles --- */

static bool check_mail(const struct channel_config *config, struct text *errors)
{
	const char *from = json_string_value(json_object_get(config->settings, "from"));
	if (strchr(from, '@'))
		return true;
	text_puts(errors, "from: is no address; NAME <a@b> would be right\n");
	return false;
}

static enum address_kind mailbox(const struct channel_config *config)
{
	(void)config;
	return ADDRESS_EMAIL;
}

static const struct channel_ops mail_ops = {
	.adapter = "smtp", .address_kind = mailbox, .resend_in_doubt = true, .check = check_mail};
static enum address_kind phone(const struct channel_config *config)
{
	(void)config;
	return ADDRESS_PHONE;
}

static enum address_kind url(const struct channel_config *config)
{
	(void)config;
	return ADDRESS_URL;
}

static const struct channel_ops http_ops = {
	.adapter = "http", .text = CHANNEL_TEXT_PLAIN, .address_kind = phone, .has_provider = true};
static const struct channel_ops webhook_ops = {
	.adapter = "webhook", .text = CHANNEL_TEXT_JSON, .address_kind = url, .resend_in_doubt = true};
static const struct channel_ops capture_ops = {
	.stands_in = true, .adapter = "capture", .text = CHANNEL_TEXT_PLAIN, .address_kind = phone};
static const struct channel_ops *const all_ops[] = {&mail_ops, &http_ops, &webhook_ops, &capture_ops};
#define OPS (sizeof all_ops / sizeof all_ops[0])

const struct channel_ops *registry_channel(const char *adapter)
{
	for (size_t i = 0; i < OPS; i++)
		if (strcmp(all_ops[i]->adapter, adapter) == 0)
			return all_ops[i];
	return NULL;
}

const struct channel_ops *const *registry_channels(size_t *count)
{
	*count = OPS;
	return all_ops;
}

const struct channel_ops *registry_capture(void)
{
	return &capture_ops;
}

const struct channel_ops *registry_stand_in(const char *channel, const json_t *settings)
{
	return json_object_get(settings, "provider") ? &http_ops
	       : strcmp(channel, "email") == 0       ? &mail_ops
						     : &capture_ops;
}

const struct store_ops *registry_store(const char *scheme)
{
	bool known = strcmp(scheme, "sqlite") == 0 || strcmp(scheme, "memory") == 0;
	return known ? (const struct store_ops *)&mail_ops : NULL;
}

const struct queue_ops *registry_queue(const char *scheme)
{
	bool known = strcmp(scheme, "redis") == 0 || strcmp(scheme, "unix") == 0;
	return known ? (const struct queue_ops *)&mail_ops : NULL;
}

/* Whoever speaks to many says how they are written. */
struct queue *queue_open(const struct queue_config *asked, struct text *error)
{
	text_error(error, "%s is written otherwise", asked->url);
	return NULL;
}

void queue_close(struct queue *queue)
{
	assert_null(queue);
}

/* --- helpers --- */

static struct config_report report;

#define PRODUCTS "card-alerts: { channels: [email], default: [email] }\n"
#define TWILIO                                                                                              \
	"name: twilio\n"                                                                                    \
	"address: phone\n"                                                                                  \
	"settings:\n"                                                                                       \
	"  base_url: { default: \"https://api.twilio.com\" }\n"                                             \
	"  account_sid: { required: true }\n"                                                               \
	"  auth_token: { required: true, secret: true }\n"                                                  \
	"  from: { required: true }\n"                                                                      \
	"request:\n"                                                                                        \
	"  url: \"{{settings.base_url}}/{{settings.account_sid}}\"\n"                                       \
	"  auth: { type: basic, user: \"{{settings.account_sid}}\", password: \"{{settings.auth_token}}\" " \
	"}\n"                                                                                               \
	"  form: { To: \"{{to}}\", From: \"{{settings.from}}\", Body: \"{{text}}\" }\n"                     \
	"response:\n"                                                                                       \
	"  success: [ { status: 2xx } ]\n"                                                                  \
	"  id: { json: sid }\n"                                                                             \
	"  error_code: { json: code }\n"                                                                    \
	"  dead: [ { code: [21614, 21211] } ]\n"                                                            \
	"  retry: [ { status: [408, 429, 5xx] } ]\n"

static const char KANNEL[] = "name: kannel\nchannel: sms\naddress: phone\n"
			     "settings: { base_url: { required: true }, from: { required: true } }\n"
			     "request: { url: \"{{settings.base_url}}/send\", query: { to: \"{{to}}\" } }\n"
			     "response: { success: [ { status: 202 } ] }\n";

static int start(void **state)
{
	int failed = scratch_open(state);
	scratch_write("products.yaml", PRODUCTS);
	scratch_write("templates/messages/x/email.text", "x");
	scratch_write("config/products.yaml", PRODUCTS);
	scratch_write("config/providers/twilio.yaml", TWILIO);
	scratch_write("config/providers/kannel.yaml", KANNEL);
	config_report_init(&report);
	return failed;
}

static int stop(void **state)
{
	config_report_release(&report);
	return scratch_close(state);
}

static struct config *load(const char *yaml)
{
	config_report_release(&report);
	config_report_init(&report);
	const char *file = scratch_write("config/heed.yaml", yaml);
	chmod(file, 0600);
	return config_load(file, &report);
}

static struct config *load_fine(const char *yaml)
{
	struct config *config = load(yaml);
	if (!config)
		fail_msg("%s", report.errors.data);
	return config;
}

#define BASE                                          \
	"store: { url: \"sqlite:../var/heed.db\" }\n" \
	"products: products.yaml\n"
#define EMAIL         \
	"channels:\n" \
	"  email: { adapter: smtp, relay: \"smtp://127.0.0.1:25\", from: \"a@b\" }\n"

static void is_refused(const char *yaml, const char *why)
{
	struct config *config = load(yaml);
	if (config)
		fail_msg("taken: %s", yaml);
	scratch_has(report.errors.data, why);
}

static void is_refused_beside_the_base(const char *yaml, const char *why)
{
	char *all = xasprintf(BASE EMAIL "%s", yaml);
	is_refused(all, why);
	free(all);
}

/* --- what is accepted --- */

static void what_is_left_out_has_the_default_of_the_contract(void **state)
{
	(void)state;
	char host[256] = "";
	gethostname(host, sizeof host - 1);
	struct config *config = load_fine(BASE EMAIL);
	assert_string_equal(config->gateway.name, host);
	assert_int_equal(config->gateway.lease, 30 * MOMENT_S);
	assert_int_equal(config->gateway.drain, 20 * MOMENT_S);
	assert_int_equal(config->gateway.attempt_open_max, 24 * MOMENT_HOUR);
	assert_string_equal(config->queue.redis, "redis://127.0.0.1:6379/0");
	assert_string_equal(config->queue.prefix, "heed");
	assert_int_equal(config->queue.partitions, 1);
	assert_int_equal(config->queue.events_max, 100000);
	assert_int_equal(config->queue.dead_max, 100000);
	assert_true(config->store.migrate);
	assert_int_equal(config->store.max_backlog, 10000000);
	assert_string_equal(config->http.public_url, "");
	assert_string_equal(config->customers.timezone, "UTC");
	assert_string_equal(config->customers.locale, "en");
	assert_int_equal(config->history.content, CONTENT_SUMMARY);
	assert_int_equal(config->history.content_keep, 90 * MOMENT_DAY);
	assert_int_equal(config->history.contacts_keep, 400 * MOMENT_DAY);
	const struct channel_config *email = config_channel(config, "email");
	assert_int_equal(email->timeout, 15 * MOMENT_S);
	assert_true(email->resend_in_doubt);
	assert_int_equal(email->retry.first, 10 * MOMENT_S);
	assert_true(email->retry.factor == 3);
	assert_int_equal(email->retry.max, MOMENT_HOUR);
	assert_int_equal(email->retry.give_up_after, 24 * MOMENT_HOUR);
	assert_int_equal(json_integer_value(json_object_get(email->settings, "sessions")), 4);
	assert_string_equal(email->provider, "127.0.0.1:25");
	assert_null(config_channel(config, "sms"));
	assert_string_equal(report.warnings.data, "");
	config_drop(config);
}

static void relative_paths_count_from_the_folder_of_the_file(void **state)
{
	(void)state;
	struct config *config = load_fine(BASE EMAIL "queue: { redis: \"unix:../var/redis.sock\" }\n");
	char real[512];
	assert_non_null(realpath(scratch_folder, real));
	char *store = xasprintf("sqlite:%s/var/heed.db", real),
	     *redis = xasprintf("unix:%s/var/redis.sock", real),
	     *socket = xasprintf("%s/var/heed.sock", real), *folder = xasprintf("%s/config", real);
	assert_string_equal(config->store.url, store);
	assert_string_equal(config->queue.redis, redis);
	assert_string_equal(config->http.socket, socket);
	assert_string_equal(config->folder, folder);
	free(store);
	free(redis);
	free(socket);
	free(folder);
	config_drop(config);
}

/* The block of contract.md, "Configuration", with its gaps filled, and what every channel also takes. */
static void the_block_of_the_contract_is_taken_as_it_stands(void **state)
{
	(void)state;
	setenv("HEED_SECRET", "0123456789abcdef0123456789abcdef", 1);
	struct config *config = load_fine(
		"gateway:   { name: gw-1, lease: 30s, drain: 20s, attempt_open_max: 24h }\n"
		"queue:     { redis: \"redis://127.0.0.1:6379/0\", prefix: heed, partitions: 1, events_max: "
		"100000, dead_max: 100000 }   # unix:PATH\n"
		"store:     { url: \"sqlite:../var/heed.db\", migrate: auto, max_backlog: 10000000 }     # "
		"or\n"
		"http:                                           # off unless a listener is named\n"
		"  socket: ../var/heed.sock                      # mode 0600\n"
		"  public: \"127.0.0.1:8480\"                      # e.g.; page, unsubscribe, provider "
		"callbacks\n"
		"  internal: \"127.0.0.1:8481\"                    # e.g.; API\n"
		"  public_url: \"https://m.example.com\"           # e.g.; required with `public`\n"
		"  trusted_proxies: []\n"
		"  tokens: [ { name: shop, sha256: "
		"\"2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824\", scopes: [send, read], "
		"products: [card-alerts] } ]\n"
		"secrets:   [ \"${HEED_SECRET}\" ]                 # 32 bytes or more\n"
		"products:  products.yaml\n"
		"templates: ../templates\n"
		"customers: { timezone: UTC, locale: en }        # for who has none\n"
		"company:   { name: \"\", logo: \"\", colour: \"\" }\n"
		"limits:    { marketing: \"\" }                    # (B)\n"
		"history:   { content: summary, content_keep: 90d, contacts_keep: 400d }   # full | summary "
		"| none\n"
		"channels:                                       # e.g.\n"
		"  email:   { adapter: smtp, relay: \"smtp://127.0.0.1:25\", from: \"Example Bank "
		"<messages@example.com>\", envelope_from: \"bounces@example.com\", sessions: 4 }\n"
		"  sms:     { adapter: http, provider: twilio, settings: { account_sid: AC1, auth_token: t, "
		"from: \"+1\" }, timeout: 5s, rate: \"\", in_doubt: resend, retry: { first: 20s, factor: "
		"1.5, max: 2h, give_up_after: 3d } }\n"
		"  webhook: { adapter: webhook, allow_private: false, allow_http: false, in_doubt: hold }\n");
	const struct channel_config *sms = config_channel(config, "sms");
	assert_string_equal(sms->provider, "twilio");
	assert_int_equal(sms->timeout, 5 * MOMENT_S);
	assert_true(sms->resend_in_doubt);
	assert_int_equal(sms->retry.first, 20 * MOMENT_S);
	assert_true(sms->retry.factor == 1.5);
	assert_int_equal(sms->retry.max, 2 * MOMENT_HOUR);
	assert_int_equal(sms->retry.give_up_after, 3 * MOMENT_DAY);
	const json_t *settings = json_object_get(sms->settings, "settings");
	assert_string_equal(json_string_value(json_object_get(settings, "base_url")),
			    "https://api.twilio.com");
	assert_string_equal(json_string_value(json_object_get(sms->provider_file, "name")), "twilio");
	assert_false(config_channel(config, "webhook")->resend_in_doubt);
	assert_string_equal(config_channel(config, "webhook")->provider, "");
	assert_string_equal(config->http.internal, "127.0.0.1:8481");
	assert_string_equal(config->http.public_url, "https://m.example.com");
	assert_string_equal(config->http.tokens[0].by, "api:shop");
	assert_int_equal(config->http.tokens[0].scopes, SCOPE_SEND | SCOPE_READ);
	assert_int_equal(config->http.tokens[0].hash[0], 0x2c);
	assert_true(api_token_has_product(&config->http.tokens[0], "card-alerts/fraud"));
	assert_false(api_token_has_product(&config->http.tokens[0], "card-alerts2"));
	assert_false(api_token_has_product(&config->http.tokens[0], "*"));
	assert_int_equal(config->secret_count, 1);
	scratch_has_not(report.warnings.data, "limits");
	config_drop(config);
}

static void a_configuration_is_counted(void **state)
{
	(void)state;
	struct config *config = load_fine(BASE EMAIL);
	struct config *second = config_hold(config);
	config_drop(config);
	assert_string_equal(second->queue.prefix, "heed");
	config_drop(second);
}

/* --- variables and secrets --- */

static void variables_come_from_the_environment_and_from_files(void **state)
{
	(void)state;
	setenv("HEED_TEST_HOST", "127.0.0.1", 1);
	scratch_write("config/secrets/prefix", "bank\n");
	struct config *config = load_fine(BASE EMAIL "queue: { redis: \"redis://${HEED_TEST_HOST}:7/2\", "
						     "prefix: \"${file:secrets/prefix}-1\" }\n");
	assert_string_equal(config->queue.redis, "redis://127.0.0.1:7/2");
	assert_string_equal(config->queue.prefix, "bank-1");
	config_drop(config);
}

static void a_variable_may_give_a_number_or_true_and_false(void **state)
{
	(void)state;
	setenv("HEED_TEST_MANY", "8", 1);
	setenv("HEED_TEST_YES", "true", 1);
	struct config *config =
		load_fine(BASE "channels:\n"
			       "  webhook: { adapter: webhook, allow_http: \"${HEED_TEST_YES}\" }\n"
			       "queue: { partitions: \"${HEED_TEST_MANY}\" }\n");
	assert_int_equal(config->queue.partitions, 8);
	assert_true(json_is_true(json_object_get(config->channels[0].settings, "allow_http")));
	config_drop(config);
	setenv("HEED_TEST_MANY", "hunter2", 1);
	is_refused_beside_the_base(
		"queue: { partitions: \"${HEED_TEST_MANY}\" }\n",
		"queue.partitions: is text from a variable; a whole number from 1 to 1024");
	setenv("HEED_TEST_MANY", "4711", 1);
	is_refused_beside_the_base("queue: { partitions: \"${HEED_TEST_MANY}\" }\n",
				   "queue.partitions: is a whole number from a variable; a whole number");
}

static void a_variable_is_taken_from_a_file_and_from_nothing_else(void **state)
{
	(void)state;
	is_refused_beside_the_base("gateway: { name: \"${file:/dev/zero}\" }\n",
				   "${file:/dev/zero} cannot be read: it is not a file");
}

static void one_retry_may_stand_for_all_channels(void **state)
{
	(void)state;
	struct config *config =
		load_fine(BASE "channels:\n"
			       "  webhook: { adapter: webhook, retry: &patient { first: 3s } }\n"
			       "  voice: { adapter: capture, retry: *patient }\n");
	assert_int_equal(config_channel(config, "voice")->retry.first, 3 * MOMENT_S);
	config_drop(config);
}

static void a_variable_that_is_missing_is_told_once_and_by_line(void **state)
{
	(void)state;
	unsetenv("HEED_NONE");
	is_refused(BASE EMAIL "gateway:\n  lease: ${HEED_NONE}\n",
		   "heed.yaml:6: gateway.lease: the variable HEED_NONE is not set");
	assert_null(strstr(strstr(report.errors.data, "gateway.lease") + 1, "gateway.lease"));
	is_refused_beside_the_base("gateway: { name: \"${file:none}\" }\n", "${file:none} cannot be read");
	is_refused_beside_the_base("gateway: { name: \"${NA\" }\n", "holds ${ without }");
	is_refused_beside_the_base("gateway: { name: \"${a b}\" }\n", "not a name");
}

static void secrets_appear_in_no_message(void **state)
{
	(void)state;
	setenv("HEED_TEST_SECRET", "hunter2", 1);
	is_refused("store: { url: \"mysql://u:hunter2@h/\" }\nproducts: products.yaml\n"
		   "queue: { redis: \"redis://u:hunter2@[/0\" }\n"
		   "gateway: { lease: \"${HEED_TEST_SECRET}\" }\n"
		   "secrets: [hunter2]\n"
		   "channels:\n"
		   "  email: { adapter: smtp, relay: \"smtp://u:hunter2@mail.example.com\", from: a@b }\n"
		   "  other: { adapter: smtp, relay: \"hunter2\", from: a@b }\n"
		   "  sms: { adapter: http, provider: twilio, settings: { auth_token: [hunter2], auth_tokem: "
		   "hunter2 } }\n",
		   "channels.email.relay: would send its password in the clear to mail.example.com");
	scratch_has(report.errors.data, "store.url: ");
	scratch_has(report.errors.data, "queue.redis: ");
	scratch_has(report.errors.data, "gateway.lease: is text from a variable; a duration like");
	scratch_has(report.errors.data, "secrets.0: is too short");
	scratch_has(report.errors.data, "channels.other.relay: is not a relay");
	scratch_has(report.errors.data, "channels.sms.settings.auth_token: is not text");
	scratch_has(report.errors.data, "channels.sms.settings.auth_tokem: is not a setting of this "
					"provider; did you mean auth_token?");
	scratch_has(report.errors.data, "channels.sms.settings.account_sid: is missing");
	scratch_has_not(report.errors.data, "hunter2");
}

static void a_secret_that_everybody_may_read_is_warned_of(void **state)
{
	(void)state;
	const char *file =
		scratch_write("config/open.yaml",
			      BASE "queue: { redis: \"redis://u:hunter2@127.0.0.1/0\" }\n"
				   "channels:\n"
				   "  sms:\n"
				   "    adapter: http\n"
				   "    provider: ./providers/twilio.yaml\n"
				   "    settings: { account_sid: AC1, auth_token: hunter2, from: \"+1\" }\n"
				   "  email: { adapter: smtp, relay: \"smtp://127.0.0.1\", from: a@b }\n");
	chmod(file, 0644);
	config_report_release(&report);
	config_report_init(&report);
	struct config *config = config_load(file, &report);
	if (!config)
		fail_msg("%s", report.errors.data);
	assert_string_equal(config_channel(config, "sms")->provider, "twilio");
	scratch_has(report.warnings.data,
		    "open.yaml:3: queue.redis: is a secret in a file that everybody may read");
	scratch_has(report.warnings.data, "open.yaml:8: channels.sms.settings.auth_token: is a secret");
	scratch_has_not(report.warnings.data, "account_sid");
	scratch_has_not(report.warnings.data, "hunter2");
	config_drop(config);
}

/* --- mistakes --- */

static void every_mistake_is_told_at_once_with_file_line_and_key(void **state)
{
	(void)state;
	is_refused("gatway: { name: a }\n"
		   "gateway:\n"
		   "  leese: 30s\n"
		   "  drain: 20\n"
		   "queue: { events_max: many, dead_max: 0 }\n"
		   "history: { content: all }\n"
		   "customers: { timezone: Mars/Olympus, locale: 7 }\n"
		   "channels:\n"
		   "  fax: { adapter: fax }\n"
		   "  email: { adapter: smtp, from: no-address, provider: x, retry: { factor: 0.5, first: 2h "
		   "} }\n",
		   "heed.yaml:1: gatway: is not a key of heed; did you mean gateway?");
	scratch_has(report.errors.data,
		    "heed.yaml:3: gateway.leese: is not a key of heed; did you mean lease?");
	scratch_has(report.errors.data, "heed.yaml:4: gateway.drain: is a whole number; a duration like "
					"500ms, 10s, 5m, 2h or 3d would be right");
	scratch_has(report.errors.data, "heed.yaml:5: queue.events_max: is \"many\"; a whole number from 1 "
					"to 1000000000 would be right");
	scratch_has(report.errors.data, "queue.dead_max: is 0; a whole number from 1");
	scratch_has(report.errors.data,
		    "heed.yaml:6: history.content: is \"all\"; full, summary or none would be right");
	scratch_has(report.errors.data, "heed.yaml:7: customers.timezone: is not a time zone");
	scratch_has(report.errors.data,
		    "customers.locale: is a whole number; text that is not empty in quotes");
	scratch_has(report.errors.data, "heed.yaml:9: channels.fax.adapter: is no adapter that heed has; "
					"smtp, http, webhook or capture would be right");
	scratch_has(report.errors.data, "heed.yaml:10: channels.email.provider: is a key of the adapter "
					"http, and this channel's is smtp");
	scratch_has(report.errors.data, "channels.email.relay: is missing; write for example relay:");
	scratch_has(report.errors.data, "channels.email.retry.factor: is 0.5; a number from 1 to 100");
	scratch_has(report.errors.data, "channels.email.retry: has a first pause longer than max");
	scratch_has(report.errors.data, "heed.yaml:1: store: is missing");
	scratch_has(report.errors.data, "heed.yaml:1: products: is missing");
}

static void what_an_adapter_says_has_file_line_and_key(void **state)
{
	(void)state;
	is_refused(
		BASE
		"channels:\n  email:\n    adapter: smtp\n    relay: \"smtp://localhost\"\n    from: nobody\n",
		"heed.yaml:7: channels.email.from: is no address; NAME <a@b> would be right");
}

static void names_of_channels_are_short_and_plain(void **state)
{
	(void)state;
	is_refused(BASE "channels: { Email: { adapter: webhook } }\n",
		   "channels.Email: is not a channel's name");
	is_refused(BASE "channels: { summary: { adapter: capture } }\n",
		   "channels.summary: is a file that every template may have");
	is_refused(BASE "channels: { a123456789012345678901234567890123: { adapter: webhook } }\n",
		   "at most 31 more");
	is_refused(BASE "channels: {}\n", "channels: has no channel");
	is_refused(BASE "channels:\n", "channels: is empty");
	is_refused("[]", "heed.yaml:1: is a list; a map of keys");
	is_refused("", "heed.yaml:1: is empty");
}

static void forms_of_redis_store_and_relay_are_checked(void **state)
{
	(void)state;
	is_refused_beside_the_base("queue: { redis: \"redis+cluster://a:1,b\" }\n",
				   "queue.redis: redis+cluster://a:1,b is written otherwise");
	is_refused_beside_the_base("queue: { redis: \"redis+sentinel://a:1\" }\n",
				   "queue.redis: redis+sentinel://a:1 is written otherwise");
	is_refused_beside_the_base("queue: { redis: \"rediss://a:1\" }\n", "rediss:// is not in this build");
	is_refused_beside_the_base("queue: { redis: localhost }\n", "queue.redis: is not a Redis address");
	is_refused_beside_the_base("queue: { redis: \"redis://h:99999\" }\n",
				   "queue.redis: is not a Redis address");
	is_refused_beside_the_base("queue: { redis: \"redis://h/x\" }\n",
				   "queue.redis: is not a Redis address");
	is_refused("store: { url: \"postgresql:h/d\" }\nproducts: products.yaml\n" EMAIL,
		   "store.url: is not a store");
	is_refused("store: { url: \"sqlite:\" }\nproducts: products.yaml\n" EMAIL,
		   "store.url: is not a store");
	config_drop(load_fine("store: { url: \"memory:\" }\nproducts: products.yaml\n"
			      "channels: { email: { adapter: smtp, from: a@b, relay: "
			      "\"smtp://u:p%40@localhost:26\" } }\n"));
	struct config *config = load_fine(
		BASE
		"channels: { email: { adapter: smtp, from: a@b, relay: \"smtp://mail.example.com\" } }\n");
	assert_string_equal(config_channel(config, "email")->provider, "mail.example.com:25");
	scratch_has(report.warnings.data, "in the clear");
	config_drop(config);
	config =
		load_fine(BASE "channels: { email: { adapter: smtp, from: a@b, relay: \"smtps://u:p@h\" },\n"
			       "  other: { adapter: smtp, from: a@b, relay: \"smtp+starttls://u:p@h\" } }\n");
	assert_string_equal(config_channel(config, "email")->provider, "h:465");
	assert_string_equal(config_channel(config, "other")->provider, "h:587");
	assert_null(strstr(report.warnings.data, "in the clear"));
	config_drop(config);
}

static void a_limit_and_a_zone_must_be_some(void **state)
{
	(void)state;
	is_refused_beside_the_base("limits: { marketing: often }\n", "limits.marketing: ");
	is_refused_beside_the_base("customers: { timezone: Europe/Atlantis }\n",
				   "customers.timezone: is not a time zone");
}

static void a_rate_is_read_and_a_bad_one_shows_the_right_form(void **state)
{
	(void)state;
	struct config *config = load_fine(BASE "channels: { w: { adapter: webhook, rate: 90/m } }\n");
	assert_int_equal(config->channels[0].rate.count, 90);
	assert_int_equal(config->channels[0].rate.per, MOMENT_MINUTE);
	config_drop(config);
	is_refused(BASE "channels: { w: { adapter: webhook, rate: fast } }\n",
		   "heed.yaml:3: channels.w.rate: must be a count from 1 to");
}

#define TWO "adapter: http, providers: [twilio, kannel]"
#define OF_TWILIO "twilio: { account_sid: a, auth_token: b, from: c }"
#define OF_KANNEL "kannel: { base_url: \"http://k.example:13013\", from: k }"

static void each_of_several_providers_has_its_own_settings(void **state)
{
	(void)state;
	struct config *config = load_fine(BASE "channels: { sms: { " TWO ", rate: 5/s, settings: { " OF_TWILIO
					       ", " OF_KANNEL " } } }\n");
	const struct channel_config *sms = config_channel(config, "sms");
	assert_string_equal(sms->provider, "twilio");
	assert_int_equal(sms->other_count, 1);
	assert_string_equal(sms->others[0].name, "sms");
	assert_string_equal(sms->others[0].provider, "kannel");
	assert_int_equal(sms->others[0].rate.count, 5);
	const json_t *first = json_object_get(sms->settings, "settings"),
		     *second = json_object_get(sms->others[0].settings, "settings");
	assert_string_equal(json_string_value(json_object_get(first, "from")), "c");
	assert_string_equal(json_string_value(json_object_get(second, "from")), "k");
	assert_ptr_not_equal(sms->provider_file, sms->others[0].provider_file);
	config_capture_all(config);
	assert_non_null(sms->others[0].captured_by);
	config_drop(config);
}

static void mistakes_among_several_providers_are_named_where_they_stand(void **state)
{
	(void)state;
	is_refused(BASE "channels: { sms: { " TWO ", settings: { " OF_TWILIO " } } }\n",
		   "channels.sms.settings.kannel.base_url: is missing");
	is_refused(BASE "channels:\n  sms:\n    adapter: http\n    provider: kannel\n    settings: { "
			"base_url: \"ftp://k\", from: k }\n",
		   "heed.yaml:7: channels.sms.settings.base_url: is not the address of an API; https://");
	is_refused(BASE "channels: { sms: { " TWO ", settings: { " OF_TWILIO ", " OF_KANNEL
			", vonage: {} } } }\n",
		   "channels.sms.settings.vonage: is none of the providers");
	is_refused(BASE
		   "channels: { sms: { adapter: http, providers: [twilio, twilio], settings: { " OF_TWILIO
		   " } } }\n",
		   "channels.sms.providers.1: is there already");
	is_refused(BASE "channels: { sms: { " TWO ", provider: twilio, settings: { " OF_TWILIO ", " OF_KANNEL
			" } } }\n",
		   "channels.sms.providers: stands beside `provider`");
	is_refused(BASE
		   "channels: { sms: { adapter: http, providers: [twilio, nobody], settings: { " OF_TWILIO
		   " } } }\n",
		   "channels.sms.providers.1: ");
	is_refused(BASE "channels: { sms: { adapter: http } }\n", "channels.sms.provider: is missing");
	is_refused(BASE "channels: { w: { adapter: webhook, providers: [a, b] } }\n",
		   "channels.w.providers: is a key of the adapter http");
	is_refused(BASE "channels: { sms: { provider: twilio } }\n", "channels.sms.adapter: is missing");
	assert_null(strstr(report.errors.data, "channels.sms.relay"));
}

#define PUBLIC                                                                          \
	"http: { public: \"127.0.0.1:8480\", public_url: \"https://m.example.com\" }\n" \
	"secrets: [ \"a secret of thirty-two bytes or more\" ]\n"

static void the_page_has_the_companys_name_colour_and_picture(void **state)
{
	(void)state;
	scratch_write("config/logo.svg", "<svg xmlns='http://www.w3.org/2000/svg'/>");
	struct config *config = load_fine(
		BASE EMAIL PUBLIC "company: { name: Example Bank, logo: logo.svg, colour: \"#0a5c36\" }\n");
	assert_string_equal(config->company.name, "Example Bank");
	assert_string_equal(pages_asset(config->pages, "logo")->type, "image/svg+xml");
	assert_non_null(strstr(pages_asset(config->pages, "company.css")->data, "#0a5c36"));
	assert_string_equal(link_public_url(config->links), "https://m.example.com");
	config_drop(config);
	is_refused_beside_the_base(PUBLIC "company: { colour: green }\n",
				   "company.colour: is not a colour; \"#0a5c36\" would be right");
	is_refused_beside_the_base("company: { colour: green }\n", "company.colour: is not a colour");
	is_refused_beside_the_base(PUBLIC "company: { logo: nobody.png }\n", "heed.yaml:7: company.logo: ");
}

static void a_file_of_the_pages_that_is_wrong_is_named(void **state)
{
	(void)state;
	scratch_write("templates/pages/choices.html", "{{#open}}");
	is_refused_beside_the_base(PUBLIC, "templates/pages/choices.html: 1:");
	scratch_write("templates/pages/choices.html", "");
	scratch_write("templates/pages/words/it.json", "{\"save\": \"Salva\", \"sav\": \"\"}");
	is_refused_beside_the_base(PUBLIC, "it.json: sav: is not among the words of the pages");
	scratch_write("templates/pages/words/it.json", "{\"months\": []}");
	is_refused_beside_the_base(PUBLIC, "it.json: months: must have 12 entries");
	scratch_write("templates/pages/words/it.json", "{\"save\": \"Salva\", \"language\": \"Italiano\"}");
	struct config *config = load_fine(BASE EMAIL PUBLIC);
	assert_string_equal(pages_language(config->pages, "it-CH", "en"), "it");
	assert_string_equal(json_string_value(json_object_get(pages_words(config->pages, "it"), "save")),
			    "Salva");
	assert_string_equal(json_string_value(json_object_get(pages_words(config->pages, "it"), "stop")),
			    "Stop it");
	config_drop(config);
}

#define SMS "adapter: http, provider: twilio, settings: { account_sid: a, auth_token: b, from: c }"

static void a_captured_channel_keeps_the_keys_of_whom_it_stands_in_for_and_needs_none(void **state)
{
	(void)state;
	struct config *config =
		load_fine(BASE "channels:\n"
			       "  email: { adapter: capture, relay: \"smtp://127.0.0.1:25\" }\n"
			       "  sms: { adapter: capture, max_segments: 2, numbers: { country: \"54\" } }\n"
			       "  text: { adapter: capture, provider: twilio, settings: { account_sid: a, "
			       "auth_token: b, from: c } }\n");
	assert_ptr_equal(config_channel(config, "email")->ops, &mail_ops);
	assert_ptr_equal(config_channel(config, "sms")->ops, &capture_ops);
	assert_ptr_equal(config_channel(config, "text")->ops, &http_ops);
	assert_string_equal(config_channel(config, "text")->provider, "twilio");
	for (size_t i = 0; i < config->channel_count; i++)
		assert_ptr_equal(config->channels[i].captured_by, &capture_ops);
	config_drop(config);
	is_refused(BASE "channels: { w: { adapter: capture, form: x } }\n",
		   "channels.w.form: is not a key of heed");
}

static void all_channels_may_be_captured(void **state)
{
	(void)state;
	struct config *config = load_fine(BASE EMAIL "  sms: { " SMS " }\n");
	for (size_t i = 0; i < config->channel_count; i++)
		assert_null(config->channels[i].captured_by);
	config_capture_all(config);
	assert_ptr_equal(config_channel(config, "sms")->ops, &http_ops);
	for (size_t i = 0; i < config->channel_count; i++)
		assert_ptr_equal(config->channels[i].captured_by, &capture_ops);
	config_drop(config);
}

static void segments_and_national_numbers_are_for_phones(void **state)
{
	(void)state;
	struct config *config =
		load_fine(BASE EMAIL "  sms: { " SMS ", max_segments: 3, numbers: { country: \"+54\", "
				     "trunk: \"0\", digits: 10 } }\n");
	const struct channel_config *sms = config_channel(config, "sms");
	assert_int_equal(sms->max_segments, 3);
	assert_string_equal(sms->numbers.country, "54");
	assert_string_equal(sms->numbers.trunk, "0");
	assert_int_equal(sms->numbers.digits, 10);
	config_drop(config);
	is_refused(BASE "channels: { sms: { " SMS ", max_segments: 0 } }\n", "channels.sms.max_segments");
	is_refused(BASE "channels: { sms: { " SMS ", numbers: { trunk: \"0\" } } }\n",
		   "channels.sms.numbers.country: is missing");
	is_refused(BASE "channels: { sms: { " SMS ", numbers: { country: AR } } }\n",
		   "channels.sms.numbers.country: is not the code of a country; 1 to 3 digits");
	is_refused(BASE "channels: { sms: { " SMS ", numbers: { country: \"54\", trunk: \"00\" } } }\n",
		   "channels.sms.numbers.trunk: is not what stands before a national number");
	is_refused(BASE "channels: { webhook: { adapter: webhook, max_segments: 2 } }\n",
		   "is a key of the adapter http");
	is_refused(BASE "channels: { email: { adapter: capture, max_segments: 2 } }\n",
		   "channels.email.max_segments: is for short messages");
}

static void a_public_listener_needs_its_url_and_secrets(void **state)
{
	(void)state;
	is_refused_beside_the_base("http: { public: \"127.0.0.1:1\" }\n",
				   "http.public: needs http.public_url");
	scratch_has(report.errors.data, "http.public: needs secrets");
}

#define HASH "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"

static void listeners_proxies_and_tokens_are_checked(void **state)
{
	static const char *const wrong[][2] = {
		{"http: { internal: \"8481\" }", "http.internal: '8481' is not ADDRESS:PORT"},
		{"http: { internal: \"::1:8481\" }", "http.internal: '::1:8481' is not ADDRESS:PORT"},
		{"http: { internal: \"127.0.0.1:70000\" }", "is not ADDRESS:PORT"},
		{"http: { public: \"[::1]:1\", internal: \"[::1]:1\" }", "is the same as http.public"},
		{"http: { public_url: m.example.com }", "http.public_url: is not the address of a site"},
		{"http: { public_url: \"ftp://m.example.com\" }", "is not the address of a site"},
		{"http: { trusted_proxies: [ \"10.0.0.0/33\" ] }", "trusted_proxies.0: '10.0.0.0/33' is not"},
		{"http: { tokens: [ { name: a b, sha256: " HASH ", scopes: [read] } ] }",
		 "'a b' is not 1 to 64"},
		{"http: { tokens: [ { name: a, sha256: abc, scopes: [read] } ] }", "64 digits of hex"},
		{"http: { tokens: [ { name: a, sha256: " HASH ", scopes: [fly] } ] }",
		 "'fly' is not a scope"},
		{"http: { tokens: [ { name: a, sha256: " HASH ", scopes: [] } ] }", "scopes: is empty"},
		{"http: { tokens: [ { name: a, sha256: " HASH ", scopes: [read] }, { name: b, sha256: " HASH
		 ", scopes: [read] } ] }",
		 "has the same sha256 as 'a'"},
		{"http: { tokens: [ { name: a, sha256: " HASH ", scopes: [read], products: [pigeons] } ] }",
		 "pigeons is not in the products file"},
		{"secrets: [ short ]", "secrets.0: is too short"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		char *yaml = xasprintf("%s\n", wrong[i][0]);
		is_refused_beside_the_base(yaml, wrong[i][1]);
		free(yaml);
	}
}

static void what_is_unsafe_in_listeners_is_a_warning(void **state)
{
	(void)state;
	struct config *config = load_fine(BASE EMAIL "http: { internal: \"0.0.0.0:8481\", public_url: "
						     "\"http://m.example.com/\", trusted_proxies: [ "
						     "\"0.0.0.0/0\" ] }\n");
	scratch_has(report.warnings.data, "http.internal: is not on this machine alone");
	scratch_has(report.warnings.data, "http.tokens: there is none");
	scratch_has(report.warnings.data, "http.public_url: is http://");
	scratch_has(report.warnings.data, "trusted_proxies.0: trusts everybody");
	assert_string_equal(config->http.public_url, "http://m.example.com");
	config_drop(config);
}

static void a_socket_path_that_the_system_would_cut_is_an_error(void **state)
{
	(void)state;
	char *yaml = xasprintf("http: { socket: \"/tmp/%0110d\" }\n", 7);
	is_refused_beside_the_base(yaml, "http.socket: is too long a path");
	free(yaml);
}

static void products_and_folders_that_are_not_there_are_told(void **state)
{
	(void)state;
	is_refused("store: { url: \"memory:\" }\nproducts: none.yaml\ntemplates: none\n" EMAIL,
		   "heed.yaml:2: products: ");
	scratch_has(report.errors.data, "heed.yaml:3: templates: ");
	config_report_release(&report);
	config_report_init(&report);
	assert_null(config_load(scratch_path("none.yaml"), &report));
	scratch_has(report.errors.data, "none.yaml: cannot be opened");
}

/* --- providers --- */

static void provider_is_refused(const char *yaml, const char *why)
{
	scratch_write("config/providers/bad.yaml", yaml);
	is_refused(BASE "channels: { sms: { adapter: http, provider: bad, settings: {} } }\n", why);
}

static void a_provider_file_is_checked_by_line(void **state)
{
	(void)state;
#define HEAD "name: bad\nsettings: { base_url: { default: \"http://h\" } }\n"
	provider_is_refused(HEAD
			    "request: { url: \"{{settings.base_url}}/{{settings.key}}\" }\nresponse: {}\n",
			    "bad.yaml:3: request.url: uses settings.key, which settings does not declare");
	provider_is_refused(HEAD "request: { url: \"http://h\" }\nresponse: {}\n",
			    "request.url: does not begin with {{settings.base_url}}");
	provider_is_refused(
		"name: bad\nsettings: {}\nrequest: { url: \"{{settings.base_url}}\" }\nresponse: {}\n",
		"has no base_url");
#define REQUEST "request: { url: \"{{settings.base_url}}\" }\n"
	provider_is_refused(
		HEAD REQUEST "response:\n  dead:\n    - { code: 1 }\n",
		"bad.yaml:6: response.dead.0: asks for a code, and response.error_code does not say");
	provider_is_refused(HEAD "request: { url: \"{{settings.base_url}}\", headers: [a] }\nresponse: {}\n",
			    "bad.yaml:3: request.headers: is a list; a map of name to text");
	provider_is_refused(HEAD REQUEST "response: { retry: [ { status: 9xx } ] }\n",
			    "has a status that is none");
	provider_is_refused(HEAD REQUEST "response: { id: { json: a, header: b } }\n",
			    "response.id: does not say where once");
	provider_is_refused(HEAD REQUEST "response: { sucess: [] }\n",
			    "response.sucess: is not a key of a provider; did you mean success?");
	provider_is_refused(
		HEAD
		"request: { url: \"{{settings.base_url}}\", auth: { type: basic, user: a } }\nresponse: {}\n",
		"request.auth: has no password");
	provider_is_refused(
		HEAD "request: { url: \"{{settings.base_url}}\", form: { a: b }, body: c }\nresponse: {}\n",
		"has several of form, json and body");
	is_refused(BASE "channels: { sms: { adapter: http, provider: nobody } }\n",
		   "heed.yaml:3: channels.sms.provider: is a provider without a file;");
}

static void a_mistake_in_a_text_of_a_provider_is_named_where_it_stands(void **state)
{
	(void)state;
	static const char head[] = HEAD "request:\n  url: \"{{settings.base_url}}/\"\n";
	static const struct {
		const char *rest, *told;
	} rows[] = {
		{"  json: { a: [ \"{{#to}}\" ] }\nresponse: {}\n",
		 "bad.yaml:5: request.json.a.0: is not Mustache: at 1:"},
		{"  form: { a: \"{{txt}}\" }\nresponse: {}\n",
		 "bad.yaml:5: request.form.a: uses txt, which is not there; did you mean text?"},
		{"  form: { a: \"{{xml.txt}}\" }\nresponse: {}\n", "uses xml.txt, which is not there"},
		{"  form: { a: \"{{json.settings.key}}\" }\nresponse: {}\n",
		 "uses settings.key, which settings does not declare"},
		{"  form: { a: \"{{>x}}\" }\nresponse: {}\n", "request.form.a: has a partial"},
		{"  form: { a: \"{{request.body}}\" }\nresponse: {}\n",
		 "request.form.a: uses request.body, which is there only in what auth hmac signs"},
		{"  auth: { type: hmac, name: X }\nresponse: {}\n", "bad.yaml:5: request.auth: has no key;"},
		{"  auth: { type: hmac, name: X, key: k, sign: \"{{signature}}\" }\nresponse: {}\n",
		 "request.auth.sign: uses signature, which is there only"},
		{"  auth: { type: hmac, name: X, key: k, sign: s, digest: crc }\nresponse: {}\n",
		 "request.auth.digest: "},
		{"  auth: { type: bearer, token: t, scope: s }\nresponse: {}\n",
		 "bad.yaml:5: request.auth.scope: is a key that type bearer does not take"},
		{"  auth: { type: oauth2, token_url: \"https://x\", client_id: a, client_secret: b }\n"
		 "response: {}\n",
		 "request.auth.token_url: does not begin with a setting"},
		{"  auth: { type: oauth2, token_url: \"{{settings.base_url}}\", client_id: \"{{to}}\", "
		 "client_secret: b }\nresponse: {}\n",
		 "request.auth.client_id: uses to; a token's request sees only settings"},
		{"response:\n  id:\n    text: '(x'\n",
		 "bad.yaml:7: response.id.text: is not an extended regular expression"},
		{"response: { id: { text: 'x' } }\n", "bad.yaml:5: response.id.text: has no group"},
		{"response: { error_code: { header: X } }\n", "response.error_code: is in a header"},
		{"response: { retry_after: { json: a, unit: h } }\n", "response.retry_after.unit: "},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char *yaml = xasprintf("%s%s", head, rows[i].rest);
		provider_is_refused(yaml, rows[i].told);
		free(yaml);
	}
}

static void all_mistakes_of_a_provider_file_are_named_at_once(void **state)
{
	(void)state;
	provider_is_refused(HEAD "request:\n  url: \"{{settings.base_url}}\"\n  metod: GET\n"
				 "  form: { a: \"{{txt}}\" }\nresponse: { id: { text: '(' } }\n",
			    "bad.yaml:5: request.metod: is not a key");
	scratch_has(report.errors.data, "bad.yaml:6: request.form.a: uses txt");
	scratch_has(report.errors.data, "bad.yaml:7: response.id.text: is not");
}

/* --- help and samples --- */

static void is_the_file(enum config_help form, const char *file)
{
	struct text made, kept;
	char block[4096];
	size_t got;

	text_init(&made, CONFIG_HELP_MAX);
	text_init(&kept, CONFIG_HELP_MAX);
	config_help_write(form, &made);
	if (getenv("HEED_WRITE_SAMPLES")) {
		FILE *out = fopen(file, "we");
		assert_non_null(out);
		fputs(made.data, out);
		fclose(out);
	}
	FILE *in = fopen(file, "re");
	assert_non_null(in);
	while ((got = fread(block, 1, sizeof block, in)) > 0)
		text_add(&kept, block, got);
	fclose(in);
	assert_string_equal(kept.data, made.data);
	text_release(&made);
	text_release(&kept);
}

/* Run from the repository's root; HEED_WRITE_SAMPLES=1 writes them anew. */
static void the_samples_are_what_the_table_says_and_can_be_loaded(void **state)
{
	(void)state;
	is_the_file(CONFIG_HELP_SAMPLE, "config/heed.yaml");
	is_the_file(CONFIG_HELP_SAMPLE_PRODUCTS, "config/products.yaml");
	struct text made;
	text_init(&made, CONFIG_HELP_MAX);
	config_help_write(CONFIG_HELP_SAMPLE_PRODUCTS, &made);
	scratch_write("config/products.yaml", made.data);
	text_clear(&made);
	config_help_write(CONFIG_HELP_SAMPLE, &made);
	struct config *config = load_fine(made.data);
	assert_int_equal(config->channel_count, 2);
	assert_int_equal(config->products->count, 3);
	assert_string_equal(report.warnings.data, "");
	config_drop(config);
	scratch_write("config/products.yaml", PRODUCTS);
	text_release(&made);
}

static void every_key_has_a_line_of_help(void **state)
{
	(void)state;
	struct text help;
	const struct config_table *tables[] = {&config_table, &product_table, &provider_table};

	text_init(&help, CONFIG_HELP_MAX);
	config_help_write(CONFIG_HELP_TEXT, &help);
	for (size_t i = 0; i < 3; i++)
		for (size_t j = 0; j < tables[i]->count; j++)
			scratch_has(help.data, tables[i]->keys[j].path);
	scratch_has(help.data, "gateway.lease (duration, default 30s)");
	text_clear(&help);
	config_help_write(CONFIG_HELP_MAN, &help);
	scratch_has(help.data, ".It Cm \"gateway.lease\"\nHow long");
	scratch_has(help.data, "\n(duration, default 30s)\n.It");
	assert_false(help.full);
	text_release(&help);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_left_out_has_the_default_of_the_contract),
		cmocka_unit_test(relative_paths_count_from_the_folder_of_the_file),
		cmocka_unit_test(the_block_of_the_contract_is_taken_as_it_stands),
		cmocka_unit_test(a_configuration_is_counted),
		cmocka_unit_test(variables_come_from_the_environment_and_from_files),
		cmocka_unit_test(a_variable_may_give_a_number_or_true_and_false),
		cmocka_unit_test(a_variable_is_taken_from_a_file_and_from_nothing_else),
		cmocka_unit_test(one_retry_may_stand_for_all_channels),
		cmocka_unit_test(a_variable_that_is_missing_is_told_once_and_by_line),
		cmocka_unit_test(secrets_appear_in_no_message),
		cmocka_unit_test(a_secret_that_everybody_may_read_is_warned_of),
		cmocka_unit_test(every_mistake_is_told_at_once_with_file_line_and_key),
		cmocka_unit_test(what_an_adapter_says_has_file_line_and_key),
		cmocka_unit_test(names_of_channels_are_short_and_plain),
		cmocka_unit_test(forms_of_redis_store_and_relay_are_checked),
		cmocka_unit_test(a_limit_and_a_zone_must_be_some),
		cmocka_unit_test(a_rate_is_read_and_a_bad_one_shows_the_right_form),
		cmocka_unit_test(each_of_several_providers_has_its_own_settings),
		cmocka_unit_test(mistakes_among_several_providers_are_named_where_they_stand),
		cmocka_unit_test(the_page_has_the_companys_name_colour_and_picture),
		cmocka_unit_test(a_file_of_the_pages_that_is_wrong_is_named),
		cmocka_unit_test(a_captured_channel_keeps_the_keys_of_whom_it_stands_in_for_and_needs_none),
		cmocka_unit_test(all_channels_may_be_captured),
		cmocka_unit_test(segments_and_national_numbers_are_for_phones),
		cmocka_unit_test(a_public_listener_needs_its_url_and_secrets),
		cmocka_unit_test(listeners_proxies_and_tokens_are_checked),
		cmocka_unit_test(what_is_unsafe_in_listeners_is_a_warning),
		cmocka_unit_test(a_socket_path_that_the_system_would_cut_is_an_error),
		cmocka_unit_test(products_and_folders_that_are_not_there_are_told),
		cmocka_unit_test(a_provider_file_is_checked_by_line),
		cmocka_unit_test(a_mistake_in_a_text_of_a_provider_is_named_where_it_stands),
		cmocka_unit_test(all_mistakes_of_a_provider_file_are_named_at_once),
		cmocka_unit_test(the_samples_are_what_the_table_says_and_can_be_loaded),
		cmocka_unit_test(every_key_has_a_line_of_help),
	};
	xalloc_init();
	return cmocka_run_group_tests_name("config", tests, start, stop);
}
