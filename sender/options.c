/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "options.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help_text[] =
    "Usage: transit-send COMMAND [OPTION]...\n"
    "Sends the disks of this machine, or disk images, to a receiver. Reads only.\n"
    "\n"
    "Commands:\n"
    "  check     what stands in the way of a move: each finding with a level and a fix\n"
    "  push      send everything that the receiver does not have yet\n"
    "  sync      another round: send what changed since\n"
    "  estimate  measure the line and the source: time of the rounds, and downtime\n"
    "  stage     (not in this version)\n"
    "\n"
    "Options:\n"
    "  --invite FILE      what 'receiverctl pair --out FILE' wrote\n"
    "  --disk SRC[=N]     this disk or image as disk N of the task; may be repeated\n"
    "  --to HOST:PORT     the receiver's address or name, instead of the invite's\n"
    "  --proxy URL        http://[USER@]HOST:PORT, socks5://[USER@]HOST:PORT, or env\n"
    "  --proxy-password-file FILE  its first line; mode 0600\n"
    "  --dead-after SECONDS  a receiver silent for so long is gone (default 60)\n"
    "  --state DIR        key, pin and digests of this move (default: INVITE.state)\n"
    "  --facts FILE       facts of the machine that an image came from\n"
    "  --limit RATE[,HH:MM-HH:MM=RATE]...  bytes a second on the wire: 12Mbit, 10M, 500K, none;\n"
    "                     other rates by the time of the day\n"
    "  --nice N           0 to 19\n"
    "  --ionice CLASS     idle, or best-effort:0 to best-effort:7\n"
    "  --cpu PERCENT      ceiling on CPU time, in percent of one processor: 5 to 800\n"
    "  --limits FILE      limit, nice, ionice, cpu = VALUE; read again when it changes\n"
    "  --connections K    1 to 8 (default: found out, one more at a time)\n"
    "  --digest WORD      auto: fast in frames, SHA-256 for the manifest; strong: SHA-256\n"
    "                     everywhere; fast: SHA-256 only in the round that is sealed\n"
    "  --codec WORD       auto, raw, lz4, zstd or zstd:LEVEL, 1 to 19 (default auto)\n"
    "  --retry SECONDS    how long a lost connection is tried again (default 60)\n"
    "  --once             push: seal and verify right after\n"
    "  --final            sync: freeze file systems, seal, and wait for the verification\n"
    "  --no-freeze        with --final or --once: do not freeze file systems\n"
    "  --freeze-limit SECONDS  thaw after this time at the latest (default 600)\n"
    "  --until-converged  sync: rounds until another one would not help\n"
    "  --max-downtime TIME  with --final or --until-converged: 30s, 5m or 1h; refuse, or\n"
    "                     go on with rounds, while a final one would take longer\n"
    "  --max-rounds N     with --until-converged: 1 to 1000 (default 10)\n"
    "  --pause-between TIME  with --until-converged: from the end of a round to the next\n"
    "  --converged-below BYTES  with --until-converged: a round that changed no more is\n"
    "                     the last one (default 16M)\n"
    "  --seconds N        estimate: how long the line is measured, 1 to 60 (default 5)\n"
    "  --seed N           estimate: the same blocks of the source are looked at again\n"
    "  --all-blocks       send free space too, as it is\n"
    "  --json             facts as JSON on standard output\n"
    "  --quiet            no progress\n"
    "  --help, --version\n"
    "\n"
    "Exit: 0 done, 1 failed, 2 usage, 3 interrupted (run it again), 4 refused by a check.\n";

bool options_need_strong(const struct sender_options *o)
{
	if (o->once || o->final || o->digest == DIGEST_CHOICE_STRONG)
		return true;
	return o->digest == DIGEST_CHOICE_AUTO && o->until_converged;
}

void options_help(void)
{
	(void)fputs(help_text, stdout);
}

static const struct {
	const char *word;
	enum sender_command command;
} commands[] = {
	{ "check", CMD_CHECK }, { "estimate", CMD_ESTIMATE }, { "push", CMD_PUSH },
	{ "sync", CMD_SYNC },   { "stage", CMD_STAGE },
};

