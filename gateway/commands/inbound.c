/* heed inbound: a mail from standard input, as a mail server's pipe gives it. It is read and judged here, in
 * a process of its own, and only the verdict goes to the gateway. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "../cli.h"
#include "../mail_in.h"
#include "../xalloc.h"
#include "../banned.h"

struct inbound_given {
	const char *recipient;
	bool json, check, sysexits;
};

/* All of it, so that the other side of the pipe is not cut off; what is beyond the bound is let go. */
static bool read_mail(struct text *mail)
{
	char block[65536];
	ssize_t n;

	while ((n = read(STDIN_FILENO, block, sizeof block)) > 0 || (n < 0 && errno == EINTR)) {
		size_t room = mail->max - mail->len;
		if (n > 0)
			text_add(mail, block, (size_t)n < room ? (size_t)n : room);
	}
	return n == 0;
}

static bool judge(const struct text *bytes, const char *recipient, struct mail_verdict *verdict)
{
	struct mail_parsed mail;
	bool ok = mail_parse(bytes->data, bytes->len, &mail);

	*verdict = (struct mail_verdict){0};
	if (ok)
		mail_judge(&mail, verdict);
	mail_parsed_release(&mail);
	if (ok && recipient) /* first of all: the server knows it best */
		mail_verdict_refer(verdict, recipient);
	return ok;
}

static void say_words(const struct mail_verdict *verdict, const json_t *answer)
{
	struct text line;

	text_init(&line, CLI_LINE_MAX);
	text_puts(&line, mail_kind_name(verdict->kind));
	for (size_t i = 0; i < verdict->bounced_count; i++) {
		const struct mail_bounced *b = &verdict->bounced[i];
		text_addf(&line, "%s %s ", i ? "," : ":", mail_fate_name(b->fate));
		cli_clean(&line, b->recipient);
		text_addf(&line, " %s", *b->status ? b->status : b->code);
	}
	if (json_is_true(json_object_get(answer, "repeated")))
		text_puts(&line, "; it was recorded before");
	else if (answer)
		text_addf(&line, "; contact %lld, %s",
			  (long long)json_integer_value(json_object_get(answer, "contact")),
			  json_is_true(json_object_get(answer, "matched")) ? "of a message of ours"
									   : "of no message of ours");
	cli_line(line.data);
	text_release(&line);
}

static int take(struct cli *cli, const char *channel, const struct inbound_given *given,
		const struct mail_verdict *verdict)
{
	json_t *said = mail_verdict_to_json(verdict), *answer = NULL;
	struct text path;
	int status = STATUS_DONE;

	text_init(&path, CLI_PATH_MAX);
	cli_path(&path, "/v1/inbound/:", channel, NULL);
	if (!given->check)
		status = cli_call(cli, "POST", path.data, said, &answer);
	if (status == STATUS_DONE && given->json) {
		json_object_update(said, answer);
		/* the reason's code; what the mail is stands beside it */
		json_object_set_new(said, "kind", json_string(mail_kind_name(verdict->kind)));
		cli_json(said);
	} else if (status == STATUS_DONE) {
		say_words(verdict, answer);
	}
	json_decref(said);
	json_decref(answer);
	text_release(&path);
	return status;
}

/* For a mail server: it keeps the mail, and comes again, unless there is no mail in it. */
static int as_sysexits(const struct inbound_given *given, int status, bool is_mail)
{
	if (!given->sysexits || status == STATUS_DONE)
		return status;
	return is_mail ? EX_TEMPFAIL : EX_DATAERR;
}

static int run_inbound(const char *config_file, int argc, char **argv)
{
	const char *words[1];
	struct inbound_given given = {0};
	struct mail_verdict verdict;
	struct text mail;
	size_t count;
	int status = STATUS_USAGE;
	bool is_mail = true;

	if (!cli_parse(&command_inbound, argc, argv, &given, 1, 1, words, &count))
		return STATUS_USAGE;
	text_init(&mail, MAIL_IN_MAX);
	struct cli *cli = cli_open(config_file);
	if (cli && !read_mail(&mail)) {
		status = cli_error("inbound: standard input cannot be read: %s", strerrordesc_np(errno));
	} else if (cli) {
		is_mail = judge(&mail, given.recipient, &verdict);
		status = is_mail ? take(cli, words[0], &given, &verdict)
				 : cli_error("inbound: what came on standard input is no mail; a header is "
					     "wanted");
		mail_verdict_release(&verdict);
	}
	cli_close(cli);
	text_release(&mail);
	return as_sysexits(&given, cli_end(status), is_mail);
}

static const struct command_word words_of_inbound[] = {
	{"CHANNEL", NULL, "The channel that sends mail, as in the configuration: email."},
	{0},
};

static const struct command_option options_of_inbound[] = {
	OPTION_VALUE(struct inbound_given, recipient, "--recipient", "ADDRESS",
		     "Whom the mail server was given the mail for (Postfix: ${original_recipient})."),
	OPTION_FLAG(
		struct inbound_given, sysexits, "--sysexits",
		"End with 75 (temporary failure) where it could not be done, so that the mail server keeps "
		"the mail and comes again."),
	OPTION_FLAG(struct inbound_given, check, "--check", "Say what the mail is, and record nothing."),
	OPTION_FLAG(struct inbound_given, json, "--json", "One JSON object."),
	{0},
};

const struct command command_inbound = {
	.name = "inbound",
	.usage = "inbound CHANNEL [--recipient ADDRESS] [--sysexits] [--check] [--json]",
	.summary = "take in a mail from standard input",
	.help = "For a pipe from the mail server that gets what is sent to envelope_from and from. A bounce "
		"makes "
		"the address dead, has the next channel tried or the mail sent again, as its status says; a "
		"complaint stops the product; an auto-reply changes nothing; what somebody wrote goes to "
		"heed:inbound. Whose a mail is, only the signed name in it says: without one it is recorded, "
		"and "
		"changes nothing. The same mail twice is recorded once.",
	.words = words_of_inbound,
	.options = options_of_inbound,
	.example = "printf 'From: ana@example.com\\nSubject: Thank you\\n\\nIt arrived.\\n' | heed inbound "
		   "email",
	.run = run_inbound,
};
