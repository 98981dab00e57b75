#include "log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "moment.h"
#include "text.h"
#include "banned.h"

#define LOG_LINE_MAX 2000

static _Atomic(enum log_level) log_limit = LOG_INFO;

void log_set_level(enum log_level level)
{
	atomic_store(&log_limit, level);
}

void log_line(enum log_level level, const char *format, ...)
{
	static const char *const names[] = {"error", "warn", "info", "debug"};
	char at[MOMENT_TEXT];
	struct text line;
	va_list args;

	if (level > atomic_load_explicit(&log_limit, memory_order_relaxed))
		return;
	text_init(&line, LOG_LINE_MAX);
	moment_format(moment_now(), at);
	text_addf(&line, "%s %s ", at, names[level]);
	va_start(args, format);
	text_vaddf(&line, format, args);
	va_end(args);
	for (size_t i = 0; i < line.len; i++)
		if ((unsigned char)line.data[i] < ' ' || line.data[i] == 127)
			line.data[i] = ' ';
	line.full = false;
	line.max++;
	text_putc(&line, '\n');
	ssize_t ignored =
		write(STDERR_FILENO, line.data, line.len); /* one write: lines of threads don't mix */
	(void)ignored;
	text_release(&line);
}
