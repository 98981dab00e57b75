#include "turn_fixture.h"

#include <pthread.h>
#include <sys/stat.h>
#include <time.h>

#include "audit.h"
#include "contact.h"
#include "log.h"
#include "scratch.h"
#include "banned.h"

struct world world;
struct text problem;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* --- the scripted channel --- */

static struct script *script_of(const char *name)
{
	return strcmp(name, "email") == 0 ? &world.email
	       : strcmp(name, "sms") == 0 ? &world.sms
					  : &world.webhook;
}

static struct channel *script_open(const struct channel_config *config, struct outcome_sink sink,
				   struct text *error)
{
	struct channel *channel = xcalloc(1, sizeof *channel);
	struct script *script = script_of(config->name);

	(void)sink;
	(void)error;
	channel->credit = script->credit;
	script->open++;
	return channel;
}

static void script_send(struct channel *channel, struct attempt *attempt)
{
	struct script *script = script_of(channel->config->name);

	pthread_mutex_lock(&lock);
	script->handed++;
	if (script->watch)
		script->watch(attempt);
	bool begun = script->begins && attempt_begin(attempt);
	script->begun += begun;
	bool answers = script->answers;
	struct outcome answer = script->begins && !begun
					? outcome_make(OUTCOME_NOT_BEGUN, SCOPE_MESSAGE, "", "called back")
					: script->answer;
	if (!answers) {
		assert_true(script->held_count < SCRIPT_HELD_MAX);
		script->held[script->held_count++] = attempt;
	}
	pthread_mutex_unlock(&lock);
	if (answers)
		channel_report(attempt, &answer);
}

/* What a process that was killed held: freed once no turn knows of it. */
static struct attempt *gone[SCRIPT_HELD_MAX];
static size_t gone_count;

void script_forget(struct script *script)
{
	for (; script->held_count && gone_count < SCRIPT_HELD_MAX; script->held_count--)
		gone[gone_count++] = script->held[script->held_count - 1];
}

static struct attempt *take_held(struct script *script, size_t i)
{
	struct attempt *attempt = script->held[i];

	memmove(script->held + i, script->held + i + 1,
		(--script->held_count - i) * sizeof(struct attempt *));
	return attempt;
}

static void script_close(struct channel *channel, int64_t patience)
{
	struct script *script = script_of(channel->config->name);

	(void)patience;
	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < script->held_count;) {
		if (script->held[i]->channel != channel) {
			i++;
			continue;
		}
		struct attempt *attempt = take_held(script, i);
		bool begun = atomic_load(&attempt->phase) == ATTEMPT_BEGUN;
		const struct outcome outcome = outcome_make(begun ? OUTCOME_IN_DOUBT : OUTCOME_NOT_BEGUN,
							    SCOPE_MESSAGE, "", "the channel was closed");
		channel_report(attempt, &outcome);
	}
	script->open--;
	pthread_mutex_unlock(&lock);
	free(channel);
}

static enum address_kind kind_email(const struct channel_config *config)
{
	(void)config;
	return ADDRESS_EMAIL;
}

static enum address_kind kind_phone(const struct channel_config *config)
{
	(void)config;
	return ADDRESS_PHONE;
}

static enum address_kind kind_url(const struct channel_config *config)
{
	(void)config;
	return ADDRESS_URL;
}

#define SCRIPTED .open = script_open, .send = script_send, .close = script_close
static const struct channel_ops email_ops = {.adapter = "scripted",
					     .text = CHANNEL_TEXT_MAIL,
					     .address_kind = kind_email,
					     .has_provider = true,
					     SCRIPTED};
static const struct channel_ops sms_ops = {.adapter = "scripted",
					   .text = CHANNEL_TEXT_PLAIN,
					   .address_kind = kind_phone,
					   .has_provider = true,
					   SCRIPTED};
static const struct channel_ops webhook_ops = {
	.adapter = "scripted", .text = CHANNEL_TEXT_JSON, .address_kind = kind_url, SCRIPTED};

/* --- the configuration --- */

#define RELAY "{ adapter: smtp, relay: \"smtp://127.0.0.1:25\", from: \"a@example.com\" }\n"
#define CHANNELS "  email: " RELAY "  sms: " RELAY "  webhook: " RELAY
#define PRODUCTS                                                                 \
	"card-alerts: { channels: [sms, email, webhook], default: [email] }\n"   \
	"card-alerts/fraud: { title: { en: Fraud } }\n"                          \
	"terms: { channels: [email, sms], default: [email], may_stop: false }\n" \
	"news: { channels: [email, sms], default: [], purpose: marketing }\n"    \
	"alarm: { channels: [sms, email], default: [sms], purpose: critical }\n"