/* Decimal digits only, all of them, within the range. */
static int number(const char *what, const char *text, uint64_t min, uint64_t max, uint64_t *ret,
		  struct err *e)
{
	char *end = NULL;

	errno = 0;
	unsigned long long v = isdigit((unsigned char)text[0]) ? strtoull(text, &end, 10) : 0;
	if (!end || *end || errno || v < min || v > max)
		return err_set(e, ERR_USAGE, EINVAL,
			       "%s '%s': a number from %llu to %llu is needed", what, text,
			       (unsigned long long)min, (unsigned long long)max);
	*ret = v;
	return 0;
}

static int small_number(const char *what, const char *text, unsigned min, unsigned max,
			unsigned *ret, struct err *e)
{
	uint64_t v = 0;
	int r = number(what, text, min, max, &v, e);

	if (!r)
		*ret = (unsigned)v;
	return r;
}

#define SECONDS_MAX 86400

/* "30s", "5m", "1h", "30": seconds, up to a day. */
static int seconds(const char *what, const char *text, unsigned min, unsigned *ret, struct err *e)
{
	size_t digits = strspn(text, "0123456789");
	const char *unit = text + digits;
	unsigned long long v = digits && digits < 7 ? strtoull(text, NULL, 10) : ULLONG_MAX;
	unsigned each = !strcmp(unit, "h") ? 3600 : !strcmp(unit, "m") ? 60 : 1;

	if (v > SECONDS_MAX || v * each > SECONDS_MAX || v * each < min ||
	    (each == 1 && *unit && strcmp(unit, "s") != 0))
		return err_set(e, ERR_USAGE, EINVAL, "%s '%s': write 30s, 5m or 1h, %us to 24h",
			       what, text, min);
	*ret = (unsigned)(v * each);
	return 0;
}

/* "16M", "500K", "0": bytes, up to a tebibyte. */
static int some_bytes(const char *what, const char *text, uint64_t *ret, struct err *e)
{
	size_t digits = strspn(text, "0123456789");
	const char *unit = text + digits;
	uint64_t v = digits && digits < 14 ? strtoull(text, NULL, 10) : UINT64_MAX;
	uint64_t each = !strcmp(unit, "G")   ? GIB
			: !strcmp(unit, "M") ? MIB
			: !strcmp(unit, "K") ? KIB
					     : 1;

	if ((each == 1 && *unit) || !checked_mul(v, each, &v) || v > 1024 * GIB)
		return err_set(e, ERR_USAGE, EINVAL, "%s '%s': write 16M, 500K or 0, at most 1024G",
			       what, text);
	*ret = v;
	return 0;
}

int options_disk(const char *text, struct disk_map *ret, struct err *e)
{
	const char *eq = strrchr(text, '=');
	size_t len = strlen(text);
	struct disk_map m = { .n = DISK_BY_ORDER };

	if (eq && eq[1] && strspn(eq + 1, "0123456789") == strlen(eq + 1)) {
		unsigned n;
		int r = small_number("--disk", eq + 1, 0, DISKS_MAX - 1, &n, e);
		if (r)
			return r;
		m.n = (int)n;
		len = (size_t)(eq - text);
	}
	if (!len || len >= sizeof m.src)
		return err_set(e, ERR_USAGE, EINVAL, "--disk '%.80s': no path, or one too long",
			       text);
	memcpy(m.src, text, len);
	*ret = m;
	return 0;
}

static int add_disk(struct sender_options *o, const char *text, struct err *e)
{
	struct disk_map m = { 0 };
	int r;

	if (o->n_disks == DISKS_MAX)
		return err_set(e, ERR_USAGE, EINVAL, "more than %d disks", DISKS_MAX);
	r = options_disk(text, &m, e);
	if (r)
		return r;
	for (unsigned i = 0; i < o->n_disks; i++) {
		if (m.n != DISK_BY_ORDER && o->disks[i].n == m.n)
			return err_set(e, ERR_USAGE, EINVAL,
				       "disk %d is named twice: '%s' and '%s'", m.n,
				       o->disks[i].src, m.src);
		if (!strcmp(o->disks[i].src, m.src))
			return err_set(e, ERR_USAGE, EINVAL, "'%s' is named twice", m.src);
	}
	o->disks[o->n_disks++] = m;
	return 0;
}

