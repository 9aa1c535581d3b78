/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Step tools: services that talk to the source's hypervisor. On the target they fail at every boot,
 * and some wait for their device first. systemd's are masked; no package is removed, so that the
 * machine could go back. qemu-guest-agent is the target's own.
 */
#include "base/cleanup.h"
#include "edit/strlist.h"
#include "guest.h"
#include "plan.h"
#include "steps/edit-steps.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define MASKS "/etc/systemd/system"
#define NAME "tools"

/* A service, an init script or an upstart job: the names are the same. */
/* clang-format off */
static const struct service {
	const char *name, *of;
} services[] = {
	{ "vmtoolsd",                         "VMware" },
	{ "open-vm-tools",                    "VMware" },
	{ "vgauthd",                          "VMware" },
	{ "vgauth",                           "VMware" },
	{ "vmware-tools",                     "VMware" },
	{ "vmware-tools-thinprint",           "VMware" },
	{ "vboxadd",                          "VirtualBox" },
	{ "vboxadd-service",                  "VirtualBox" },
	{ "vboxadd-x11",                      "VirtualBox" },
	{ "vboxservice",                      "VirtualBox" },
	{ "virtualbox-guest-utils",           "VirtualBox" },
	{ "xe-daemon",                        "Xen" },
	{ "xe-linux-distribution",            "Xen" },
	{ "xenstored",                        "Xen" },
	{ "hypervkvpd",                       "Hyper-V" },
	{ "hypervvssd",                       "Hyper-V" },
	{ "hypervfcopyd",                     "Hyper-V" },
	{ "hv_kvp_daemon",                    "Hyper-V" },
	{ "hv_vss_daemon",                    "Hyper-V" },
	{ "hv_fcopy_daemon",                  "Hyper-V" },
	{ "hv-kvp-daemon",                    "Hyper-V" },
	{ "hv-vss-daemon",                    "Hyper-V" },
	{ "hv-fcopy-daemon",                  "Hyper-V" },
	{ "hyperv-daemons.hv-kvp-daemon",     "Hyper-V" },
	{ "hyperv-daemons.hv-vss-daemon",     "Hyper-V" },
	{ "hyperv-daemons.hv-fcopy-daemon",   "Hyper-V" },
	{ "prltoolsd",                        "Parallels" },
};
/* clang-format on */
#define N_SERVICES (sizeof services / sizeof services[0])

static bool has(const struct guest *g, const char *dir, const char *name, const char *end)
{
	char path[MAX_PATH];

	return snprintf(path, sizeof path, "%s/%s%s", dir, name, end) < (int)sizeof path &&
	       guest_has(g, path);
}

/* ---- systemd --------------------------------------------------------------------------------- */

/* systemd makes a service of an init script, too, and a mask hides that as well. */
static bool installed(const struct guest *g, const char *name)
{
	return has(g, "/usr/lib/systemd/system", name, ".service") ||
	       has(g, "/lib/systemd/system", name, ".service") || has(g, MASKS, name, ".service") ||
	       has(g, "/etc/init.d", name, "");
}

static int mask(const struct guest *g, struct plan *p, const struct service *s, struct err *e)
{
	char path[MAX_PATH], why[96];
	struct stat st;
	int r;

	(void)snprintf(path, sizeof path, MASKS "/%s.service", s->name);
	r = guest_lstat(g, path, &st, e);
	if (r < 0 && r != -ENOENT)
		return r;
	/* A link is a mask already, or another name of a service that the table has, too. */
	if (!r && S_ISLNK(st.st_mode))
		return 0;
	if (!r) {
		plan_finding(
		    p, NAME, LEVEL_WARN, path,
		    "is for %s, and stands where its mask would: switch it off in the guest "
		    "by 'systemctl disable %s'",
		    s->of, s->name);
		return 0;
	}
	(void)snprintf(why, sizeof why, "%s is for %s: masked, and kept for a way back", s->name,
		       s->of);
	return plan_link(p, NAME, "/dev/null", path, why, e);
}

static int plan_masks(const struct guest *g, struct plan *p, struct err *e)
{
	int r = 0;

	for (size_t i = 0; !r && i < N_SERVICES; i++)
		if (installed(g, services[i].name))
			r = mask(g, p, &services[i], e);
	return r;
}

/* ---- init scripts and upstart ---------------------------------------------------------------- */

struct look {
	struct strlist *started;
	struct err *e;
};

/* "S35vmtoolsd" -> "vmtoolsd" */
static int on_start_link(void *arg, const char *name, unsigned char type)
{
	const struct look *k = arg;

	(void)type;
	if (name[0] != 'S' || !isdigit((unsigned char)name[1]) || !isdigit((unsigned char)name[2]))
		return 0;
	return strlist_add_once(k->started, name + 3, k->e);
}

/* The runlevels that servers boot into: 3, on Debian 2; SUSE has the folders below init.d. */
static int list_started(const struct guest *g, struct strlist *started, struct err *e)
{
	static const char *const folders[] = { "/etc/rc2.d", "/etc/rc3.d", "/etc/init.d/rc3.d" };
	struct look k = { started, e };

	for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
		int r = guest_list(g, folders[i], on_start_link, &k, e);

		if (r < 0 && r != -ENOENT)
			return r;
	}
	return 0;
}

static int name_started(const struct guest *g, struct plan *p, struct err *e)
{
	struct strlist started = { 0 };
	int r = list_started(g, &started, e);

	for (size_t i = 0; !r && i < N_SERVICES; i++) {
		const char *name = services[i].name;

		if (strlist_has(&started, name))
			plan_finding(p, NAME, LEVEL_WARN, NULL,
				     "%s is for %s and still starts: switch it off in the guest by "
				     "'chkconfig %s off' or 'update-rc.d %s disable'",
				     name, services[i].of, name, name);
		else if (has(g, "/etc/init", name, ".conf"))
			plan_finding(p, NAME, LEVEL_WARN, NULL,
				     "%s is for %s and still starts: move /etc/init/%s.conf away "
				     "in the guest",
				     name, services[i].of, name);
	}
	strlist_free(&started);
	return r;
}

static int plan_tools(const struct guest *g, struct plan *p, struct err *e)
{
	size_t n_actions = p->n_actions, n_findings = p->n_findings;
	int r = g->os.init == INIT_SYSTEMD ? plan_masks(g, p, e) : name_started(g, p, e);

	if (!r && p->n_actions == n_actions && p->n_findings == n_findings)
		plan_finding(p, NAME, LEVEL_OK, NULL, "no tools of another hypervisor start");
	return r;
}

const struct step step_tools = { .name = NAME, .needs_root = true, .plan = plan_tools };
