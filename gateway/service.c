#include "service.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <strings.h>

#include "queue.h"
#include "xalloc.h"
#include "banned.h"

#define READERS_KEPT_MAX 16 /* idle; more are opened while they are wanted */
#define CALLS_MAX 256       /* at a time */

struct service {
	struct turn *turn;
	struct queue *queue;
	_Atomic bool stopping;
	_Atomic int at_work, waiting;
	_Atomic unsigned generation; /* of the configuration */
	pthread_mutex_t lock;
	struct config *config;                       /* under lock */
	struct store_reader *idle[READERS_KEPT_MAX]; /* under lock */
	size_t idle_count;
};

struct service *service_open(struct turn *turn, struct config *config, struct text *error)
{
	struct service *service = xcalloc(1, sizeof *service);
	const struct queue_config queue = queue_config_of(config, config->gateway.name);

	service->turn = turn;
	service->config = config_hold(config);
	service->queue = queue_open(&queue, error);
	pthread_mutex_init(&service->lock, NULL);
	if (service->queue)
		return service;
	service_close(service);
	return NULL;
}

void service_close(struct service *service)
{
	if (!service)
		return;
	while (service->idle_count)
		store_reader_close(service->idle[--service->idle_count]);
	queue_close(service->queue);
	config_drop(service->config);
	pthread_mutex_destroy(&service->lock);
	free(service);
}

void service_config(struct service *service, struct config *config)
{
	pthread_mutex_lock(&service->lock);
	config_drop(service->config);
	service->config = config_hold(config);
	atomic_fetch_add(&service->generation, 1);
	pthread_mutex_unlock(&service->lock);
}

void service_end_waits(struct service *service)
{
	service->stopping = true;
}

static struct store_reader *reader_take(struct service *service, const struct config *config,
					struct text *error)
{
	struct store_reader *reader = NULL;

	pthread_mutex_lock(&service->lock);
	if (service->idle_count)
		reader = service->idle[--service->idle_count];
	pthread_mutex_unlock(&service->lock);
	return reader ? reader : store_reader_open(config->store.url, error);
}

static void reader_give(struct service *service, struct store_reader *reader)
{
	pthread_mutex_lock(&service->lock);
	if (service->idle_count < READERS_KEPT_MAX) {
		service->idle[service->idle_count++] = reader;
		reader = NULL;
	}
	pthread_mutex_unlock(&service->lock);
	store_reader_close(reader);
}

static struct config *config_now(struct service *service)
{
	pthread_mutex_lock(&service->lock);
	struct config *config = config_hold(service->config);
	pthread_mutex_unlock(&service->lock);
	return config;
}

static void refuse(struct api_response *response, const char *why)
{
	*response = (struct api_response){.status = 503, .body = api_problem(503, why)};
}

/* Who asked. A proxy may add to the header, or put another one behind it: the last word is the nearest one's.
 */
static void find_peer(const struct config *config, const struct api_request *request,
		      char peer[NET_ADDRESS_TEXT])
{
	struct text forwarded;

	text_init(&forwarded, API_HEAD_MAX + API_HEADERS_MAX);
	for (size_t i = 0; i < request->header_count; i++)
		if (strcasecmp(request->headers[i].name, "X-Forwarded-For") == 0)
			text_addf(&forwarded, ",%s", request->headers[i].value);
	net_peer_behind(config->http.proxies, config->http.proxy_count, request->peer, forwarded.data, peer);
	text_release(&forwarded);
}

void service_handle(void *context, const struct api_request *request, struct api_response *response)
{
	struct service *service = context;
	struct api_request known = *request;
	char peer[NET_ADDRESS_TEXT];
	struct text error;

	if (atomic_fetch_add(&service->at_work, 1) >= CALLS_MAX) {
		atomic_fetch_sub(&service->at_work, 1);
		refuse(response, "there are as many calls under way as there may be");
		return;
	}
	struct api api = {.door = {.turn = service->turn},
			  .queue = service->queue,
			  .stopping = &service->stopping,
			  .generation = &service->generation,
			  .waiting = &service->waiting,
			  .config = config_now(service)};
	find_peer(api.config, request, peer);
	known.peer = peer;
	text_init(&error, TEXT_ERROR_MAX);
	api.reader = reader_take(service, api.config, &error);
	api.reader_error = error.data;
	api_handle(&api, &known, response);
	if (api.reader)
		reader_give(service, api.reader);
	config_drop(api.config);
	text_release(&error);
	atomic_fetch_sub(&service->at_work, 1);
}

bool service_refuses(void *context, const struct api_request *request, struct api_response *response)
{
	struct service *service = context;
	struct api api = {.config = config_now(service)};

	bool refused = api_refuses(&api, request, response);
	config_drop(api.config);
	return refused;
}

bool service_trusts(void *context, const char *address)
{
	struct service *service = context;
	struct config *config = config_now(service);

	bool trusts = net_ranges_have(config->http.proxies, config->http.proxy_count, address);
	config_drop(config);
	return trusts;
}
