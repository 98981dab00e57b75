/* What the server hands to a route, on each of the three doors: "METHOD PATH[?QUERY]", header lines, an empty
 * line, the body. The first byte is the door. Whatever comes, there is one answer, with a status, and a
 * problem is one. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "api.h"
#include "config_check.h"
#include "fuzz.h"
#include "log.h"
#include "turn.h"
#include "xalloc.h"

#define FRESH_AFTER 500 /* inputs: a store in memory that only grows would be a finding of another kind */

static struct config *config;
static struct store *store;
static struct turn *turn;
static struct store_reader *reader;

static void ask(const struct api_request *request)
{
	struct api api = {.door = {.turn = turn, .alone = true}, .config = config, .reader = reader};
	struct api_response response = {0};

	api_handle(&api, request, &response);
	assert(response.status >= 200 && response.status < 600);
	if (response.status >= 400 && response.body)
		assert(json_integer_value(json_object_get(response.body, "status")) == response.status);
	api_response_release(&response);
}

static void begin_anew(void)
{
	static const struct api_request put = {.method = "PUT",
					       .path = "/v1/customers/c-1",
					       .query = "",
					       .body = "{\"name\":\"Ana\",\"addresses\":{\"email\":\"ana@"
						       "example.com\",\"sms\":\"+4930123456\"}}",
					       .body_len = 76,
					       .peer = "",
					       .asker = {.by = "cli", .actor = ""}};
	struct config_report report;
	struct text error;

	text_init(&error, TEXT_ERROR_MAX);
	if (store) {
		store_reader_close(reader);
		turn_free(turn);
		store_close(store);
	} else {
		config_report_init(&report);
		log_set_level(LOG_ERROR);
		config = config_load("tests/fuzz/heed.yaml", &report);
		assert(config);
		config_report_release(&report);
	}
	store = store_open(config->store.url, true, &error);
	assert(store);
	turn = turn_new(store, config);
	reader = store_reader_open(config->store.url, &error);
	assert(reader);
	text_release(&error);
	ask(&put);
}

/* Up to the line's end, which becomes a NUL; *rest is moved behind it. */
static char *line(char **rest)
{
	return strsep(rest, "\n");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int inputs;
	struct api_header headers[8];
	struct api_request request = {
		.query = "", .headers = headers, .peer = "127.0.0.1", .asker = {.by = "cli", .actor = ""}};

	if (size < 2)
		return 0;
	if (inputs++ % FRESH_AFTER == 0)
		begin_anew();
	char *copy = xmemdup0((const char *)data + 1, size - 1), *rest = copy, *first = line(&rest), *one;
	request.door = (enum door)(data[0] % DOORS);
	request.method = strsep(&first, " ");
	request.path = first ? strsep(&first, "?") : "/";
	request.query = first ? first : "";
	while (rest && (one = line(&rest)) && *one) {
		char *name = strsep(&one, ":");
		if (one && request.header_count < sizeof headers / sizeof headers[0])
			headers[request.header_count++] = (struct api_header){name, one + strspn(one, " ")};
	}
	request.body = rest ? rest : "";
	request.body_len = rest ? size - 1 - (size_t)(rest - copy) : 0;
	ask(&request);
	free(copy);
	return 0;
}