void midweek(void)
{
	int64_t now = moment_now() + world.turn->ahead, week = 7 * MOMENT_DAY;
	int64_t wednesday = now / week * week + 6 * MOMENT_DAY + 10 * MOMENT_HOUR + 20 * MOMENT_MINUTE;

	world.turn->ahead += wednesday - now + (wednesday < now ? week : 0);
}

struct config *world_config(const char *channels, const char *products)
{
	struct config_report report;
	char *yaml = xasprintf("gateway: { name: test, drain: 2s }\n"
			       "store: { url: \"memory:unused\" }\n"
			       "products: products.yaml\n"
			       "channels:\n%s",
			       channels ? channels : CHANNELS);

	config_report_init(&report);
	scratch_write("config/products.yaml", products ? products : PRODUCTS);
	scratch_write("templates/messages/payment/email.text", "{{amount}} was paid.");
	scratch_write("templates/messages/payment/sms", "{{amount}} paid");
	scratch_write("templates/messages/payment/required", "amount\n");
	const char *file = scratch_write("config/heed.yaml", yaml);
	chmod(file, 0600);
	struct config *config = config_load(file, &report);
	if (!config)
		fail_msg("%s", report.errors.data);
	for (size_t i = 0; i < config->channel_count; i++) {
		struct channel_config *channel = &config->channels[i];
		bool email = strcmp(channel->name, "email") == 0, sms = strcmp(channel->name, "sms") == 0;
		channel->ops = email ? &email_ops : sms ? &sms_ops : &webhook_ops;
		xreplace(&channel->provider, email ? "relay" : sms ? "twilio" : "");
		channel->resend_in_doubt = !sms;
		channel->retry = (struct retry_policy){20 * MOMENT_MS, 2, 200 * MOMENT_MS, 10 * MOMENT_S};
	}
	free(yaml);
	config_report_release(&report);
	return config;
}

/* --- open and close --- */

static void turn_by_hand(void)
{
	struct text error;

	text_init(&error, TEXT_ERROR_MAX);
	world.turn = turn_new(world.store, world.config);
	if (world.remembers) {
		char *path = xasprintf("%s/begun", scratch_folder);
		turn_remember_begun(world.turn, begun_open(path, store_id(world.store), &error));
		free(path);
	}
	if (!turn_ready(world.turn, &error))
		fail_msg("%s", error.data);
	text_release(&error);
}

static void events_clear(void);

static void stores_open(void)
{
	struct text error;

	text_init(&error, TEXT_ERROR_MAX);
	if (!(world.store = store_open(world.url, true, &error)) ||
	    !(world.reader = store_reader_open(world.url, &error)))
		fail_msg("%s", error.data);
	text_release(&error);
}

static int world_open(void **state, const char *kind)
{
	static int run;
	int failed = scratch_open(state);

	log_set_level(LOG_ERROR);
	world = (struct world){.email = {.name = "email", .credit = 100},
			       .sms = {.name = "sms", .credit = 100},
			       .webhook = {.name = "webhook", .credit = 100}};
	world.parsed = json_array();
	world.event_ids = json_object();
	world.dead = json_array();
	text_init(&problem, TEXT_ERROR_MAX);
	world.config = world_config(NULL, NULL);
	if (strcmp(kind, "memory") == 0)
		snprintf(world.url, sizeof world.url, "memory:turn-%d", ++run);
	else
		snprintf(world.url, sizeof world.url, "sqlite:%s/heed.db", scratch_folder);
	stores_open();
	turn_by_hand();
	return failed;
}

int world_open_memory(void **state)
{
	return world_open(state, "memory");
}

int world_open_sqlite(void **state)
{
	return world_open(state, "sqlite");
}

/* Whatever the turn still waits for is told to it, so that it can end. */
static void turn_end(void)
{
	if (world.turn->started) {
		turn_stop(world.turn);
	} else {
		world.turn->stopping = true;
		turn_step(world.turn);
		lines_close(world.turn, 0);
		for (int i = 0; i < 100 && world.turn->flight_count; i++)
			turn_step(world.turn);
		assert_int_equal(world.turn->flight_count, 0);
		world.turn->outbox.ended = true;
	}
	collect();
	turn_free(world.turn);
	world.turn = NULL;
}

int world_close(void **state)
{
	turn_end();
	while (gone_count)
		attempt_free(gone[--gone_count]);
	if (!world.corrupt)
		audit_holds();
	store_reader_close(world.reader);
	store_close(world.store);
	config_drop(world.config);
	world_events(); /* each of them is JSON */
	events_clear();
	free(world.events);
	json_decref(world.parsed);
	json_decref(world.event_ids);
	json_decref(world.dead);
	text_release(&problem);
	return scratch_close(state);
}

