/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "events.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "config.h"
#include "store.h"

#define FILE_BYTES (256 * KIB)
#define LINE_MAX_BYTES 600
#define PEER_LINES_PER_S 10
#define TAIL_MAX 500

struct events {
	char dir[STATE_DIR_MAX + 1];
	int fd;
	time_t second; /* of the peer lines counted below */
	unsigned in_second;
	unsigned long dropped;
};

static int open_file(const char *dir)
{
	char path[STORE_PATH_MAX];

	(void)snprintf(path, sizeof path, "%s/log", dir);
	return open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
}

int events_open(const char *dir, struct events **ret, struct err *e)
{
	struct events *v = calloc(1, sizeof *v);

	if (!v)
		return err_set(e, ERR_SYS, ENOMEM, "open the log");
	(void)snprintf(v->dir, sizeof v->dir, "%s", dir);
	v->fd = open_file(dir);
	if (v->fd < 0) {
		free(v);
		return err_set(e, ERR_SYS, errno, "open '%s/log'", dir);
	}
	*ret = v;
	return 0;
}

void events_close(struct events *v)
{
	if (!v)
		return;
	close_fdp(&v->fd);
	free(v);
}

static void rotate(struct events *v)
{
	char from[STORE_PATH_MAX], to[STORE_PATH_MAX];
	struct stat st;

	if (fstat(v->fd, &st) || st.st_size < (off_t)FILE_BYTES)
		return;
	(void)snprintf(from, sizeof from, "%s/log", v->dir);
	(void)snprintf(to, sizeof to, "%s/log.1", v->dir);
	if (rename(from, to))
		return;
	close_fdp(&v->fd);
	v->fd = open_file(v->dir);
}

static const char *level_word(enum log_level level)
{
	switch (level) {
	case LOG_LEVEL_ERROR:
		return "error";
	case LOG_LEVEL_WARN:
		return "warning";
	case LOG_LEVEL_INFO:
		return "info";
	case LOG_LEVEL_DEBUG:
		return "debug";
	}
	return "info";
}

static void add_text(struct events *v, enum log_level level, const char *text)
{
	char line[LINE_MAX_BYTES + 64], stamp[32];
	time_t now = time(NULL);
	struct tm tm;
	int n;

	log_line(level, "%s", text);
	(void)gmtime_r(&now, &tm);
	(void)strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%SZ", &tm);
	n = snprintf(line, sizeof line, "%s %s %s\n", stamp, level_word(level), text);
	rotate(v);
	/* A log that cannot be written is no reason to stop what it tells about. */
	if (v->fd >= 0 && n > 0 && write(v->fd, line, (size_t)n) < 0)
		log_debug("events", "the log could not be written: %s", strerror(errno));
}

static void add_formatted(struct events *v, enum log_level level, const char *fmt, va_list ap)
    __attribute__((format(printf, 3, 0)));
static void add_formatted(struct events *v, enum log_level level, const char *fmt, va_list ap)
{
	char text[LINE_MAX_BYTES], safe[LINE_MAX_BYTES];

	(void)vsnprintf(text, sizeof text, fmt, ap);
	add_text(v, level, log_safe(safe, sizeof safe, text, strlen(text)));
}

void events_add(struct events *v, enum log_level level, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add_formatted(v, level, fmt, ap);
	va_end(ap);
}

void events_peer(struct events *v, enum log_level level, const char *fmt, ...)
{
	time_t now = time(NULL);
	va_list ap;

	if (now != v->second) {
		if (v->dropped)
			events_add(v, LOG_LEVEL_WARN, "%lu more lines about peers were left out",
				   v->dropped);
		v->second = now;
		v->in_second = 0;
		v->dropped = 0;
	}
	if (++v->in_second > PEER_LINES_PER_S) {
		v->dropped++;
		return;
	}
	va_start(ap, fmt);
	add_formatted(v, level, fmt, ap);
	va_end(ap);
}

static void append_lines(const char *dir, const char *name, json_t *to)
{
	scoped(freep) char *text = NULL;
	char *save = NULL;
	size_t len;

	/* one line more than the limit may have been added before rotation */
	if (store_read(dir, name, FILE_BYTES + UINT64_C(2) * LINE_MAX_BYTES, &text, &len, NULL))
		return;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		json_array_append_new(to, json_string(line));
}

json_t *events_tail(const struct events *v, size_t max)
{
	json_t *all = json_array(), *tail = json_array();
	size_t n;

	if (max > TAIL_MAX)
		max = TAIL_MAX;
	append_lines(v->dir, "log.1", all);
	append_lines(v->dir, "log", all);
	n = json_array_size(all);
	for (size_t i = n > max ? n - max : 0; i < n; i++)
		json_array_append(tail, json_array_get(all, i));
	json_decref(all);
	return tail;
}
