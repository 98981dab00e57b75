/* heed gateway: start, loop and stop. Stop mirrors start. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "../begun.h"
#include "../carrier.h"
#include "../cli.h"
#include "../command.h"
#include "../config.h"
#include "../crash.h"
#include "../descriptors.h"
#include "../file.h"
#include "../log.h"
#include "../mail_reader.h"
#include "../service.h"
#include "../store.h"
#include "../turn.h"
#include "../xalloc.h"
#include "../banned.h"

#define FILES_WANTED 8192

struct gateway {
	bool capture; /* nothing leaves, whatever the configuration says */
	struct config *config;
	struct store *store;
	struct turn *turn;
	struct service *service;
	struct web_server *web;
	struct carrier *carrier;
	struct mail_reader *mail;
};

static void say_warnings(const struct config_report *report)
{
	for (char *line = report->warnings.data, *end; *line; line = end + 1) {
		end = strchr(line, '\n');
		if (!end) {
			log_warn("%s", line);
			break;
		}
		log_warn("%.*s", (int)(end - line), line);
	}
}

static struct config *load(const char *file, bool capture, int *status)
{
	struct config_report report;

	config_report_init(&report);
	struct config *config = config_load(file, &report);
	say_warnings(&report);
	if (!config)
		*status = cli_errors(report.errors.data);
	else if (capture)
		config_capture_all(config);
	config_report_release(&report);
	return config;
}

static void gateway_stop(struct gateway *gateway)
{
	if (gateway->carrier)
		carrier_stop_reading(gateway->carrier);
	if (gateway->service)
		service_end_waits(gateway->service);
	mail_reader_stop(gateway->mail);
	if (gateway->turn)
		turn_stop(gateway->turn);
	if (gateway->carrier)
		carrier_finish(gateway->carrier);
	if (gateway->web)
		web_server_close(gateway->web);
	service_close(gateway->service);
	turn_free(gateway->turn);
	if (gateway->store)
		store_close(gateway->store);
	config_drop(gateway->config);
}

static bool gateway_listen(struct gateway *gateway, struct text *error)
{
	const struct config *config = gateway->config;
	const struct web_service service = {.context = gateway->service,
					    .handle = service_handle,
					    .refuses = service_refuses,
					    .trusts = service_trusts};
	struct web_listener listeners[DOORS] = {{DOOR_SOCKET, config->http.socket}};
	size_t count = 1;

	if (*config->http.internal)
		listeners[count++] = (struct web_listener){DOOR_INTERNAL, config->http.internal};
	if (*config->http.public)
		listeners[count++] = (struct web_listener){DOOR_PUBLIC, config->http.public};
	gateway->web = web_server_open(listeners, count, &service, error);
	return gateway->web != NULL;
}

/* Without it everything that is under way at a kill is in doubt, which is safe. */
static void remember_begun(struct gateway *gateway)
{
	char *path = xasprintf("%s.begun", gateway->config->http.socket);
	struct text error;

	text_init(&error, TEXT_ERROR_MAX);
	struct begun *begun = begun_open(path, store_id(gateway->store), &error);
	if (begun)
		turn_remember_begun(gateway->turn, begun);
	else
		log_warn("%s; if this gateway is killed, all that it is sending will be in doubt",
			 error.data);
	text_release(&error);
	free(path);
}

/* A connection, to us or from us, is a descriptor; the usual soft limit is 1,024 of them. */
static void raise_limits(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) != 0)
		return;
	rlim_t wanted = files.rlim_max == RLIM_INFINITY || files.rlim_max > FILES_WANTED ? FILES_WANTED
											 : files.rlim_max;
	if (files.rlim_cur < wanted) {
		files.rlim_cur = wanted;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	if (wanted < FILES_WANTED)
		log_warn(
			"this process may open %llu files only; with less than %d connections may be refused",
			(unsigned long long)wanted, FILES_WANTED);
}