/* "http://user:password@host": ps shows the command line to everybody. */
static void hide_password(char *url)
{
	char *at = strrchr(url, '@'), *colon = strstr(url, "://");

	colon = colon ? strchr(colon + 3, ':') : NULL;
	if (at && colon && colon < at)
		memset(colon + 1, '*', (size_t)(at - colon - 1));
}

static int set_proxy(struct sender_options *o, char *url, struct err *e)
{
	int r = 0;

	o->proxy_env = !strcmp(url, "env");
	o->proxy.kind = PROXY_NONE;
	if (!o->proxy_env)
		r = proxy_parse(url, &o->proxy, e);
	hide_password(url);
	return r;
}

static int set_codec(struct sender_options *o, const char *text, struct err *e)
{
	static const char *const words[] = { "auto", "raw", "lz4", "zstd" };
	unsigned level;

	for (unsigned i = 0; i < sizeof words / sizeof *words; i++) {
		if (!strcmp(text, words[i])) {
			o->codec = (enum codec_choice)i;
			return 0;
		}
	}
	if (strncmp(text, "zstd:", 5) != 0)
		return err_set(e, ERR_USAGE, EINVAL,
			       "--codec '%s': auto, raw, lz4, zstd or zstd:LEVEL", text);
	o->codec = CODEC_CHOICE_ZSTD;
	int r = small_number("--codec zstd:", text + 5, 1, CODEC_LEVEL_MAX, &level, e);
	if (!r)
		o->codec_level = (int)level;
	return r;
}

static int set_digest(struct sender_options *o, const char *text, struct err *e)
{
	static const char *const words[] = { "auto", "fast", "strong" };

	for (unsigned i = 0; i < sizeof words / sizeof *words; i++) {
		if (!strcmp(text, words[i])) {
			o->digest = (enum digest_choice)i;
			return 0;
		}
	}
	return err_set(e, ERR_USAGE, EINVAL, "--digest '%s': auto, fast or strong", text);
}

enum {
	OPT_INVITE = 256,
	OPT_DISK,
	OPT_TO,
	OPT_PROXY,
	OPT_PROXY_PASSWORD_FILE,
	OPT_DEAD_AFTER,
	OPT_STATE,
	OPT_FACTS,
	OPT_LIMIT,
	OPT_LIMITS,
	OPT_NICE,
	OPT_IONICE,
	OPT_CPU,
	OPT_CONNECTIONS,
	OPT_DIGEST,
	OPT_CODEC,
	OPT_RETRY,
	OPT_ONCE,
	OPT_FINAL,
	OPT_NO_FREEZE,
	OPT_FREEZE_LIMIT,
	OPT_UNTIL_CONVERGED,
	OPT_MAX_DOWNTIME,
	OPT_MAX_ROUNDS,
	OPT_PAUSE_BETWEEN,
	OPT_CONVERGED_BELOW,
	OPT_SECONDS,
	OPT_SEED,
	OPT_ALL_BLOCKS,
	OPT_JSON,
	OPT_QUIET,
	OPT_HELP,
	OPT_VERSION,
};

