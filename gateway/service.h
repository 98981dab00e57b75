/* What the gateway serves over HTTP: the API on its routes, with a reader of the store for each call at work.
 */
#ifndef HEED_SERVICE_H
#define HEED_SERVICE_H

#include "api.h"

struct service;

struct service *service_open(struct turn *turn, struct config *config, struct text *error);
void service_close(struct service *service);
/* After a reload. Any thread. */
void service_config(struct service *service, struct config *config);
/* A struct web_service; `context` is the service. Any thread. */
void service_handle(void *context, const struct api_request *request, struct api_response *response);
bool service_refuses(void *context, const struct api_request *request, struct api_response *response);
bool service_trusts(void *context, const char *address);
/* Waiting calls return now. */
void service_end_waits(struct service *service);

#endif
