#include "api_private.h"
#include "inbound.h"
#include "banned.h"

void api_inbound_mail(struct call *call)
{
	struct mail_verdict verdict = {0};
	struct text problem;
	json_t *answer = NULL;

	if (!call_wants_object(call) || !call_may_change(call))
		return;
	text_init(&problem, TEXT_ERROR_MAX);
	if (mail_verdict_from_json(call->body, &verdict, &problem)) {
		int status = request_mail(&call->api->door, call->api->config, call->args[0], &verdict,
					  &answer, &problem);
		call_result(call, status, answer, &problem);
	} else {
		call_problem(call, 422, "%s", problem.data);
	}
	mail_verdict_release(&verdict);
	text_release(&problem);
}
