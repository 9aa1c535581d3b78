/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Step cloudinit: the cloud that told cloud-init who the machine is, is not there any more. Without
 * an answer cloud-init takes the guest for a new instance: DHCP on every card, new host keys.
 */
#include "base/cleanup.h"
#include "edit/cloudcfg.h"
#include "guest.h"
#include "plan.h"
#include "steps/edit-steps.h"

#include <errno.h>
#include <stdio.h>

#define CONFIG "/etc/cloud/cloud.cfg"
#define FOLDER "/etc/cloud/cloud.cfg.d"
/* Files are read by name and the last one wins: installers use 99-, some begin with a letter. */
#define DROP_IN_NAME "zz-bootfix.cfg"
#define DROP_IN FOLDER "/" DROP_IN_NAME
#define NAME "cloudinit"

/* The cache of the instance is trusted instead of asked for, so the instance id stays; should the
 * cache be unreadable, the host keys stay all the same. The list is on one line: the shell script
 * that decides whether cloud-init runs at all reads no other form. */
static const char drop_in[] = "# The cloud of before the move is gone; written by bootfix.\n"
			      "datasource_list: [ None ]\n"
			      "network: {config: disabled}\n"
			      "manual_cache_clean: true\n"
			      "ssh_deletekeys: false\n";

static bool applies(const struct guest *g)
{
	return guest_has(g, CONFIG);
}

/* A seed on the guest's own disk has come along, and goes on answering. */
static bool has_seed(const struct guest *g)
{
	return guest_has(g, "/var/lib/cloud/seed/nocloud/meta-data") ||
	       guest_has(g, "/var/lib/cloud/seed/nocloud-net/meta-data");
}

static int read_file(const struct plan *p, const char *path, struct cloudcfg *into, struct err *e)
{
	scoped(buf_free) struct buf file = { 0 };
	int r = plan_read(p, path, MAX_TEXT_FILE, &file, e);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	cloudcfg_read((const char *)file.data, file.len, into);
	return 0;
}

struct look {
	struct plan *p;
	struct cloudcfg *into;
	struct err *e;
};

/* A file that is read after ours is the guest's own: it is not changed, and its name is told. */
static int read_later(const struct look *k, const char *path, const char *name)
{
	struct cloudcfg its = { 0 };
	int r = read_file(k->p, path, &its, k->e);

	if (!r && (its.datasources == CLOUDCFG_OTHER || its.network == CLOUDCFG_OTHER))
		plan_finding(k->p, NAME, LEVEL_WARN, path,
			     "%s is read later than " DROP_IN_NAME " and says otherwise: take "
			     "datasource_list and network out of it",
			     name);
	return r < 0 ? r : read_file(k->p, path, k->into, k->e);
}

static int on_file(void *arg, const char *name, unsigned char type)
{
	const struct look *k = arg;
	size_t n = strlen(name);
	char path[MAX_PATH];

	(void)type;
	if (n < 4 || strcmp(name + n - 4, ".cfg") != 0 ||
	    snprintf(path, sizeof path, FOLDER "/%s", name) >= (int)sizeof path)
		return 0;
	if (strcmp(name, DROP_IN_NAME) > 0)
		return read_later(k, path, name);
	return read_file(k->p, path, k->into, k->e);
}

static int plan_cloudinit(const struct guest *g, struct plan *p, struct err *e)
{
	scoped(buf_free) struct buf text = { 0 };
	struct cloudcfg now = { 0 };
	struct look k = { .p = p, .into = &now, .e = e };
	int r;

	if (guest_has(g, "/etc/cloud/cloud-init.disabled") || has_seed(g)) {
		plan_finding(p, NAME, LEVEL_OK, NULL,
			     "is disabled, or has its data on the guest's own disk");
		return 0;
	}
	r = read_file(p, CONFIG, &now, e);
	if (!r)
		r = guest_list(g, FOLDER, on_file, &k, e);
	if (r < 0 && r != -ENOENT)
		return r;
	if (now.datasources == CLOUDCFG_OFF && now.network == CLOUDCFG_OFF) {
		plan_finding(p, NAME, LEVEL_OK, NULL, "asks no cloud and leaves the network alone");
		return 0;
	}
	r = buf_add_str(&text, drop_in, e);
	return r < 0 ? r
		     : plan_write(p, NAME, DROP_IN, &text, 0644,
				  "the cloud that cloud-init would ask is gone: network, instance "
				  "id and host keys stay as they are",
				  e);
}

const struct step step_cloudinit = {
	.name = NAME, .needs_root = true, .applies = applies, .plan = plan_cloudinit
};
