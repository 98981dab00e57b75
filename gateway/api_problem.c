/* Errors as people and programs see them (RFC 9457). Apart from the routes: the web server refuses too. */
#include <string.h>

#include "api.h"
#include "banned.h"

static const char *status_title(int status)
{
	static const struct {
		int status;
		const char *title;
	} titles[] = {
		{400, "Bad Request"},
		{401, "Unauthorized"},
		{403, "Forbidden"},
		{404, "Not Found"},
		{405, "Method Not Allowed"},
		{406, "Not Acceptable"},
		{408, "Request Timeout"},
		{409, "Conflict"},
		{410, "Gone"},
		{412, "Precondition Failed"},
		{413, "Content Too Large"},
		{414, "URI Too Long"},
		{415, "Unsupported Media Type"},
		{422, "Unprocessable Content"},
		{429, "Too Many Requests"},
		{431, "Request Header Fields Too Large"},
		{501, "Not Implemented"},
		{503, "Service Unavailable"},
	};

	for (size_t i = 0; i < sizeof titles / sizeof titles[0]; i++)
		if (titles[i].status == status)
			return titles[i].title;
	return status >= 500 ? "Internal Server Error" : "Error";
}

/* The field that the details begin with, as in "data: amount is missing": its length; 0: none. */
static size_t field_length(const char *detail)
{
	size_t len = strspn(detail, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.[]*-");

	return len && detail[len] == ':' && detail[len + 1] == ' ' ? len : 0;
}

json_t *api_problem(int status, const char *detail)
{
	size_t field = status < 500 ? field_length(detail) : 0;
	json_t *problem = json_pack("{s:s, s:s, s:i, s:s}", "type", "about:blank", "title",
				    status_title(status), "status", status, "detail", detail);

	if (problem && field)
		json_object_set_new(problem, "field", json_stringn(detail, field));
	return problem;
}
