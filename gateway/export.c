#include "export.h"

#include <stdlib.h>
#include <string.h>

#include "contact.h"
#include "moment.h"
#include "reason.h"
#include "xalloc.h"
#include "banned.h"

#define EXPORT_SLICE 20                     /* rows read at a time: each may be large */
#define EXPORT_PIECE_MAX (64 * 1024 * 1024) /* what they are in JSON */

enum section {
	SECTION_HEAD,
	SECTION_CHANGES,
	SECTION_WAITING,
	SECTION_MESSAGES,
	SECTION_CONTACTS,
	SECTION_END
};

struct export
{
	struct store_reader *reader;
	char *id;
	int64_t customer;
	enum section section;
	int64_t after; /* within the section */
	bool began;    /* an element of the list was given */
	struct text ready;
	size_t given; /* of what is ready */
};

/* --- values --- */

/* Instead of the secret of an address, how many there are. */
static void hide_secrets(json_t *json)
{
	json_t *secret = json_object_get(json, "secret"), *value;
	const char *key;
	size_t i;

	if (secret) {
		json_object_set_new(
			json, "secrets",
			json_integer(json_is_array(secret) ? (json_int_t)json_array_size(secret) : 1));
		json_object_del(json, "secret");
	}
	json_object_foreach(json, key, value) hide_secrets(value);
	json_array_foreach(json, i, value) hide_secrets(value);
}

static json_t *stored(const char *text)
{
	json_t *json = *text ? json_loads(text, JSON_DECODE_ANY, NULL) : json_null();

	hide_secrets(json);
	return json ? json : json_null();
}

static void set_text(json_t *json, const char *key, const char *text)
{
	json_t *value = json_string(text);

	json_object_set_new(json, key, value ? value : json_string("(not UTF-8)"));
}

static void set_moment(json_t *json, const char *key, int64_t at)
{
	char text[MOMENT_TEXT];

	if (!at || at == MOMENT_NEVER) {
		json_object_set_new(json, key, json_null());
		return;
	}
	moment_format(at, text);
	json_object_set_new(json, key, json_string(text));
}

static json_t *change_json(const struct change *change)
{
	static const char *const kinds[] = {"preference", "customer", "address", "products", "hold"};
	json_t *json = json_pack("{s:I, s:s}", "seq", (json_int_t)change->seq, "kind",
				 change->kind < sizeof kinds / sizeof kinds[0] ? kinds[change->kind] : "");

	set_moment(json, "at", change->at);
	set_moment(json, "given_at", change->given_at);
	set_text(json, "subject", change->subject);
	set_text(json, "by", change->by);
	set_text(json, "actor", change->actor);
	set_text(json, "source", change->source);
	json_object_set_new(json, "evidence", stored(change->evidence));
	json_object_set_new(json, "old", stored(change->old_value));
	json_object_set_new(json, "new", stored(change->new_value));
	return json;
}

static json_t *reasons_json(const char *reasons)
{
	json_t *list = json_loads(reasons, 0, NULL), *out = json_array();
	const json_t *item;
	size_t i;

	json_array_foreach(list, i, item)
	{
		const char *code = json_string_value(json_object_get(item, "code"));
		json_t *reason = code ? reason_json(code, json_object_get(item, "args")) : NULL;
		if (reason)
			json_array_append_new(out, reason);
	}
	json_decref(list);
	return out;
}

static json_t *message_json(const struct message_row *row)
{
	json_t *json = json_object();

	set_text(json, "id", row->id);
	set_text(json, "product", row->product);
	set_text(json, "template", row->template);
	set_text(json, "campaign", row->campaign);
	set_text(json, "purpose", purpose_name(row->purpose));
	set_text(json, "lane", lane_name(row->lane));
	set_text(json, "state", state_name(row->state));
	set_text(json, "channel", row->channel);
	set_moment(json, "admitted_at", row->admitted_at);
	set_moment(json, "send_at", row->send_at);
	set_moment(json, "expires_at", row->expires_at);
	json_object_set_new(json, "reasons", reasons_json(row->reasons));
	json_object_set_new(json, "message", stored(row->body));
	return json;
}

static json_t *contact_json(const struct contact *contact)
{
	json_t *json = contact_to_json(contact);

	set_text(json, "address", contact->address_value); /* whole, not masked */
	set_text(json, "content", contact->content);
	set_text(json, "code", contact->code);
	set_text(json, "detail", contact->detail);
	return json;
}

/* --- pieces --- */

/* The next element of a list. Takes it. */
static void add_element(struct export *export, json_t *json)
{
	char *words = json_dumps(json, JSON_COMPACT);

	if (export->began)
		text_putc(&export->ready, ',');
	text_puts(&export->ready, words ? words : "null");
	export->began = true;
	free(words);
	json_decref(json);
}

static void next_section(struct export *export, const char *words)
{
	text_puts(&export->ready, words);
	export->section++;
	export->after = 0;
}

