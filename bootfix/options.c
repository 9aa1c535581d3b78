/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "options.h"

#include "steps.h"

#include <errno.h>
#include <getopt.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char options_help[] =
    "usage: bootfix [inspect|plan|apply|verify|undo] [OPTION]... DISK...\n"
    "\n"
    "Makes a block-copied Linux boot on virtio hardware. DISK: a whole disk or an image\n"
    "file, in the order of the source's disks. Image files are opened inside a small QEMU\n"
    "machine, never by this host's kernel.\n"
    "\n"
    "  inspect  say what is there\n"
    "  plan     say what would be done; the default, writes nothing\n"
    "  apply    do it, with a journal in --state, then look again\n"
    "  verify   exit 0 when nothing is left to do\n"
    "  undo     take back what the journal in --state says was done\n"
    "\n"
    "  --facts FILE                        what the source said about itself (JSON)\n"
    "  --state DIR                         where journal and old bytes are kept\n"
    "  --grow                              let the last partition use a larger disk\n"
    "  --selinux disable|permissive|keep   default: disable\n"
    "  --network keep|dhcp                 default: keep\n"
    "  --firmware keep|bios|uefi           default: keep\n"
    "  --skip STEP                         leave a step out; may be repeated\n"
    "  --step STEP                         undo only this step\n"
    "  --key-fd N                          a volume key; not in this version\n"
    "  --machine DIR                       the QEMU machine for image files\n"
    "  --json                              the report as JSON on standard output\n"
    "  --help, --version\n"
    "\n"
    "Exit: 0 done, 1 failed, 2 usage, 3 interrupted, 4 refused by a check.\n";

static const char *const command_words[] = { "inspect", "plan", "apply", "verify", "undo" };

const char *command_word(enum command c)
{
	return command_words[c];
}

enum {
	OPT_FACTS = 256,
	OPT_KEY,
	OPT_FIRMWARE,
	OPT_SELINUX,
	OPT_NETWORK,
	OPT_GROW,
	OPT_SKIP,
	OPT_STEP,
	OPT_JSON,
	OPT_STATE,
	OPT_MACHINE,
	OPT_HELP,
	OPT_VERSION,
};

static const struct option long_options[] = {
	{ "facts", required_argument, NULL, OPT_FACTS },
	{ "key-fd", required_argument, NULL, OPT_KEY },
	{ "firmware", required_argument, NULL, OPT_FIRMWARE },
	{ "selinux", required_argument, NULL, OPT_SELINUX },
	{ "network", required_argument, NULL, OPT_NETWORK },
	{ "grow", no_argument, NULL, OPT_GROW },
	{ "skip", required_argument, NULL, OPT_SKIP },
	{ "step", required_argument, NULL, OPT_STEP },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "state", required_argument, NULL, OPT_STATE },
	{ "machine", required_argument, NULL, OPT_MACHINE },
	{ "help", no_argument, NULL, OPT_HELP },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ NULL, 0, NULL, 0 },
};

/* The place of ${value} in ${words}, which ends in NULL; -1 with *e filled. */
static int choice(const char *option, const char *value, const char *const *words, struct err *e)
{
	for (int i = 0; words[i]; i++)
		if (!strcmp(value, words[i]))
			return i;
	(void)err_set(e, ERR_USAGE, EINVAL, "%s '%.40s': not one of its values, see --help", option,
		      value);
	return -1;
}

static int take_step(const char *option, const char *value, struct err *e)
{
	if (step_known(value))
		return 0;
	return err_set(e, ERR_USAGE, EINVAL, "%s '%.40s': no such step", option, value);
}

static int take_wish(int which, const char *value, struct wishes *w, struct err *e)
{
	static const char *const firmware[] = { "keep", "bios", "uefi", NULL };
	static const char *const selinux[] = { "disable", "permissive", "keep", NULL };
	static const char *const network[] = { "keep", "dhcp", NULL };
	int n;

	if (which == OPT_FIRMWARE) {
		n = choice("--firmware", value, firmware, e);
		w->firmware = n < 0 ? FIRMWARE_KEEP : (enum firmware_wish)n;
	} else if (which == OPT_SELINUX) {
		n = choice("--selinux", value, selinux, e);
		w->selinux = n < 0 ? SELINUX_KEEP : (enum selinux_wish)n;
	} else {
		n = choice("--network", value, network, e);
		w->network = n < 0 ? NETWORK_KEEP : (enum network_wish)n;
	}
	return n < 0 ? -EINVAL : 0;
}

