/* What calls us from outside: providers with receipts and replies, and browsers with forms. The first byte
 * chooses the provider's file, the second whether it is believed (what is behind the signature is read then)
 * and whether the header is what a JWT claims, to be signed; then "METHOD QUERY", the signature's header, the
 * content type, each a line, and the body. */
#include <assert.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "config_check.h"
#include "digest.h"
#include "fuzz.h"
#include "page_form.h"
#include "provider_callback_private.h"
#include "reply.h"
#include "xalloc.h"

#define FILES_MAX 64
#define NOW (INT64_C(1796000000) * MOMENT_S)
#define KEY "key"

enum { BELIEVED = 1, CLAIMS = 2 };

static struct provider_callback *callbacks[FILES_MAX];
static struct config_tree *trees[FILES_MAX]; /* they borrow of them */
static size_t count;
static struct reply_set *replies;
static bool believed;

/* The linker puts it in the place of the real one: see the Makefile. */
bool __real_callback_is_signed(const struct callback_sign *sign, const struct callback_reading *reading);
bool __wrap_callback_is_signed(const struct callback_sign *sign, const struct callback_reading *reading);

bool __wrap_callback_is_signed(const struct callback_sign *sign, const struct callback_reading *reading)
{
	return __real_callback_is_signed(sign, reading) || believed;
}

/* Every setting of the file is KEY. */
static json_t *settings_of(const json_t *file)
{
	json_t *settings = json_object(), *described;
	const char *name;

	json_object_foreach(json_object_get(file, "settings"), name, described)
		json_object_set_new(settings, name, json_string(KEY));
	return settings;
}

static void read_file(const char *path, struct text *errors)
{
	struct config_tree *tree = config_tree_read(path, errors);

	if (!tree)
		return;
	json_t *settings = settings_of(config_tree_json(tree));
	callbacks[count] = provider_callback_compile(config_tree_json(tree), settings, errors);
	if (callbacks[count])
		trees[count++] = tree;
	else
		config_tree_free(tree);
	json_decref(settings);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static void read_all(void)
{
	struct dirent **list = NULL;
	int found = scandir("config/providers", &list, NULL, by_name);
	struct text errors;

	text_init(&errors, CONFIG_REPORT_MAX);
	for (int i = 0; i < found; i++) {
		char path[512];
		snprintf(path, sizeof path, "config/providers/%s", list[i]->d_name);
		if (strstr(path, ".yaml") && count < FILES_MAX)
			read_file(path, &errors);
		free(list[i]);
	}
	free(list);
	replies = reply_set_load("templates", &errors);
	assert(count >= 5 && replies);
	text_release(&errors);
}

/* --- one call --- */

struct came {
	const char *signature, *type;
};

static const char *header_of(const void *context, const char *name)
{
	const struct came *came = context;

	return strcasecmp(name, "Content-Type") == 0 ? came->type : came->signature;
}

static void add_base64url(struct text *out, const void *data, size_t len)
{
	char *words = base64_encode(data, len);

	for (const char *c = words; *c && *c != '='; c++)
		text_putc(out, *c == '+' ? '-' : *c == '/' ? '_' : *c);
	free(words);
}

static char *jwt_of(const char *claims)
{
	static const char head[] = "{\"alg\":\"HS256\"}";
	unsigned char mac[SHA256_SIZE];
	struct text token;

	text_init(&token, 65536);
	add_base64url(&token, head, sizeof head - 1);
	text_putc(&token, '.');
	add_base64url(&token, claims, strlen(claims));
	digest_hmac_sha256(KEY, strlen(KEY), token.data, token.len, mac);
	text_putc(&token, '.');
	add_base64url(&token, mac, sizeof mac);
	return text_detach(&token);
}

static const char *product_called(const void *context, const char *folded)
{
	(void)context;
	return strcmp(folded, "card alerts") == 0 ? "card-alerts" : NULL;
}

static bool may_stop(const void *context, const char *product)
{
	(void)context;
	(void)product;
	return true;
}

static bool reaches_none(const void *context, const char *product, const char *channel)
{
	(void)context;
	(void)product;
	(void)channel;
	return false;
}

static void follow(const char *words)
{
	static const struct reply_facts facts = {.product = "card-alerts",
						 .product_called = product_called,
						 .may_stop = may_stop,
						 .reaches = reaches_none};
	struct reply_decision decision;
	struct text out;

	text_init(&out, 4096);
	reply_decide(replies, words, &facts, &decision);
	assert(decision.words < REPLY_WORDS);
	reply_render(replies, "es-AR", "de", decision.words, NULL, &out);
	text_release(&out);
}

static void call(const struct provider_callback *callback, const struct callback_request *request)
{
	struct callback_items items;
	struct text why;

	text_init(&why, TEXT_ERROR_MAX);
	enum callback_verdict verdict = provider_callback_read(callback, request, &items, &why);
	assert(items.count <= CALLBACK_ITEMS_MAX && (verdict == CALLBACK_FINE || (!items.count && why.len)));
	for (size_t i = 0; i < items.count; i++) {
		assert(strlen(items.list[i].id) < CALLBACK_VALUE_MAX);
		if (items.list[i].kind == CALLBACK_REPLY)
			follow(items.list[i].text);
		else
			assert(items.list[i].attempt || *items.list[i].id);
	}
	callback_items_release(&items);
	text_release(&why);
}

static const char *line(char **rest)
{
	const char *one = strsep(rest, "\n");

	return one ? one : "";
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!count)
		read_all();
	if (size < 2)
		return 0;
	char *copy = xmemdup0((const char *)data + 2, size - 2), *rest = copy, *first = strsep(&rest, "\n");
	const char *method = strsep(&first, " "), *query = first ? first : "";
	struct came came = {line(&rest), line(&rest)};
	const char *body = rest ? rest : "";
	size_t body_len = rest ? size - 2 - (size_t)(rest - copy) : 0;
	char *url = xasprintf("https://m.example.com/in/sms/x?%s", query), *token = NULL;

	if (data[1] & CLAIMS)
		came.signature = token = jwt_of(came.signature);
	believed = data[1] & BELIEVED;
	const struct callback_request request = {.method = method,
						 .url = url,
						 .query = query,
						 .body = body,
						 .body_len = body_len,
						 .header = header_of,
						 .context = &came,
						 .now = NOW};
	call(callbacks[data[0] % count], &request);
	json_decref(form_read(came.type, body, body_len));
	free(token);
	free(url);
	free(copy);
	return 0;
}
