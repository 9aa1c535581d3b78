/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bootfix: options, then either the work itself or the machine that does it. */
#include "base/log.h"
#include "machine.h"
#include "run.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

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
	if (machine_needed(&o) ? machine_run(&o, stdout, &code, &e) < 0
			       : run_command(&o, stdout, &e) < 0) {
		log_error("%s%s%s%s", e.text, e.name ? " [" : "", e.name ? e.name : "",
			  e.name ? "]" : "");
		return err_exit_code(&e);
	}
	return code;
}
