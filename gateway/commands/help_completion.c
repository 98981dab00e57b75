/* Completion for three shells. The code of each is fixed; what commands, words and options there are, and
 * what their values may be, comes from the tables. */
#include <string.h>

#include "help_private.h"
#include "banned.h"

/* A word of a shell, in single quotes; bash, zsh and fish read '\'' alike. */
static void quote(const char *s, struct text *out)
{
	text_putc(out, '\'');
	for (; *s; s++)
		if (*s == '\'')
			text_puts(out, "'\\''");
		else
			text_putc(out, *s);
	text_putc(out, '\'');
}

/* "a|b|c" as 'a b c', FILE and DIR as they are, all else as ''. */
static void quote_values(const char *value, struct text *out)
{
	text_putc(out, '\'');
	if (help_values(value) == HELP_CHOICES)
		for (; value && *value; value++)
			text_putc(out, *value == '|' ? ' ' : *value);
	else if (help_values(value) != HELP_NOTHING)
		text_puts(out, help_values(value) == HELP_FILES ? "FILE" : "DIR");
	text_putc(out, '\'');
}

/* --- bash and zsh: three functions that answer from the tables --- */

static void write_commands(struct text *out)
{
	text_puts(out, "_heed_commands() {\n\tprintf '%s\\n'");
	for (size_t i = 0; commands[i]; i++) {
		text_addf(out, " \\\n\t\t%s:", commands[i]->name);
		quote(commands[i]->summary, out);
	}
	text_puts(out, "\n}\n\n");
}

static void write_options(struct text *out)
{
	text_puts(out, "_heed_options() {\n\tcase $1 in\n");
	for (size_t i = 0; commands[i]; i++) {
		if (!commands[i]->options)
			continue;
		text_addf(out, "\t%s) printf '%%s\\n'", commands[i]->name);
		for (const struct command_option *o = commands[i]->options; o->name; o++) {
			text_addf(out, " \\\n\t\t%s:", o->name);
			quote(o->help, out);
		}
		text_puts(out, " ;;\n");
	}
	text_puts(out,
		  "\tesac\n\tprintf '%s\\n' --config:'The configuration.' --help:'What there is to say.'\n}"
		  "\n\n");
}

static void write_values(struct text *out)
{
	text_puts(out, "# Of an option: FILE, DIR, or words. Status 1: it takes no value.\n"
		       "_heed_value() {\n\tcase $1:$2 in\n\t*:--config) echo FILE ;;\n");
	for (size_t i = 0; commands[i]; i++)
		for (const struct command_option *o = commands[i]->options; o && o->name; o++) {
			if (!o->value)
				continue;
			text_addf(out, "\t%s:%s) echo ", commands[i]->name, o->name);
			quote_values(o->value, out);
			text_puts(out, " ;;\n");
		}
	text_puts(out, "\t*) return 1 ;;\n\tesac\n}\n\n");
}

static bool word_is_shown(const struct command *command)
{
	return command->words != NULL;
}

/* The first word behind a command, then the one behind that. */
static void write_words(struct text *out)
{
	text_puts(out, "# Of the next word, after those that are there: NAME:HELP lines, or FILE.\n"
		       "_heed_words() {\n\tcase $#:$1:$2 in\n");
	for (size_t i = 0; commands[i]; i++) {
		if (!word_is_shown(commands[i]))
			continue;
		text_addf(out, "\t1:%s:) printf '%%s\\n'", commands[i]->name);
		for (const struct command_word *w = commands[i]->words; w->name; w++)
			if (help_is_literal(w->name)) {
				text_addf(out, " \\\n\t\t%s:", w->name);
				quote(w->help, out);
			}
		text_puts(out, " ;;\n");
		for (const struct command_word *w = commands[i]->words; w->name; w++)
			if (help_values(w->value) != HELP_NOTHING) {
				text_addf(out, "\t2:%s:%s) printf '%%s\\n' $(echo ", commands[i]->name,
					  help_is_literal(w->name) ? w->name : "*");
				quote_values(w->value, out);
				text_puts(out, ") ;;\n");
			}
	}
	text_puts(out, "\tesac\n}\n\n");
}

