/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <ini.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "address.h"
#include "base/cleanup.h"

/* One row a number: key of [limits] (or of [receiver]), range, default, where it goes. */
struct number_key {
	const char *section, *name;
	uint32_t min, max, standard;
	size_t where;
};

#define FIELD(f) offsetof(struct receiver_options, f)

/* clang-format off */
static const struct number_key numbers[] = {
	{ "receiver", "code-ttl",          1, 604800, 3600, FIELD(code_ttl_s) },
	{ "limits",   "waiting",           1,   4096,  512, FIELD(waiting_max) },
	{ "limits",   "connections",       1,    256,   64, FIELD(conns_max) },
	{ "limits",   "per-source",        1,    256,   16, FIELD(conns_per_source) },
	{ "limits",   "new-per-second",    1,   1000,   50, FIELD(new_conns_per_s) },
	{ "limits",   "hello-timeout",     1,     60,    5, FIELD(hello_timeout_s) },
	{ "limits",   "handshake-timeout", 1,    120,   10, FIELD(handshake_timeout_s) },
	{ "limits",   "login-timeout",     1,    120,   15, FIELD(login_timeout_s) },
	{ "limits",   "idle-timeout",      5,   3600,   60, FIELD(idle_timeout_s) },
};
/* clang-format on */
#define N_NUMBERS (sizeof numbers / sizeof numbers[0])

static const char usage[] =
    "usage: receiverd [--config FILE] [--state DIR] [--listen ADDR:PORT]... [--disk N=PATH]...\n"
    "                 [--block-size SIZE] [--bootfix PROGRAM] [--verbose]\n"
    "\n"
    "Receives a server's disks over TLS and writes them to the disks it is given.\n"
    "\n"
    "  --config FILE       read options from FILE; the command line goes over it\n"
    "  --state DIR         where key, task and log are kept (default /var/lib/transit)\n"
    "  --listen ADDR:PORT  numeric address, port 0 for any (default 443 and 80, IPv4 and IPv6)\n"
    "  --disk N=PATH       disk N, 0 to 19: a whole block device or a regular file\n"
    "  --block-size SIZE   64K to 1M, a power of two (default 256K)\n"
    "  --bootfix PROGRAM   the repair program\n"
    "  --verbose           debug lines on standard error\n"
    "  --help, --version\n"
    "\n"
    "Then: receiverctl pair --disk N --out invite. See receiverd(8), receiverd.conf(5).\n";

int block_size_parse(const char *text, uint32_t *ret, struct err *e)
{
	char *end;
	unsigned long long v;

	v = strtoull(text, &end, 10); /* what does not fit is the largest there is: refused */
	if (v <= BLOCK_SIZE_MAX && !strcmp(end, "K"))
		v *= KIB;
	else if (v <= BLOCK_SIZE_MAX && !strcmp(end, "M"))
		v *= MIB;
	else if (*end)
		v = 0;
	if (*text == '-' || v < BLOCK_SIZE_MIN || v > BLOCK_SIZE_MAX || !is_power_of_two(v))
		return err_set(e, ERR_USAGE, EINVAL,
			       "block size '%.40s': 64K, 128K, 256K, 512K or 1M is needed", text);
	*ret = (uint32_t)v;
	return 0;
}

int listen_address_parse(const char *text, struct listen_address *ret, struct err *e)
{
	struct listen_address a = { 0 };
	struct err why = { 0 };
	struct address parsed;

	if (address_parse(text, ADDRESS_ANY_PORT, &parsed, &why) ||
	    address_sockaddr(&parsed, &a.sa, &a.sa_len, &why))
		return err_set(e, ERR_USAGE, EINVAL, "%s", why.text);
	/* an address of 45 characters, a zone of 15, and what is around them */
	if (strlen(text) >= sizeof a.text)
		return err_set(e, ERR_USAGE, EINVAL, "address '%.80s' is too long", text);
	memcpy(a.text, text, strlen(text) + 1);
	*ret = a;
	return 0;
}

static int add_listen(const char *text, struct receiver_options *o, struct err *e)
{
	if (o->n_listen == LISTEN_MAX)
		return err_set(e, ERR_USAGE, EINVAL, "more than %d listen addresses", LISTEN_MAX);
	int r = listen_address_parse(text, &o->listen[o->n_listen], e);
	if (!r)
		o->n_listen++;
	return r;
}

static int set_path(const char *what, const char *text, char *dst, size_t room, struct err *e)
{
	size_t len = strlen(text);

	while (len > 1 && text[len - 1] == '/')
		len--;
	if (text[0] != '/' || strchr(text, '\n'))
		return err_set(e, ERR_USAGE, EINVAL, "%s '%.120s': an absolute path is needed",
			       what, text);
	if (len >= room)
		return err_set(e, ERR_USAGE, EINVAL, "%s '%.60s...': at most %zu characters", what,
			       text, room - 1);
	memcpy(dst, text, len);
	dst[len] = 0;
	return 0;
}