static const struct option long_options[] = {
	{ "invite", required_argument, NULL, OPT_INVITE },
	{ "disk", required_argument, NULL, OPT_DISK },
	{ "to", required_argument, NULL, OPT_TO },
	{ "proxy", required_argument, NULL, OPT_PROXY },
	{ "proxy-password-file", required_argument, NULL, OPT_PROXY_PASSWORD_FILE },
	{ "dead-after", required_argument, NULL, OPT_DEAD_AFTER },
	{ "state", required_argument, NULL, OPT_STATE },
	{ "facts", required_argument, NULL, OPT_FACTS },
	{ "limit", required_argument, NULL, OPT_LIMIT },
	{ "limits", required_argument, NULL, OPT_LIMITS },
	{ "nice", required_argument, NULL, OPT_NICE },
	{ "ionice", required_argument, NULL, OPT_IONICE },
	{ "cpu", required_argument, NULL, OPT_CPU },
	{ "connections", required_argument, NULL, OPT_CONNECTIONS },
	{ "digest", required_argument, NULL, OPT_DIGEST },
	{ "codec", required_argument, NULL, OPT_CODEC },
	{ "retry", required_argument, NULL, OPT_RETRY },
	{ "once", no_argument, NULL, OPT_ONCE },
	{ "final", no_argument, NULL, OPT_FINAL },
	{ "no-freeze", no_argument, NULL, OPT_NO_FREEZE },
	{ "freeze-limit", required_argument, NULL, OPT_FREEZE_LIMIT },
	{ "until-converged", no_argument, NULL, OPT_UNTIL_CONVERGED },
	{ "max-downtime", required_argument, NULL, OPT_MAX_DOWNTIME },
	{ "max-rounds", required_argument, NULL, OPT_MAX_ROUNDS },
	{ "pause-between", required_argument, NULL, OPT_PAUSE_BETWEEN },
	{ "converged-below", required_argument, NULL, OPT_CONVERGED_BELOW },
	{ "seconds", required_argument, NULL, OPT_SECONDS },
	{ "seed", required_argument, NULL, OPT_SEED },
	{ "all-blocks", no_argument, NULL, OPT_ALL_BLOCKS },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "quiet", no_argument, NULL, OPT_QUIET },
	{ "help", no_argument, NULL, OPT_HELP },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ 0 },
};

static void set_flag(struct sender_options *o, int opt)
{
	switch (opt) {
	case OPT_ONCE:
		o->once = true;
		break;
	case OPT_FINAL:
		o->final = true;
		break;
	case OPT_NO_FREEZE:
		o->no_freeze = true;
		break;
	case OPT_UNTIL_CONVERGED:
		o->until_converged = true;
		break;
	case OPT_ALL_BLOCKS:
		o->all_blocks = true;
		break;
	case OPT_JSON:
		o->json = true;
		break;
	case OPT_QUIET:
		o->quiet = true;
		break;
	case OPT_HELP:
		o->help = true;
		break;
	default:
		o->version = true;
		break;
	}
}

static int set_value(struct sender_options *o, int opt, const char *arg, struct err *e)
{
	switch (opt) {
	case OPT_INVITE:
		o->invite = arg;
		return 0;
	case OPT_TO:
		o->to = arg;
		return 0;
	case OPT_PROXY:
		return set_proxy(o, optarg, e);
	case OPT_PROXY_PASSWORD_FILE:
		o->proxy_password_file = arg;
		return 0;
	case OPT_DEAD_AFTER:
		return small_number("--dead-after", arg, 5, 600, &o->dead_s, e);
	case OPT_STATE:
		o->state = arg;
		return 0;
	case OPT_FACTS:
		o->facts = arg;
		return 0;
	case OPT_DISK:
		return add_disk(o, arg, e);
	case OPT_LIMIT:
		return bounds_set(&o->bounds, "limit", "--limit", arg, e);
	case OPT_NICE:
		return bounds_set(&o->bounds, "nice", "--nice", arg, e);
	case OPT_IONICE:
		return bounds_set(&o->bounds, "ionice", "--ionice", arg, e);
	case OPT_CPU:
		return bounds_set(&o->bounds, "cpu", "--cpu", arg, e);
	case OPT_LIMITS:
		o->limits_file = arg;
		return 0;
	case OPT_CODEC:
		return set_codec(o, arg, e);
	case OPT_CONNECTIONS:
		return small_number("--connections", arg, 1, CONNECTIONS_MAX, &o->connections, e);
	case OPT_RETRY:
		return small_number("--retry", arg, 0, 86400, &o->retry_s, e);
	case OPT_FREEZE_LIMIT:
		return small_number("--freeze-limit", arg, 5, 7200, &o->freeze_s, e);
	case OPT_MAX_DOWNTIME:
		return seconds("--max-downtime", arg, 1, &o->max_downtime_s, e);
	case OPT_MAX_ROUNDS:
		return small_number("--max-rounds", arg, 1, ROUNDS_MAX, &o->max_rounds, e);
	case OPT_PAUSE_BETWEEN:
		return seconds("--pause-between", arg, 0, &o->pause_s, e);
	case OPT_CONVERGED_BELOW:
		return some_bytes("--converged-below", arg, &o->converged_below, e);
	case OPT_SECONDS:
		return small_number("--seconds", arg, 1, 60, &o->probe_s, e);
	case OPT_SEED:
		return number("--seed", arg, 1, UINT64_MAX, &o->seed, e);
	case OPT_DIGEST:
		return set_digest(o, arg, e);
	default:
		set_flag(o, opt);
		return 0;
	}
}