static int take_option(int which, const char *value, struct options *o, struct err *e)
{
	switch (which) {
	case OPT_FACTS:
		o->facts = value;
		return 0;
	case OPT_STATE:
		o->state = value;
		return 0;
	case OPT_MACHINE:
		o->machine = value;
		return 0;
	case OPT_KEY:
		return err_set(e, ERR_USAGE, EOPNOTSUPP,
			       "--key-fd: this version does not open LUKS volumes");
	case OPT_GROW:
		o->wishes.grow = true;
		return 0;
	case OPT_JSON:
		o->json = true;
		return 0;
	case OPT_HELP:
		o->help = true;
		return 0;
	case OPT_VERSION:
		o->version = true;
		return 0;
	case OPT_STEP:
		if (o->step)
			return err_set(e, ERR_USAGE, EINVAL, "--step: only one at a time");
		o->step = value;
		return take_step("--step", value, e);
	case OPT_SKIP:
		if (o->n_skip >= MAX_SKIPS)
			return err_set(e, ERR_USAGE, E2BIG, "--skip: too many");
		o->skip[o->n_skip++] = value;
		return take_step("--skip", value, e);
	case OPT_FIRMWARE:
	case OPT_SELINUX:
	case OPT_NETWORK:
		return take_wish(which, value, &o->wishes, e);
	default:
		return err_set(e, ERR_USAGE, EINVAL, "'%.60s': %s, see --help", value,
			       which == ':' ? "needs a value" : "no such option");
	}
}

/* A first word that is no command is a disk: "bootfix disk.raw" is a plan. */
static int take_words(int n, char **words, struct options *o, struct err *e)
{
	int first = 0;

	for (int i = CMD_INSPECT; n > 0 && i <= CMD_UNDO; i++)
		if (!strcmp(words[0], command_words[i])) {
			o->command = (enum command)i;
			first = 1;
		}
	for (int i = first; i < n; i++) {
		if (o->n_disks >= MAX_DISKS)
			return err_set(e, ERR_USAGE, E2BIG, "more than %d disks", MAX_DISKS);
		o->disks[o->n_disks++] = words[i];
	}
	if (!o->n_disks)
		return err_set(e, ERR_USAGE, EINVAL, "no DISK given, see --help");
	if (o->n_skip && o->command == CMD_UNDO)
		return err_set(e, ERR_USAGE, EINVAL,
			       "--skip belongs to plan, apply and verify; undo has --step");
	if (o->step && o->command != CMD_UNDO)
		return err_set(e, ERR_USAGE, EINVAL, "--step belongs to undo");
	if ((o->command == CMD_APPLY || o->command == CMD_UNDO) && !o->state)
		return err_set(e, ERR_USAGE, EINVAL,
			       "%s needs --state DIR, where the way back is kept",
			       command_words[o->command]);
	return 0;
}

/* ---- the disks they name --------------------------------------------------------------------- */

static int check_disk(const struct options *o, size_t i, struct stat *st, struct err *e)
{
	bool writes = o->command == CMD_APPLY || o->command == CMD_UNDO;
	const char *path = o->disks[i];

	if (stat(path, st) < 0)
		return err_set(e, ERR_USAGE, errno, "disk '%s': %s%s", path, strerror(errno),
			       i || strchr(path, '/') ? "" : "; nor is it a command, see --help");
	if (!S_ISREG(st->st_mode) && !S_ISBLK(st->st_mode))
		return err_set(e, ERR_USAGE, EINVAL, "'%s' is neither a disk nor an image", path);
	if (access(path, writes ? R_OK | W_OK : R_OK) < 0)
		return err_set(e, ERR_SYS, errno, "disk '%s' cannot be %s", path,
			       writes ? "written" : "read");
	return 0;
}

static bool same_disk(const struct stat *a, const struct stat *b)
{
	if (S_ISBLK(a->st_mode) && S_ISBLK(b->st_mode))
		return a->st_rdev == b->st_rdev;
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

int options_check_disks(const struct options *o, struct err *e)
{
	struct stat seen[MAX_DISKS];

	for (size_t i = 0; i < o->n_disks; i++) {
		int r = check_disk(o, i, &seen[i], e);

		if (r < 0)
			return r;
		for (size_t k = 0; k < i; k++)
			if (same_disk(&seen[k], &seen[i]))
				return err_refuse(e, "disk-given-twice", EEXIST,
						  "'%s' and '%s' are the same disk: give each disk "
						  "once, in the order of the source's",
						  o->disks[k], o->disks[i]);
	}
	return 0;
}

int options_parse(int argc, char **argv, struct options *ret, struct err *e)
{
	struct options o = { .command = CMD_PLAN };
	int r = 0, which;

	opterr = 0;
	while (!r && (which = getopt_long(argc, argv, ":h", long_options, NULL)) != -1)
		r = take_option(which == 'h' ? OPT_HELP : which,
				which == '?' || which == ':' ? argv[optind - 1] : optarg, &o, e);
	if (!r && !o.help && !o.version)
		r = take_words(argc - optind, argv + optind, &o, e);
	if (r < 0)
		return r;
	*ret = o;
	return 0;
}
