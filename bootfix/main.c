/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bootfix: options, then either the work itself or the machine that does it. */
#include "base/log.h"
#include "machine.h"
#include "run.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* However it ends, there is one report on standard output. */
static int work(const struct options *o, int *ret_code, struct err *e)
{
	int r = options_check_disks(o, e);

	if (!r && !machine_needed(o))
		return run_command(o, stdout, e);
	if (!r)
		r = machine_run(o, stdout, ret_code, e);
	if (r < 0)
		run_tell_failure(o, stdout, e);
	return r;
}

int main(int argc, char **argv)
{
	struct options o;
	struct err e = { 0 };
	int code = 0;

	log_open("bootfix", LOG_LEVEL_INFO);
	/* Files made by us, and inside the guest, get the modes we say. */
	(void)umask(022);
	if (options_parse(argc, argv, &o, &e) < 0) {
		log_error("%s", e.text);
		return err_exit_code(&e);
	}
	if (o.help || o.version) {
		(void)fputs(o.help ? options_help : "bootfix " TRANSIT_VERSION "\n", stdout);
		return 0;
	}
	if (work(&o, &code, &e) < 0) {
		log_error("%s%s%s%s", e.text, e.name ? " [" : "", e.name ? e.name : "",
			  e.name ? "]" : "");
		return err_exit_code(&e);
	}
	return code;
}