static int set_disk(const char *number, const char *path, struct receiver_options *o, struct err *e)
{
	char *end;
	unsigned long n = strtoul(number, &end, 10);

	if (*number < '0' || *number > '9' || *end || n >= DISKS_MAX)
		return err_set(e, ERR_USAGE, EINVAL, "disk number '%.20s': 0 to %d is needed",
			       number, DISKS_MAX - 1);
	if (o->disk[n][0])
		return err_set(e, ERR_USAGE, EINVAL, "disk %lu is given twice", n);
	return set_path("disk", path, o->disk[n], OPTION_PATH_MAX, e);
}

static int set_disk_option(const char *text, struct receiver_options *o, struct err *e)
{
	const char *sign = strchr(text, '=');
	char number[8];
	size_t len = sign ? (size_t)(sign - text) : 0;

	if (!len || len >= sizeof number)
		return err_set(e, ERR_USAGE, EINVAL, "--disk '%.120s': N=PATH is needed", text);
	memcpy(number, text, len);
	number[len] = 0;
	return set_disk(number, sign + 1, o, e);
}

static void set_number(struct receiver_options *o, const struct number_key *k, uint32_t v)
{
	memcpy((char *)o + k->where, &v, sizeof v);
}

static int parse_number(const struct number_key *k, const char *text, struct receiver_options *o,
			struct err *e)
{
	char *end;
	unsigned long v = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || v < k->min || v > k->max)
		return err_set(e, ERR_USAGE, EINVAL, "%s = %.40s: %u to %u is needed", k->name,
			       text, k->min, k->max);
	set_number(o, k, (uint32_t)v);
	return 0;
}

struct reading {
	struct receiver_options *o;
	struct err *e;
};

static int set_receiver_key(struct reading *r, const char *name, const char *value)
{
	if (!strcmp(name, "state"))
		return set_path("state", value, r->o->state_dir, sizeof r->o->state_dir, r->e);
	if (!strcmp(name, "listen"))
		return add_listen(value, r->o, r->e);
	if (!strcmp(name, "block-size"))
		return block_size_parse(value, &r->o->block_size, r->e);
	if (!strcmp(name, "bootfix"))
		return set_path("bootfix", value, r->o->bootfix, sizeof r->o->bootfix, r->e);
	return err_set(r->e, ERR_USAGE, EINVAL, "unknown key '%.60s' in [receiver]", name);
}

/* inih's callback: 1 is good, 0 makes ini_parse() return this line's number. */
static int on_key(void *arg, const char *section, const char *name, const char *value)
{
	struct reading *r = arg;

	if (r->e->kind != ERR_NONE)
		return 0; /* the first mistake is the one that is told */
	for (size_t i = 0; i < N_NUMBERS; i++) {
		if (!strcmp(section, numbers[i].section) && !strcmp(name, numbers[i].name))
			return !parse_number(&numbers[i], value, r->o, r->e);
	}
	if (!strcmp(section, "receiver"))
		return !set_receiver_key(r, name, value);
	if (!strcmp(section, "disks"))
		return !set_disk(name, value, r->o, r->e);
	(void)err_set(r->e, ERR_USAGE, EINVAL, "unknown key '%.60s' in [%.60s]", name, section);
	return 0;
}

/* The bootfix that came with this receiverd: beside it, or where the build puts it. */
static void find_bootfix(char *ret, size_t room)
{
	static const char *const places[] = { "bootfix", "../bootfix/bootfix" };
	char self[OPTION_PATH_MAX], path[OPTION_PATH_MAX + 32], whole[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
	char *slash;

	(void)snprintf(ret, room, "/usr/sbin/bootfix");
	self[len > 0 ? len : 0] = 0;
	slash = strrchr(self, '/');
	if (!slash)
		return;
	*slash = 0;
	for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
		struct stat st;

		(void)snprintf(path, sizeof path, "%s/%s", self, places[i]);
		if (!realpath(path, whole) || stat(whole, &st) || !S_ISREG(st.st_mode) ||
		    access(whole, X_OK) || strlen(whole) >= room)
			continue;
		(void)snprintf(ret, room, "%s", whole);
		return;
	}
}