static int set_command(struct sender_options *o, const char *word, struct err *e)
{
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
		if (!strcmp(word, commands[i].word)) {
			o->command = commands[i].command;
			return 0;
		}
	}
	return err_set(e, ERR_USAGE, EINVAL, "unknown command '%.40s': see transit-send --help",
		       word);
}

/* What only some commands take, and what they cannot do without. */
static int check_use(const struct sender_options *o, struct err *e)
{
	bool sends = o->command == CMD_PUSH || o->command == CMD_SYNC || o->command == CMD_ESTIMATE;

	if (o->help || o->version)
		return 0;
	if (o->command == CMD_NONE)
		return err_set(e, ERR_USAGE, EINVAL, "no command: see transit-send --help");
	if (sends && !o->invite)
		return err_set(e, ERR_USAGE, EINVAL,
			       "--invite FILE is needed: 'receiverctl pair --out FILE' writes it");
	if (o->once && o->command != CMD_PUSH)
		return err_set(e, ERR_USAGE, EINVAL, "--once belongs to push");
	if (o->proxy_password_file && !o->proxy_env && o->proxy.kind == PROXY_NONE)
		return err_set(e, ERR_USAGE, EINVAL, "--proxy-password-file belongs to --proxy");
	if (o->until_converged && o->command != CMD_SYNC)
		return err_set(e, ERR_USAGE, EINVAL, "--until-converged belongs to sync");
	if (o->max_downtime_s && !o->final && !o->until_converged)
		return err_set(e, ERR_USAGE, EINVAL,
			       "--max-downtime goes with --final or --until-converged");
	if (o->final && o->command != CMD_SYNC)
		return err_set(e, ERR_USAGE, EINVAL, "--final belongs to sync");
	return 0;
}

int options_parse(int argc, char **argv, struct sender_options *ret, struct err *e)
{
	struct sender_options o = { .bounds = BOUNDS_NONE,
				    .retry_s = 60,
				    .dead_s = 60,
				    .freeze_s = 600,
				    .codec_level = 1,
				    .max_rounds = 10,
				    .converged_below = 16 * MIB,
				    .probe_s = 5 };
	int c, r;

	opterr = 0;
	optind = 0; /* glibc: begin anew, with permutation, so that tests can parse twice */
	while ((c = getopt_long(argc, argv, ":", long_options, NULL)) != -1) {
		if (c == '?')
			return err_set(e, ERR_USAGE, EINVAL,
				       "unknown option '%.60s': see transit-send --help",
				       argv[optind - 1]);
		if (c == ':')
			return err_set(e, ERR_USAGE, EINVAL, "'%.60s' needs a value",
				       argv[optind - 1]);
		r = set_value(&o, c, optarg, e);
		if (r)
			return r;
	}
	if (optind < argc) {
		r = set_command(&o, argv[optind++], e);
		if (r)
			return r;
	}
	/* 'stage FILE' is the only command with an operand. */
	if (optind < argc && o.command != CMD_STAGE)
		return err_set(e, ERR_USAGE, EINVAL, "unexpected '%.60s'", argv[optind]);
	r = check_use(&o, e);
	if (r)
		return r;
	*ret = o;
	return 0;
}