void world_crash(void)
{
	collect();
	world.turn->outbox.published = 0; /* it would be told to the store */
	turn_free(world.turn);
	turn_by_hand();
}

void world_fresh(void)
{
	static int run;

	turn_end();
	store_reader_close(world.reader);
	store_close(world.store);
	events_clear();
	json_array_clear(world.dead);
	snprintf(world.url, sizeof world.url, "memory:fresh-%d", ++run);
	stores_open();
	turn_by_hand();
}

void world_restart(void)
{
	turn_end();
	turn_by_hand();
}

void world_reload(struct config *config)
{
	struct text error;

	text_init(&error, TEXT_ERROR_MAX);
	world.turn->inbox.reload = config;
	world.turn->inbox.reload_error = &error;
	step();
	if (!world.turn->inbox.reload_ok)
		fail_msg("%s", error.data);
	config_drop(world.config);
	world.config = config;
	text_release(&error);
}

void world_stop(void)
{
	turn_stop(world.turn);
	collect();
	turn_free(world.turn);
	turn_by_hand();
}

void world_run(void)
{
	struct text error;

	text_init(&error, TEXT_ERROR_MAX);
	turn_end();
	world.turn = turn_new(world.store, world.config);
	if (!turn_start(world.turn, &error))
		fail_msg("%s", error.data);
	text_release(&error);
}

/* --- in --- */

static struct turn_door door(void)
{
	return (struct turn_door){.turn = world.turn, .alone = !world.turn->started};
}

static const struct asker asker = {.by = "cli", .actor = ""};

static json_t *parse(const char *json)
{
	json_error_t error;
	json_t *value = json_loads(json, 0, &error);

	if (!value)
		fail_msg("%s in %s", error.text, json);
	return value;
}

int customer_put(const char *id, const char *json, json_t **answer)
{
	const struct turn_door in = door();
	json_t *body = parse(json), *out = NULL;

	text_clear(&problem);
	int status = request_customer(&in, &asker, id, body, false, &out, &problem);
	json_decref(body);
	if (answer)
		*answer = out;
	else
		json_decref(out);
	return status;
}

void customer_is(const char *id, const char *json)
{
	int status = customer_put(id, json, NULL);

	if (status != 200 && status != 201)
		fail_msg("%d: %s", status, problem.data);
}

void customer_with_all(const char *id)
{
	unsigned number = 0;

	for (const char *at = id; *at; at++)
		number = number * 31 + (unsigned char)*at;
	char *json = xasprintf("{\"addresses\":{\"email\":\"%s@example.com\",\"sms\":\"+49%010u\","
			       "\"webhook\":\"https://%s.example.com/\"}}",
			       id, number, id);
	customer_is(id, json);
	free(json);
}