static void write_tables(struct text *out)
{
	write_commands(out);
	write_options(out);
	write_values(out);
	write_words(out);
}

static const char bash_code[] =
	"_heed() {\n"
	"\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} i word list=\n"
	"\tlocal -a said=()\n"
	"\t# bash takes --option=value apart\n"
	"\tif [ \"$cur\" = = ]; then\n"
	"\t\tcur=\n"
	"\telif [ \"$prev\" = = ] && [ \"$COMP_CWORD\" -ge 2 ]; then\n"
	"\t\tprev=${COMP_WORDS[COMP_CWORD - 2]}\n"
	"\tfi\n"
	"\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
	"\t\tword=${COMP_WORDS[i]}\n"
	"\t\tcase $word in\n"
	"\t\t-*) _heed_value \"${said[0]}\" \"$word\" >/dev/null && i=$((i + 1))\n"
	"\t\t\t[ \"${COMP_WORDS[i]}\" = = ] && i=$((i + 1)) ;;\n"
	"\t\t*) said+=(\"$word\") ;;\n"
	"\t\tesac\n"
	"\tdone\n"
	"\tCOMPREPLY=()\n"
	"\tif list=$(_heed_value \"${said[0]}\" \"$prev\"); then\n"
	"\t\t:\n"
	"\telif [[ $cur == -* ]]; then\n"
	"\t\tlist=$(_heed_options \"${said[0]}\" | sed 's/:.*//')\n"
	"\telif [ ${#said[@]} -eq 0 ]; then\n"
	"\t\tlist=$(_heed_commands | sed 's/:.*//')\n"
	"\telse\n"
	"\t\tlist=$(_heed_words \"${said[@]}\" | sed 's/:.*//')\n"
	"\tfi\n"
	"\tcase $list in\n"
	"\tFILE) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- \"$cur\") ;;\n"
	"\tDIR) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- \"$cur\") ;;\n"
	"\t*) mapfile -t COMPREPLY < <(compgen -W \"$list\" -- \"$cur\") ;;\n"
	"\tesac\n"
	"}\n\n"
	"complete -F _heed heed\n";

static const char zsh_code[] = "_heed() {\n"
			       "\tlocal i word list option\n"
			       "\tlocal -a said lines\n"
			       "\tfor ((i = 2; i < CURRENT; i++)); do\n"
			       "\t\tword=${words[i]}\n"
			       "\t\tif [[ $word == -* ]]; then\n"
			       "\t\t\t_heed_value \"${said[1]}\" \"$word\" >/dev/null && ((i++))\n"
			       "\t\telse\n"
			       "\t\t\tsaid+=(\"$word\")\n"
			       "\t\tfi\n"
			       "\tdone\n"
			       "\toption=${words[CURRENT - 1]}\n"
			       "\tif [[ $PREFIX == --*=* ]]; then\n"
			       "\t\toption=${PREFIX%%=*}\n"
			       "\t\tcompset -P '*='\n"
			       "\tfi\n"
			       "\tif list=$(_heed_value \"${said[1]}\" \"$option\"); then\n"
			       "\t\tlines=(${=list})\n"
			       "\telif [[ $PREFIX == -* ]]; then\n"
			       "\t\tlines=(${(f)\"$(_heed_options \"${said[1]}\")\"})\n"
			       "\telif ((${#said} == 0)); then\n"
			       "\t\tlines=(${(f)\"$(_heed_commands)\"})\n"
			       "\telse\n"
			       "\t\tlines=(${(f)\"$(_heed_words \"${said[@]}\")\"})\n"
			       "\tfi\n"
			       "\tcase ${lines[1]} in\n"
			       "\tFILE) _files ;;\n"
			       "\tDIR) _files -/ ;;\n"
			       "\t'') return 1 ;;\n"
			       "\t*) _describe heed lines ;;\n"
			       "\tesac\n"
			       "}\n\n"
			       "if [ \"$funcstack[1]\" = _heed ]; then\n"
			       "\t_heed \"$@\"\n"
			       "else\n"
			       "\tcompdef _heed heed\n"
			       "fi\n";

