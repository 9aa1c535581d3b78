/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char program_name[64] = "transit";
static enum log_level max_level = LOG_LEVEL_INFO;
static const char *topics = "";
static bool under_journald;

void log_open(const char *program, enum log_level max)
{
	const char *t = getenv("TRANSIT_DEBUG");

	(void)snprintf(program_name, sizeof program_name, "%s", program);
	max_level = max;
	topics = t ? t : "";
	under_journald = getenv("JOURNAL_STREAM") != NULL;
}

bool log_topic(const char *topic)
{
	size_t len = strlen(topic);

	for (const char *p = topics; *p;) {
		size_t n = strcspn(p, ",");

		if ((n == len && !strncmp(p, topic, n)) || (n == 3 && !strncmp(p, "all", 3)))
			return true;
		p += n + (p[n] == ',');
	}
	return false;
}

/* One write per line, so that lines of several processes do not mix. */
static void __attribute__((format(printf, 2, 0)))
emit(enum log_level level, const char *fmt, va_list ap)
{
	char line[1024];
	int n, m;

	if (under_journald)
		n = snprintf(line, sizeof line, "<%d>%s: ", (int)level, program_name);
	else
		n = snprintf(line, sizeof line, "%s: ", program_name);
	if (n < 0)
		return;
	m = vsnprintf(line + n, sizeof line - (size_t)n - 1, fmt, ap);
	if (m < 0)
		return;
	size_t len = strnlen(line, sizeof line - 2);
	line[len++] = '\n';
	ssize_t ignored = write(STDERR_FILENO, line, len);
	(void)ignored;
}

void log_line(enum log_level level, const char *fmt, ...)
{
	va_list ap;

	if (level > max_level)
		return;
	va_start(ap, fmt);
	emit(level, fmt, ap);
	va_end(ap);
}

void log_debug(const char *topic, const char *fmt, ...)
{
	va_list ap;

	if (!log_topic(topic))
		return;
	va_start(ap, fmt);
	emit(LOG_LEVEL_DEBUG, fmt, ap);
	va_end(ap);
}

const char *log_safe(char *buf, size_t size, const char *s, size_t len)
{
	size_t o = 0;

	if (!size)
		return buf;
	for (size_t i = 0; i < len && s[i] && o + 5 <= size; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c >= 0x20 && c < 0x7f)
			buf[o++] = (char)c;
		else
			o += (size_t)snprintf(buf + o, size - o, "\\x%02x", c);
	}
	buf[o] = 0;
	return buf;
}
