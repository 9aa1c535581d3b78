/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * log.h - one line an event, key=value, to standard error
 *
 * Rule    libraries say nothing above debug; only the top of a program, a connection, a task or a
 *         step logs. Peer strings go through log_safe() first.
 * Debug   TRANSIT_DEBUG=frame,journal (or "all") turns topics on.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>

enum log_level { LOG_LEVEL_ERROR = 3, LOG_LEVEL_WARN = 4, LOG_LEVEL_INFO = 6, LOG_LEVEL_DEBUG = 7 };

/* Names the program ("receiverd[writer 0]") and reads TRANSIT_DEBUG. Call once, first. */
void log_open(const char *program, enum log_level max);

void log_line(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool log_topic(const char *topic);
void log_debug(const char *topic, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...) log_line(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)

/* Copies ${s} (at most ${len} bytes) into ${buf}, control and non-ASCII bytes as \xNN, cut to fit.
 * Returns ${buf}. */
const char *log_safe(char *buf, size_t size, const char *s, size_t len);

#endif