static bool gateway_start(struct gateway *gateway, struct text *error)
{
	const struct config *config = gateway->config;

	if (!file_make_folder(config->http.socket, error) ||
	    !(gateway->store = store_open(config->store.url, config->store.migrate, error)))
		return false;
	CRASH_POINT(start_opened);
	gateway->turn = turn_new(gateway->store, gateway->config);
	remember_begun(gateway);
	if (!turn_start(gateway->turn, error))
		return false;
	CRASH_POINT(start_recovered);
	if (!(gateway->service = service_open(gateway->turn, gateway->config, error)) ||
	    !gateway_listen(gateway, error) ||
	    !(gateway->carrier = carrier_start(gateway->turn, gateway->config, error)))
		return false;
	gateway->mail = mail_reader_start(gateway->turn, gateway->config);
	if (gateway->capture)
		log_warn("--capture: nothing is sent; `heed captured` shows what would have been. What is "
			 "taken from "
			 "the queue %s is not sent later",
			 config->queue.prefix);
	log_info("gateway %s is ready: %zu channels, %zu products, socket %s%s%s%s%s", config->gateway.name,
		 config->channel_count, config->products->count, config->http.socket,
		 *config->http.internal ? ", internal " : "", config->http.internal,
		 *config->http.public ? ", public " : "", config->http.public);
	return true;
}

/* SIGHUP: all but queue, store and listeners; a broken file changes nothing. */
static void gateway_reload(struct gateway *gateway, const char *file)
{
	struct text error;
	struct config_report report;

	text_init(&error, TEXT_ERROR_MAX);
	config_report_init(&report);
	struct config *config = config_load(file, &report);
	say_warnings(&report);
	if (config && gateway->capture)
		config_capture_all(config);
	if (!config) {
		log_error("the configuration was not taken over, the old one goes on: %s",
			  report.errors.data);
	} else if (!turn_reload(gateway->turn, config, &error)) {
		log_error("the configuration was not taken over, the old one goes on: %s", error.data);
	} else {
		service_config(gateway->service, config);
		config_drop(gateway->config);
		gateway->config = config_hold(config);
		mail_reader_stop(gateway->mail);
		gateway->mail = mail_reader_start(gateway->turn, gateway->config);
		log_info("the configuration was read again");
	}
	config_drop(config);
	config_report_release(&report);
	text_release(&error);
}

static int run(const char *config_file, int argc, char **argv)
{
	struct gateway gateway = {0};
	struct text error;
	sigset_t signals;
	int status = STATUS_DONE, caught;
	size_t words = 0;

	if (!cli_parse(&command_gateway, argc, argv, &gateway, 0, 0, NULL, &words))
		return STATUS_USAGE;
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &signals, NULL); /* all threads: only the loop below takes them */
	text_init(&error, TEXT_ERROR_MAX);
	raise_limits();
	descriptors_keep_back();
	if (!(gateway.config = load(config_file, gateway.capture, &status)))
		goto out;
	if (!gateway_start(&gateway, &error)) {
		status = cli_error("gateway: %s%s", error.data,
				   store_open_was_locked() ? "; end that one first" : "");
		goto out;
	}
	while ((caught = sigwaitinfo(&signals, NULL)) != SIGTERM && caught != SIGINT)
		if (caught == SIGHUP)
			gateway_reload(&gateway, config_file);
	log_info("ending: nothing more is begun");
out:
	gateway_stop(&gateway);
	if (status == STATUS_DONE)
		log_info("ended");
	text_release(&error);
	return status;
}

static const struct command_option options_of_gateway[] = {
	OPTION_FLAG(
		struct gateway, capture, "--capture",
		"Nothing leaves: every channel keeps what it would have sent, for `heed captured`. What it "
		"takes from the queue is not sent later: give it a queue.prefix and a store of its own."),
	{0},
};

const struct command command_gateway = {
	.name = "gateway",
	.usage = "gateway [--capture]",
	.summary = "run the gateway until SIGTERM",
	.help = "Reads the queue, sends to the channels that customers chose, records every contact.\n\n"
		"SIGTERM puts back what has not begun, waits gateway.drain for the rest and ends. SIGHUP "
		"reads the "
		"configuration again, but for queue, store and listeners; a broken file changes nothing.",
	.options = options_of_gateway,
	.example = "heed --config config/heed.yaml gateway",
	.run = run,
};