/* --- fish: a line for each thing that may come --- */

static const char fish_code[] = "# The words that are there, without options and their values.\n"
				"function __heed_said\n"
				"\tset -l skip 0\n"
				"\tset -l tokens (commandline -opc)\n"
				"\tfor token in $tokens[2..]\n"
				"\t\tif test $skip = 1\n"
				"\t\t\tset skip 0\n"
				"\t\telse if contains -- $token $__heed_valued\n"
				"\t\t\tset skip 1\n"
				"\t\telse if not string match -q -- '-*' $token\n"
				"\t\t\techo $token\n"
				"\t\tend\n"
				"\tend\n"
				"end\n\n"
				"function __heed_command\n"
				"\tset -l said (__heed_said)\n"
				"\ttest \"$said[1]\" = $argv[1]\n"
				"end\n\n"
				"# Are exactly these words there? * is any.\n"
				"function __heed_at\n"
				"\tset -l said (__heed_said)\n"
				"\ttest (count $said) = (count $argv); or return 1\n"
				"\tfor i in (seq (count $argv))\n"
				"\t\ttest $argv[$i] = '*'; or test $argv[$i] = $said[$i]; or return 1\n"
				"\tend\n"
				"end\n\n"
				"complete -c heed -f\n"
				"complete -c heed -l config -r -F -d 'The configuration.'\n"
				"complete -c heed -l help -s h -d 'What there is to say.'\n";

static void fish_values(const char *value, struct text *out)
{
	switch (help_values(value)) {
	case HELP_FILES:
		text_puts(out, " -F");
		break;
	case HELP_FOLDERS:
		text_puts(out, " -a '(__fish_complete_directories)'");
		break;
	case HELP_CHOICES:
		text_puts(out, " -a ");
		quote_values(value, out);
		break;
	case HELP_NOTHING:
		break;
	}
}

static void fish_command(const struct command *command, struct text *out)
{
	text_addf(out, "complete -c heed -n __heed_at -a %s -d ", command->name);
	quote(command->summary, out);
	text_puts(out, "\n");
	for (const struct command_option *o = command->options; o && o->name; o++) {
		text_addf(out, "complete -c heed -n '__heed_command %s' -l %s", command->name, o->name + 2);
		if (o->value)
			text_puts(out, help_values(o->value) == HELP_FILES ? " -r" : " -x");
		fish_values(o->value, out);
		text_puts(out, " -d ");
		quote(o->help, out);
		text_puts(out, "\n");
	}
	for (const struct command_word *w = command->words; w && w->name; w++) {
		if (help_is_literal(w->name)) {
			text_addf(out, "complete -c heed -n '__heed_at %s' -a %s -d ", command->name,
				  w->name);
			quote(w->help, out);
			text_puts(out, "\n");
		}
		if (help_values(w->value) != HELP_NOTHING) {
			text_addf(out, "complete -c heed -n '__heed_at %s %s'", command->name,
				  help_is_literal(w->name) ? w->name : "\"*\"");
			fish_values(w->value, out);
			text_puts(out, "\n");
		}
	}
}

static void write_fish(struct text *out)
{
	text_puts(out, "set -g __heed_valued --config");
	for (size_t i = 0; commands[i]; i++)
		for (const struct command_option *o = commands[i]->options; o && o->name; o++)
			if (o->value)
				text_addf(out, " %s", o->name);
	text_puts(out, "\n\n");
	text_puts(out, fish_code);
	for (size_t i = 0; commands[i]; i++)
		fish_command(commands[i], out);
}

bool help_completion_write(const char *shell, struct text *out)
{
	bool bash = strcmp(shell, "bash") == 0, zsh = strcmp(shell, "zsh") == 0;

	if (!bash && !zsh && strcmp(shell, "fish") != 0)
		return false;
	if (zsh)
		text_puts(out, "#compdef heed\n");
	text_addf(out, "# %s's completion of heed's words; made by `heed help completion %s`.\n\n", shell,
		  shell);
	if (bash || zsh)
		write_tables(out);
	if (bash || zsh)
		text_puts(out, bash ? bash_code : zsh_code);
	else
		write_fish(out);
	return true;
}