static void set_defaults(struct receiver_options *o)
{
	memset(o, 0, sizeof *o);
	(void)snprintf(o->state_dir, sizeof o->state_dir, "/var/lib/transit");
	find_bootfix(o->bootfix, sizeof o->bootfix);
	o->block_size = BLOCK_SIZE_DEFAULT;
	for (size_t i = 0; i < N_NUMBERS; i++)
		set_number(o, &numbers[i], numbers[i].standard);
}

int receiver_options_read(const char *path, struct receiver_options *ret, struct err *e)
{
	struct receiver_options o;
	struct err first = { 0 };
	int line;

	set_defaults(&o);
	if (path) {
		if (strlen(path) >= sizeof o.config)
			return err_set(e, ERR_USAGE, EINVAL, "--config: the path is too long");
		memcpy(o.config, path, strlen(path) + 1);
		line = ini_parse(path, on_key, &(struct reading){ &o, &first });
		if (line < 0)
			return err_set(e, ERR_USAGE, errno ? errno : EIO, "config '%s': %s", path,
				       strerror(errno ? errno : EIO));
		if (line > 0)
			return err_set(e, ERR_USAGE, EINVAL, "config '%s' line %d: %s", path, line,
				       first.kind ? first.text : "not a key or a section");
	}
	*ret = o;
	return 0;
}

/* clang-format off */
static const struct option options[] = {
	{ "config", required_argument, NULL, 'c' },
	{ "state", required_argument, NULL, 's' },
	{ "listen", required_argument, NULL, 'l' },
	{ "disk", required_argument, NULL, 'd' },
	{ "block-size", required_argument, NULL, 'b' },
	{ "bootfix", required_argument, NULL, 'x' },
	{ "verbose", no_argument, NULL, 'v' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ NULL, 0, NULL, 0 },
};
/* clang-format on */

struct given { /* what the command line replaces as a whole, or per disk */
	bool listen;
	bool disk[DISKS_MAX];
};

static int take_disk_option(const char *text, struct receiver_options *o, struct given *g,
			    struct err *e)
{
	unsigned long n = strtoul(text, NULL, 10);

	/* The first --disk N replaces the file's; a second one is a mistake. */
	if (n < DISKS_MAX && !g->disk[n]) {
		g->disk[n] = true;
		o->disk[n][0] = 0;
	}
	return set_disk_option(text, o, e);
}

static int take_option(int c, const char *value, struct receiver_options *o, struct given *g,
		       struct err *e)
{
	switch (c) {
	case 'c':
		return 0; /* was read before */
	case 's':
		return set_path("--state", value, o->state_dir, sizeof o->state_dir, e);
	case 'l':
		if (!g->listen)
			o->n_listen = 0;
		g->listen = true;
		return add_listen(value, o, e);
	case 'd':
		return take_disk_option(value, o, g, e);
	case 'b':
		return block_size_parse(value, &o->block_size, e);
	case 'x':
		return set_path("--bootfix", value, o->bootfix, sizeof o->bootfix, e);
	case 'v':
		o->verbose = true;
		return 0;
	case 'h':
		(void)fputs(usage, stdout);
		return 1;
	case 'V':
		(void)puts("receiverd " TRANSIT_VERSION);
		return 1;
	default:
		return err_set(e, ERR_USAGE, EINVAL,
			       "option not known, or its value is missing: see receiverd --help");
	}
}

/* The file is the ground the command line stands on: find it first. */
static int read_config(int argc, char *const argv[], struct receiver_options *o, struct err *e)
{
	const char *path = NULL;
	int c;

	optind = 1;
	opterr = 0;
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'c')
			path = optarg;
	}
	return receiver_options_read(path, o, e);
}

/* A kernel without it must not stop who asked for nothing. */
static bool kernel_has_ipv6(void)
{
	scoped(close_fdp) int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return fd >= 0;
}

static int finish(struct receiver_options *o, struct err *e)
{
	static const char *const standard[] = { "0.0.0.0:443", "0.0.0.0:80", "[::]:443",
						"[::]:80" };
	size_t n = kernel_has_ipv6() ? 4 : 2;
	int r = 0;

	for (size_t i = 0, given = o->n_listen; !r && !given && i < n; i++)
		r = add_listen(standard[i], o, e);
	return r;
}

int receiver_options_parse(int argc, char *const argv[], struct receiver_options *ret,
			   struct err *e)
{
	struct receiver_options o = { 0 };
	struct given given = { 0 };
	int c, r = read_config(argc, argv, &o, e);

	if (r)
		return r;
	optind = 1;
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		r = take_option(c, optarg, &o, &given, e);
		if (r)
			return r;
	}
	if (optind < argc)
		return err_set(e, ERR_USAGE, EINVAL, "'%.60s' is one argument too many",
			       argv[optind]);
	r = finish(&o, e);
	if (!r)
		*ret = o;
	return r;
}
