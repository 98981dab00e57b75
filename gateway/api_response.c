/* What requests and responses can do by themselves. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api.h"
#include "xalloc.h"
#include "banned.h"

#define HEADER_VALUE_MAX 8192

static const struct api_header *header_of(const struct api_request *request, const char *name)
{
	for (size_t i = 0; i < request->header_count; i++)
		if (strcasecmp(request->headers[i].name, name) == 0)
			return &request->headers[i];
	return NULL;
}

const char *api_request_header(const struct api_request *request, const char *name)
{
	const struct api_header *header = header_of(request, name);

	return header ? header->value : "";
}

bool api_request_has(const struct api_request *request, const char *name)
{
	return header_of(request, name) != NULL;
}

size_t api_body_max(enum door door)
{
	return door == DOOR_PUBLIC ? API_PUBLIC_BODY_MAX : API_BODY_MAX;
}

void api_response_header(struct api_response *response, const char *name, const char *format, ...)
{
	struct text value;
	va_list args;

	if (response->header_count == API_ANSWER_HEADERS_MAX)
		return;
	text_init(&value, HEADER_VALUE_MAX);
	va_start(args, format);
	text_vaddf(&value, format, args);
	va_end(args);
	for (size_t i = 0; i < value.len; i++)
		if ((unsigned char)value.data[i] < ' ' || value.data[i] == 127) {
			value.data[i] = '\0';
			break;
		}
	response->headers[response->header_count].name = name;
	response->headers[response->header_count++].value = text_detach(&value);
}

const char *api_response_get(const struct api_response *response, const char *name)
{
	for (size_t i = 0; i < response->header_count; i++)
		if (strcasecmp(response->headers[i].name, name) == 0)
			return response->headers[i].value;
	return NULL;
}

void api_response_release(struct api_response *response)
{
	json_decref(response->body);
	free(response->bytes);
	free(response->type);
	if (response->stream)
		response->stream->close(response->stream);
	for (size_t i = 0; i < response->header_count; i++)
		free(response->headers[i].value);
	*response = (struct api_response){0};
}