int prefer(const char *customer, const char *product, const char *json, json_t **answer)
{
	const struct turn_door in = door();
	json_t *body = parse(json), *out = NULL;

	text_clear(&problem);
	int status = request_prefer(&in, &asker, customer, product, body, false, &out, &problem);
	json_decref(body);
	if (answer)
		*answer = out;
	else
		json_decref(out);
	return status;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

const char *prefer_way(const char *customer, const char *product, const char *channels)
{
	static char out[4096];
	const char *ids[256];
	json_t *answer = NULL, *item;
	size_t i;

	char *json = xasprintf("{\"channels\":%s}", channels);
	int status = prefer(customer, product, json, &answer);
	free(json);
	if (status != 200)
		fail_msg("%d: %s", status, problem.data);
	const json_t *list = json_object_get(answer, "on_their_way");
	assert_true(json_is_array(list));
	json_array_foreach(list, i, item) ids[i] = json_string_value(item);
	qsort(ids, json_array_size(list), sizeof *ids, by_text);
	*out = '\0';
	for (i = 0; i < json_array_size(list); i++)
		snprintf(out + strlen(out), sizeof out - strlen(out), "%s%s", i ? "," : "", ids[i]);
	json_decref(answer);
	return out;
}

int settle(const char *message, const char *as)
{
	const struct turn_door in = door();

	text_clear(&problem);
	return request_settle(&in, &asker, message, as, NULL, &problem);
}

int retry(const char *message)
{
	const struct turn_door in = door();

	text_clear(&problem);
	return request_retry(&in, &asker, message, NULL, &problem);
}

void admit_json(const char *json)
{
	struct admission *admission = xcalloc(1, sizeof *admission);

	admission->entry.stream = xstrdup("heed:outbound");
	admission->entry.id = xasprintf("1-%lu", world.entries++);
	admission->entry.lane = LANE_NORMAL;
	admission->entry.payload = xstrdup(json);
	admission->entry.len = strlen(json);
	text_init(&admission->error, TEXT_ERROR_MAX);
	message_parse(json, strlen(json), &admission->message, &admission->error);
	assert_true(turn_admit(world.turn, &admission, 1));
}

void admit(const char *id, const char *customer, const char *product, const char *more)
{
	char *json = xasprintf("{\"id\":\"%s\",\"customer\":\"%s\",\"product\":\"%s\","
			       "\"content\":{\"text\":\"Hello\"}%s}",
			       id, customer, product, more);
	admit_json(json);
	free(json);
}

void step(void)
{
	if (!turn_step(world.turn))
		fail_msg("the store failed: %s", store_error(world.store));
	collect();
}

void steps(void)
{
	for (int i = 0; i < 1000; i++) {
		step();
		turn_look(world.turn);
		if (!world.turn->inbox.outcomes && !world.turn->inbox.admission_count &&
		    (world.turn->standing || lines_next(world.turn) > 0) && !world.turn->moving &&
		    !world.turn->config_new && !world.turn->receipts.found.count &&
		    world.turn->receipts.swept == MOMENT_NEVER)
			return;
	}
	fail_msg("the turn does not come to rest");
}

void steps_for(int64_t time)
{
	for (int64_t until = moment_mono() + time; moment_mono() < until;) {
		const struct timespec pause = {.tv_nsec = 2000000};
		steps();
		nanosleep(&pause, NULL);
	}
}

/* --- the channels --- */

static size_t find_held(struct script *script, const char *message)
{
	for (size_t i = 0; i < script->held_count; i++)
		if (strcmp(script->held[i]->message_id, message) == 0)
			return i;
	return SCRIPT_HELD_MAX;
}

bool is_held(struct script *script, const char *message)
{
	pthread_mutex_lock(&lock);
	bool found = find_held(script, message) != SCRIPT_HELD_MAX;
	pthread_mutex_unlock(&lock);
	return found;
}

struct attempt *held(struct script *script, const char *message)
{
	pthread_mutex_lock(&lock);
	size_t i = find_held(script, message);
	struct attempt *attempt = i < SCRIPT_HELD_MAX ? script->held[i] : NULL;
	pthread_mutex_unlock(&lock);
	if (!attempt)
		fail_msg("%s was not handed to %s; it is %s", message, script->name, state_of(message));
	return attempt;
}

void begin(struct script *script, const char *message)
{
	assert_true(attempt_begin(held(script, message)));
}

void report_outcome(struct script *script, const char *message, struct outcome outcome)
{
	held(script, message);
	pthread_mutex_lock(&lock);
	struct attempt *attempt = take_held(script, find_held(script, message));
	pthread_mutex_unlock(&lock);
	channel_report(attempt, &outcome);
}

void report(struct script *script, const char *message, enum outcome_kind kind, enum outcome_scope scope,
	    const char *code)
{
	report_outcome(script, message, outcome_make(kind, scope, code, "said the test"));
}

void taken(struct script *script, const char *message)
{
	report(script, message, OUTCOME_ACCEPTED, SCOPE_MESSAGE, "250");
}

/* --- out --- */

/* A member of an event, which has it before all that is not heed's own. */
static size_t event_member(const char *event, const char *name, const char **value)
{
	const char *at = strstr(event, name);

	assert_non_null(at);
	*value = at + strlen(name);
	return strcspn(*value, "\"");
}

static void events_clear(void)
{
	while (world.event_count)
		free(world.events[--world.event_count]);
	json_array_clear(world.parsed);
	json_object_clear(world.event_ids);
}

/* Takes the text. */
static void event_came(char *event)
{
	const char *id;
	size_t len = event_member(event, "\"id\":\"", &id);
	const json_t *before = json_object_getn(world.event_ids, id, len);

	if (before) {
		world.repeated++;
		assert_string_equal(event, world.events[json_integer_value(before)]);
		free(event);
		return;
	}
	json_object_setn_new(world.event_ids, id, len, json_integer((json_int_t)world.event_count));
	world.events = xreallocarray(world.events, world.event_count + 1, sizeof *world.events);
	world.events[world.event_count++] = event;
}

json_t *world_events(void)
{
	for (size_t i = json_array_size(world.parsed); i < world.event_count; i++)
		json_array_append_new(world.parsed, parse(world.events[i]));
	return world.parsed;
}

void collect(void)
{
	struct carriage carriage;

	if (!world.turn->started)
		outbox_refill(world.turn);
	turn_collect(world.turn, 0, true, &carriage);
	for (struct admission *next; carriage.settled; carriage.settled = next) {
		next = carriage.settled->next;
		if (carriage.settled->error.len)
			json_array_append_new(world.dead, json_string(carriage.settled->error.data));
		else
			world.acknowledged++;
		admission_free(carriage.settled);
	}
	for (size_t i = 0; i < carriage.event_count; i++) {
		event_came(carriage.events[i].json);
		turn_published(world.turn, carriage.events[i].seq);
	}
	free(carriage.events);
}

#define ROOM 4096

static char *room(void)
{
	static char rooms[4][ROOM];
	static int next;

	char *out = rooms[next++ % 4];
	*out = '\0';
	return out;
}

__attribute__((format(printf, 2, 3))) static void add_word(char *out, const char *format, ...)
{
	va_list args;

	size_t len = strlen(out);
	if (len)
		out[len++] = ' ';
	va_start(args, format);
	vsnprintf(out + len, ROOM - len, format, args);
	va_end(args);
}

struct message_row row_of(const char *message)
{
	struct message_row row = {0};

	assert_true(store_read_message(world.reader, message, &row));
	return row;
}

const char *state_of(const char *message)
{
	struct message_row row = row_of(message);
	const char *name = row.n ? state_name(row.state) : "unknown";

	message_row_release(&row);
	return name;
}

const char *contacts_of(const char *message)
{
	const struct log_query query = {.message = message, .limit = 100};
	struct contact *contacts = NULL;
	char *out = room();
	size_t count = 0;

	assert_true(store_read_log(world.reader, &query, &contacts, &count));
	for (size_t i = 0; i < count; i++) {
		add_word(out, "%d:%s:%s", contacts[i].attempt, contacts[i].channel,
			 state_name(contacts[i].state));
		contact_release(&contacts[i]);
	}
	free(contacts);
	return out;
}

const char *events_of(const char *subject)
{
	char *out = room();
	size_t wanted = strlen(subject);

	collect();
	for (size_t i = 0; i < world.event_count; i++) {
		const char *type, *of;
		size_t len = event_member(world.events[i], "\"subject\":\"", &of);
		if (len != wanted || strncmp(of, subject, len) != 0)
			continue;
		len = event_member(world.events[i], "\"type\":\"", &type);
		size_t skip = strncmp(type, "heed.message.", 13) == 0 ? 13 : 0;
		add_word(out, "%.*s", (int)(len - skip), type + skip);
	}
	return out;
}

size_t events_typed(const char *wanted)
{
	size_t count = 0;

	collect();
	for (size_t i = 0; i < world.event_count; i++) {
		const char *type;
		size_t len = event_member(world.events[i], "\"type\":\"", &type);
		count += len == strlen(wanted) && strncmp(type, wanted, len) == 0;
	}
	return count;
}

const char *reasons_of(const char *message)
{
	struct message_row row = row_of(message);
	json_t *list = json_loads(row.reasons, 0, NULL), *reason;
	char *out = room();
	size_t i;

	json_array_foreach(list, i, reason)
		add_word(out, "%s", json_string_value(json_object_get(reason, "code")));
	json_decref(list);
	message_row_release(&row);
	return out;
}

static void tell_finding(void *context, const struct audit_finding *finding)
{
	size_t *found = context;

	++*found;
	print_error("the audit: %s: %s\n", audit_code_name(finding->code), finding->says);
}

void audit_holds(void)
{
	size_t found = 0;
	struct audit *audit = audit_new(tell_finding, &found);

	assert_true(audit_read_contacts(audit, world.reader));
	assert_true(audit_read_messages(audit, world.reader));
	audit_free(audit);
	assert_int_equal(found, 0);
}

size_t sum_holds(void)
{
	struct counters rows = {0}, kept = {0};
	struct turn_stats stats;

	for (int64_t n = 1, missing = 0; missing < 100; n++) {
		struct message_row row = {0};
		assert_true(store_get_messages(world.store, &n, 1, &row));
		missing = row.n ? 0 : missing + 1;
		rows.admitted += row.n != 0;
		if (row.n)
			rows.states[row.state]++;
		message_row_release(&row);
	}
	assert_true(store_counters(world.store, &kept));
	assert_memory_equal(&rows, &kept, sizeof rows);
	turn_stats(world.turn, &stats);
	assert_memory_equal(&rows, &stats.counters, sizeof rows);
	audit_holds();
	return (size_t)rows.admitted;
}
