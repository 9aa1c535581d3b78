/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "receiverctl.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define BAR_WIDTH 28

static const char *str(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

static long long num(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

const char *show_size(char ret[static 24], long long bytes)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB" };
	double v = (double)bytes;
	size_t u = 0;

	while (v >= 1024 && u < 5) {
		v /= 1024;
		u++;
	}
	(void)snprintf(ret, 24, u ? "%.1f %s" : "%.0f %s", v, units[u]);
	return ret;
}

static double percent(long long done, long long total)
{
	return total > 0 ? 100.0 * (double)done / (double)total : 0;
}

static void show_disk(const json_t *d, bool verifying)
{
	char a[24], b[24];

	printf("  disk %-2lld %s  serial %s\n", num(d, "n"), str(d, "path"), str(d, "serial"));
	if (num(d, "source_size"))
		printf("          source %s, target %s\n", show_size(a, num(d, "source_size")),
		       show_size(b, num(d, "size")));
	else
		printf("          target %s, nothing received\n", show_size(b, num(d, "size")));
	if (num(d, "blocks"))
		printf("          %lld of %lld blocks durable (%.1f %%), %s written\n",
		       num(d, "claimed"), num(d, "blocks"),
		       percent(num(d, "claimed"), num(d, "blocks")),
		       show_size(a, num(d, "written")));
	if (verifying)
		printf("          read again: %s of %s (%.1f %%)\n",
		       show_size(a, num(d, "verify_done")), show_size(b, num(d, "verify_total")),
		       percent(num(d, "verify_done"), num(d, "verify_total")));
}

void show_bad_blocks(const json_t *status)
{
	const json_t *d, *bad;
	size_t i, j;

	json_array_foreach(json_object_get(status, "disks"), i, d)
	{
		json_array_foreach(json_object_get(d, "bad_blocks"), j, bad)
		    printf("  disk %lld: block %lld at offset %lld differs from the manifest\n",
			   num(d, "n"), num(bad, "block"), num(bad, "offset"));
		if (num(d, "bad") > (long long)j)
			printf("  disk %lld: and %lld more\n", num(d, "n"),
			       num(d, "bad") - (long long)j);
	}
}

void show_status(const json_t *status)
{
	bool verifying = !strcmp(str(status, "state"), "verifying");
	const json_t *d, *v;
	size_t i;

	printf("state        %s\n", str(status, "state"));
	if (*str(status, "reason"))
		printf("reason       %s\n", str(status, "reason"));
	printf("next         %s\n", str(status, "next"));
	if (*str(status, "task"))
		printf("task         %s, session %lld\n", str(status, "task"),
		       num(status, "epoch"));
	if (*str(status, "peer"))
		printf("sender       %s\n", str(status, "peer"));
	if (json_object_get(status, "code_seconds_left"))
		printf("code         open for %lld s more\n", num(status, "code_seconds_left"));
	json_array_foreach(json_object_get(status, "listen"), i, v)
	    printf("listen       %s\n", json_string_value(v));
	printf("fingerprint  %s\n", str(status, "fingerprint"));
	json_array_foreach(json_object_get(status, "disks"), i, d) show_disk(d, verifying);
	show_bad_blocks(status);
	v = json_object_get(status, "report");
	if (v)
		printf("bootfix      %s: %s, %lld actions\n", str(v, "command"), str(v, "result"),
		       num(v, "actions"));
}

void show_disks(const json_t *disks)
{
	const json_t *d;
	char a[24];
	size_t i;

	if (!json_array_size(disks))
		printf("no disks: start receiverd with --disk N=PATH\n");
	json_array_foreach(disks, i, d)
	{
		printf("%-3lld %-10s %s%s%s  serial %s\n", num(d, "n"),
		       show_size(a, num(d, "size")), str(d, "path"), *str(d, "model") ? "  " : "",
		       str(d, "model"), str(d, "serial"));
		if (*str(d, "refusal"))
			printf("    refused: %s: %s\n", str(d, "refusal"), str(d, "text"));
		else if (*str(d, "text"))
			printf("    %s\n", str(d, "text"));
		else
			printf("    holds %s\n", str(d, "holds"));
	}
}

void show_pair(const json_t *answer, const char *out_file)
{
	const json_t *invite = json_object_get(answer, "invite"), *v;
	time_t expires = (time_t)num(answer, "expires");
	char until[32];
	struct tm tm;
	size_t i;

	(void)gmtime_r(&expires, &tm);
	(void)strftime(until, sizeof until, "%Y-%m-%d %H:%M:%S UTC", &tm);
	printf("code         %s\n", str(answer, "code"));
	printf("fingerprint  %s\n", str(answer, "fingerprint"));
	json_array_foreach(json_object_get(invite, "addresses"), i, v)
	    printf("address      %s\n", json_string_value(v));
	printf("good until   %s, for one sender\n", until);
	if (out_file)
		printf("next         carry '%s' to the source (it holds the code), then there:\n"
		       "             transit-send push --invite %s\n",
		       out_file, out_file);
	else
		printf("next         with --out FILE this becomes an invite for transit-send\n");
}

/* What is fixed stands among the actions, with its words. */
static void show_finding(const json_t *f)
{
	if (!strcmp(str(f, "level"), "fixed"))
		return;
	printf("  %-8s %-16s %s%s%s\n", str(f, "level"), str(f, "step"), str(f, "path"),
	       *str(f, "path") ? "  " : "", str(f, "why"));
}

static void show_action(const json_t *a)
{
	printf("  %-16s %-8s %s%s%s\n", str(a, "step"), str(a, "kind"), str(a, "path"),
	       *str(a, "path") ? "  " : "", str(a, "why"));
}

void show_plan(const json_t *report)
{
	const json_t *actions = json_object_get(report, "actions");
	const json_t *findings = json_object_get(report, "findings"), *v;
	size_t i;

	printf("bootfix %s: %s\n", str(report, "command"), str(report, "result"));
	if (json_array_size(findings))
		printf("found\n");
	json_array_foreach(findings, i, v) show_finding(v);
	if (json_array_size(actions))
		printf("%s\n",
		       strcmp(str(report, "command"), "plan") != 0 ? "changed" : "would change");
	json_array_foreach(actions, i, v) show_action(v);
}

static void bar(double share)
{
	int full = (int)(share / 100 * BAR_WIDTH + 0.5);

	putchar('[');
	for (int i = 0; i < BAR_WIDTH; i++)
		putchar(i < full ? '#' : '.');
	putchar(']');
}

static void eta(long long left, double bytes_per_s)
{
	long long s = bytes_per_s > 1 ? (long long)((double)left / bytes_per_s) : -1;
	char rate[24];

	if (left <= 0)
		return;
	printf("  %s/s", show_size(rate, (long long)bytes_per_s));
	if (s >= 0)
		printf("  %lld:%02lld:%02lld left", s / 3600, s / 60 % 60, s % 60);
}

int show_bars(const json_t *status, const double *rates, int lines)
{
	bool verifying = !strcmp(str(status, "state"), "verifying");
	const json_t *disks = json_object_get(status, "disks"), *d;
	char size[24];
	size_t i;

	if (lines)
		printf("\033[%dA", lines);
	printf("\033[K%s  %s\n", str(status, "state"), str(status, "reason"));
	json_array_foreach(disks, i, d)
	{
		long long total = num(d, "source_size");
		double share = verifying ? percent(num(d, "verify_done"), num(d, "verify_total"))
					 : percent(num(d, "claimed"), num(d, "blocks"));

		printf("\033[Kdisk %-2lld ", num(d, "n"));
		bar(share);
		printf(" %5.1f %% of %s", share, show_size(size, total));
		eta((long long)((100 - share) / 100 * (double)total), i < DISKS_MAX ? rates[i] : 0);
		printf("\n");
	}
	(void)fflush(stdout);
	return 1 + (int)json_array_size(disks);
}