static bool add_head(struct export *export)
{
	struct customer *customer = NULL;
	struct preference *preferences = NULL;
	size_t count = 0;
	char at[MOMENT_TEXT];
	bool ok = store_read_customer(export->reader, export->id, &customer, &preferences, &count);
	json_t *list = json_array();

	for (size_t i = 0; i < count; i++) {
		json_array_append_new(list, preference_to_json(&preferences[i]));
		preference_release(&preferences[i]);
	}
	if (ok && customer) {
		json_t *facts = customer_to_json(customer, false);
		char *who = json_dumps(facts, JSON_COMPACT), *chosen = json_dumps(list, JSON_COMPACT);
		moment_format(moment_now(), at);
		text_addf(&export->ready,
			  "{\"exported_at\":\"%s\",\"customer\":%s,\"preferences\":%s,\"changes\":[", at, who,
			  chosen);
		free(who);
		free(chosen);
		json_decref(facts);
	}
	free(preferences);
	customer_free(customer);
	json_decref(list);
	export->section++;
	return ok && customer;
}

static bool add_changes(struct export *export)
{
	struct change *changes = NULL;
	size_t count = 0;
	bool ok = store_read_changes(export->reader, export->customer, export->after, EXPORT_SLICE, &changes,
				     &count);

	for (size_t i = 0; i < count; i++) {
		add_element(export, change_json(&changes[i]));
		export->after = changes[i].seq;
		change_release(&changes[i]);
	}
	free(changes);
	if (ok && count < EXPORT_SLICE) {
		export->began = false;
		next_section(export, "],\"messages\":[");
	}
	return ok;
}

static bool is_open(const struct message_row *row)
{
	return row->due != MOMENT_NEVER || row->state == STATE_SENDING || row->state == STATE_IN_DOUBT;
}

/* Those that wait or are open. */
static bool add_waiting(struct export *export)
{
	struct message_rows rows = {0};
	bool ok = store_read_open_of(export->reader, export->customer, export->after, EXPORT_SLICE, &rows);

	for (size_t i = 0; i < rows.count; i++) {
		add_element(export, message_json(&rows.rows[i]));
		export->after = rows.rows[i].n;
	}
	if (ok && rows.count < EXPORT_SLICE)
		next_section(export, "");
	message_rows_release(&rows);
	return ok;
}

/* Those that ended stand with their last contact. */
static bool add_ended(struct export *export, const struct contact *contact)
{
	bool ok = true;

	for (size_t i = 0; ok && i < contact->message_count; i++) {
		struct message_row row = {0};
		ok = store_read_message(export->reader, contact->message_ids[i], &row);
		if (ok && row.n && row.contact == contact->seq && !is_open(&row))
			add_element(export, message_json(&row));
		message_row_release(&row);
	}
	return ok;
}

static bool add_contacts(struct export *export, bool messages)
{
	const struct log_query query = {
		.customer = export->id, .by_change = true, .after = export->after, .limit = EXPORT_SLICE};
	struct contact *contacts = NULL;
	size_t count = 0;
	bool ok = store_read_log(export->reader, &query, &contacts, &count);

	for (size_t i = 0; i < count; i++) {
		if (ok && messages)
			ok = add_ended(export, &contacts[i]);
		else if (ok)
			add_element(export, contact_json(&contacts[i]));
		export->after = contacts[i].changed;
		contact_release(&contacts[i]);
	}
	free(contacts);
	if (ok && count < EXPORT_SLICE) {
		export->began = false;
		next_section(export, messages ? "],\"contacts\":[" : "]}\n");
	}
	return ok;
}

static bool add_piece(struct export *export)
{
	switch (export->section) {
	case SECTION_HEAD:
		return add_head(export);
	case SECTION_CHANGES:
		return add_changes(export);
	case SECTION_WAITING:
		return add_waiting(export);
	case SECTION_MESSAGES:
		return add_contacts(export, true);
	case SECTION_CONTACTS:
		return add_contacts(export, false);
	case SECTION_END:
		break;
	}
	return true;
}

/* --- the whole --- */

struct export *export_open(struct store_reader *reader, const char *id, bool *unknown, struct text *error)
{
	struct customer *customer = NULL;
	struct preference *preferences = NULL;
	struct export *export = NULL;
	size_t count = 0;
	bool ok = store_read_customer(reader, id, &customer, &preferences, &count);

	*unknown = ok && (!customer || customer->erased_at);
	if (!ok)
		text_error(error, "%s", store_reader_error(reader));
	if (ok && !*unknown) {
		export = xcalloc(1, sizeof *export);
		export->reader = reader;
		export->id = xstrdup(id);
		export->customer = customer->n;
		text_init(&export->ready, EXPORT_PIECE_MAX);
	} else {
		store_reader_close(reader);
	}
	for (size_t i = 0; i < count; i++)
		preference_release(&preferences[i]);
	free(preferences);
	customer_free(customer);
	return export;
}

bool export_more(struct export *export, size_t max, struct text *out, bool *failed)
{
	*failed = false;
	if (export->given == export->ready.len) {
		text_clear(&export->ready);
		export->given = 0;
		if (export->section == SECTION_END)
			return false;
		*failed = !add_piece(export) || export->ready.full;
		if (*failed)
			return false;
	}
	size_t left = export->ready.len - export->given, len = left < max ? left : max;
	text_add(out, export->ready.data + export->given, len);
	export->given += len;
	return true;
}

void export_close(struct export *export)
{
	if (!export)
		return;
	store_reader_close(export->reader);
	text_release(&export->ready);
	free(export->id);
	free(export);
}
