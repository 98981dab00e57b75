/* Every route, in the order in which config/openapi.yaml describes them. */
#include "api_private.h"
#include "banned.h"

#define SEND SCOPE_SEND
#define READ SCOPE_READ
#define HISTORY SCOPE_HISTORY
#define WRITE SCOPE_WRITE
#define OPS SCOPE_OPS

/* clang-format off */
const struct route api_routes[] = {
	/* messages */
	{"POST", "/v1/messages", api_messages_post, BODY_JSON, SEND, 0, "check"},
	{"GET", "/v1/messages/:", api_message_get, BODY_NONE, READ, 0, "wait"},
	{"DELETE", "/v1/messages/:", api_message_delete, BODY_NONE, SEND | OPS, 0, ""},
	{"POST", "/v1/messages/:/cancel", api_message_cancel, BODY_MAYBE, SEND | OPS, 0, ""},
	{"POST", "/v1/messages/:/settle", api_message_settle, BODY_JSON, OPS, 0, ""},
	{"POST", "/v1/messages/:/retry", api_message_retry, BODY_NONE, OPS, 0, ""},
	{"POST", "/v1/explain", api_explain, BODY_JSON, READ, 0, ""},

	/* customers */
	{"GET", "/v1/customers", api_customers_find, BODY_NONE, READ, 0, "address"},
	{"PATCH", "/v1/customers", api_customers_import, BODY_JSON, WRITE, 0, "recreate"},
	{"GET", "/v1/customers/:", api_customer_get, BODY_NONE, READ, 0, ""},
	{"PUT", "/v1/customers/:", api_customer_put, BODY_JSON, WRITE, 0, "recreate"},
	{"PATCH", "/v1/customers/:", api_customer_patch, BODY_JSON, WRITE, 0, "recreate"},
	{"DELETE", "/v1/customers/:", api_customer_erase, BODY_NONE, WRITE, ROUTE_WHOLE, ""},
	{"GET", "/v1/customers/:/export", api_customer_export, BODY_NONE, HISTORY, ROUTE_WHOLE, ""},
	{"POST", "/v1/customers/:/link", api_link, BODY_MAYBE, WRITE, ROUTE_WHOLE, ""},
	{"GET", "/v1/customers/:/history", api_history, BODY_NONE, HISTORY, 0, "limit before product"},
	{"GET", "/v1/customers/:/preferences", api_preferences_get, BODY_NONE, READ, 0, ""},
	{"PUT", "/v1/customers/:/preferences", api_preferences_put, BODY_JSON, WRITE, 0, ""},
	{"GET", "/v1/customers/:/preferences/:", api_preference_get, BODY_NONE, READ, 0, ""},
	{"PUT", "/v1/customers/:/preferences/:", api_preference_put, BODY_JSON, WRITE, 0, ""},
	{"PATCH", "/v1/customers/:/preferences/:", api_preference_patch, BODY_JSON, WRITE, 0, ""},

	/* what was sent */
	{"GET", "/v1/log", api_log, BODY_NONE, HISTORY | OPS, ROUTE_ANY_TYPE, "after wait customer product channel message state since before limit"},
	{"POST", "/v1/contacts", api_contact_post, BODY_JSON, HISTORY | WRITE, 0, ""},
	{"POST", "/v1/inbound/:", api_inbound_mail, BODY_JSON, OPS, ROUTE_WHOLE, ""},
	{"GET", "/v1/captured", api_captured, BODY_NONE, OPS, ROUTE_WHOLE, "customer channel before limit"},

	/* for operators */
	{"GET", "/v1/queue", api_queue, BODY_NONE, OPS, ROUTE_WHOLE, ""},
	{"GET", "/v1/holds", api_holds_get, BODY_NONE, OPS, ROUTE_WHOLE, ""},
	{"POST", "/v1/holds", api_hold, BODY_JSON, OPS, ROUTE_WHOLE, ""},
	{"DELETE", "/v1/holds", api_release, BODY_NONE, OPS, ROUTE_WHOLE, "channel provider product campaign lane why"},
	{"POST", "/v1/prune", api_prune, BODY_NONE, OPS, ROUTE_WHOLE, ""},
	{"POST", "/v1/campaigns/:/cancel", api_campaign_cancel, BODY_MAYBE, OPS, ROUTE_WHOLE, ""},

	/* for machines that look after it: no token, and nothing about anybody in them */
	{"GET", "/healthz", api_healthz, BODY_NONE, 0, ROUTE_STORELESS, NULL},
	{"GET", "/readyz", api_readyz, BODY_NONE, 0, 0, NULL},
	{"GET", "/metrics", api_metrics, BODY_NONE, 0, ROUTE_ANY_TYPE, NULL},
	{"GET", "/openapi.json", api_openapi, BODY_NONE, 0, ROUTE_STORELESS, NULL},

	/* on `public`: the customer's page */
	{"GET", "/p/:", api_page_get, BODY_NONE, 0, ROUTE_PUBLIC, NULL},
	{"POST", "/p/:", api_page_post, BODY_RAW, 0, ROUTE_PUBLIC, NULL},
	{"GET", "/assets/:", api_asset, BODY_NONE, 0, ROUTE_PUBLIC, NULL},
	/* one-click unsubscribe */
	{"GET", "/u/:", api_unsubscribe_get, BODY_NONE, 0, ROUTE_PUBLIC, NULL},
	{"POST", "/u/:", api_unsubscribe_post, BODY_RAW, 0, ROUTE_PUBLIC, NULL},
	/* what providers tell */
	{"POST", "/in/:/:", api_callback, BODY_RAW, 0, ROUTE_PUBLIC | ROUTE_RAW_QUERY, NULL},
	{"GET", "/in/:/:", api_callback, BODY_NONE, 0, ROUTE_PUBLIC | ROUTE_RAW_QUERY, NULL},
	{0},
};
/* clang-format on */
