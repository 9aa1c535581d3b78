/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Step network: a card keeps the name the source knew it by, so that the guest's own network
 * configuration goes on meaning what it meant. Where that configuration names the old MAC, the
 * new one is written in its place. Addresses, routes and DHCP are not touched.
 */
#include "base/cleanup.h"
#include "edit/edits.h"
#include "edit/lines.h"
#include "edit/netname.h"
#include "guest.h"
#include "plan.h"
#include "steps/edit-steps.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <strings.h>

#define NAME "network"
#define RULES "/etc/udev/rules.d/70-persistent-net.rules"
#define MAC_LEN 17U

static bool applies(const struct guest *g)
{
	return g->n_nics > 0;
}

static const char *mac_after(const struct nic *n)
{
	return n->target_mac[0] ? n->target_mac : n->mac;
}

/* ---- the old MAC in the guest's own files --------------------------------------------------- */

static const struct nic *nic_at(const struct guest *g, const char *p)
{
	for (size_t i = 0; i < g->n_nics; i++) {
		const struct nic *n = &g->nics[i];

		if (netname_mac_ok(n->mac) && netname_mac_ok(mac_after(n)) &&
		    strcasecmp(n->mac, mac_after(n)) != 0 && !strncasecmp(p, n->mac, MAC_LEN))
			return n;
	}
	return NULL;
}

static bool is_hex_or_colon(char c)
{
	return strchr("0123456789abcdefABCDEF:", c) != NULL && c;
}

/* All cards at once: two may have exchanged their addresses. */
static int replace_macs(const struct guest *g, const char *text, size_t len, struct edits *ed,
			struct err *e)
{
	int r = 0;

	for (size_t i = 0; !r && i + MAC_LEN <= len; i++) {
		const struct nic *n;

		if (text[i + 2] != ':' || (i && is_hex_or_colon(text[i - 1])) ||
		    (i + MAC_LEN < len && is_hex_or_colon(text[i + MAC_LEN])))
			continue;
		n = nic_at(g, text + i);
		if (!n)
			continue;
		r = edits_add(ed, (struct span){ i, MAC_LEN }, mac_after(n), e);
		i += MAC_LEN - 1;
	}
	return r;
}

/* A second plan would exchange swapped addresses back: then the facts cannot be used twice. */
static bool macs_overlap(const struct guest *g)
{
	for (size_t i = 0; i < g->n_nics; i++)
		for (size_t j = 0; j < g->n_nics; j++)
			if (strcasecmp(g->nics[i].mac, mac_after(&g->nics[i])) != 0 &&
			    !strcasecmp(mac_after(&g->nics[i]), g->nics[j].mac))
				return true;
	return false;
}

static int one_file(const struct guest *g, struct plan *p, const char *path, struct err *e)
{
	scoped(buf_free) struct buf file = { 0 };
	scoped(buf_free) struct buf out = { 0 };
	struct edits ed = { 0 };
	int r = plan_read(p, path, MAX_TEXT_FILE, &file, e);

	if (r == -ENOENT || (!r && !file.len))
		return 0;
	if (!r)
		r = replace_macs(g, (const char *)file.data, file.len, &ed, e);
	if (!r && ed.n)
		r = edits_apply(&ed, (const char *)file.data, file.len, &out, e);
	edits_free(&ed);
	if (r < 0 || !out.len)
		return r;
	return plan_write(p, NAME, path, &out, 0644, "names the card's new MAC address", e);
}

struct folder {
	const struct guest *g;
	struct plan *p;
	const char *dir, *begin, *end;
	struct err *e;
};

static int on_file(void *arg, const char *name, unsigned char type)
{
	const struct folder *f = arg;
	size_t n = strlen(name), m = strlen(f->end);
	char path[MAX_PATH];

	if (type != DT_REG || strncmp(name, f->begin, strlen(f->begin)) != 0 || n < m ||
	    strcmp(name + n - m, f->end) != 0 || !strncmp(name, "10-bootfix-", 11))
		return 0;
	if (snprintf(path, sizeof path, "%s/%s", f->dir, name) >= (int)sizeof path)
		return 0;
	return one_file(f->g, f->p, path, f->e);
}

static int old_macs(const struct guest *g, struct plan *p, struct err *e)
{
	static const struct {
		const char *dir, *begin, *end;
	} folders[] = {
		{ "/etc/sysconfig/network-scripts", "ifcfg-", "" },
		{ "/etc/sysconfig/network", "ifcfg-", "" },
		{ "/etc/NetworkManager/system-connections", "", "" },
		{ "/etc/netplan", "", ".yaml" },
		{ "/etc/systemd/network", "", "" },
		{ "/etc/udev/rules.d", "70-persistent-net", ".rules" },
	};

	if (macs_overlap(g)) {
		plan_finding(p, NAME, LEVEL_WARN, NULL,
			     "cards exchange MAC addresses: files that name them are left alone");
		return 0;
	}
	for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
		struct folder f = { g, p, folders[i].dir, folders[i].begin, folders[i].end, e };
		int r = guest_list(g, f.dir, on_file, &f, e);

		if (r < 0 && r != -ENOENT)
			return r;
	}
	return 0;
}

/* ---- the name ------------------------------------------------------------------------------- */

static int by_link(struct plan *p, const struct nic *n, struct err *e)
{
	scoped(buf_free) struct buf text = { 0 };
	char path[96], why[96];
	int r = netname_link(mac_after(n), n->name, &text, e);

	if (r < 0)
		return r;
	(void)snprintf(path, sizeof path, "/etc/systemd/network/10-bootfix-%s.link", n->name);
	(void)snprintf(why, sizeof why, "the card %s is still called so", n->name);
	return plan_write(p, NAME, path, &text, 0644, why, e);
}

/* Systems older than .link files: one rule a card, behind those that are there. */
static int by_rule(struct plan *p, const struct nic *n, struct err *e)
{
	scoped(buf_free) struct buf rule = { 0 };
	scoped(buf_free) struct buf file = { 0 };
	char why[96];
	int r = plan_read(p, RULES, MAX_TEXT_FILE, &file, e);

	if (r < 0 && r != -ENOENT)
		return r;
	r = netname_rule(mac_after(n), n->name, &rule, e);
	if (r < 0)
		return r;
	/* A rule for that MAC is there already, maybe rewritten a moment ago. */
	if (file.len >= MAC_LEN && strcasestr((const char *)file.data, mac_after(n)))
		return 0;
	if (file.len && file.data[file.len - 1] != '\n')
		r = buf_add_str(&file, "\n", e);
	if (!r)
		r = buf_add(&file, rule.data, rule.len, e);
	(void)snprintf(why, sizeof why, "the card %s is still called so", n->name);
	return r < 0 ? r : plan_write(p, NAME, RULES, &file, 0644, why, e);
}

static int plan_network(const struct guest *g, struct plan *p, struct err *e)
{
	size_t n_actions = p->n_actions;
	int r = old_macs(g, p, e);

	for (size_t i = 0; !r && i < g->n_nics; i++) {
		const struct nic *n = &g->nics[i];

		if (!netname_ok(n->name) || !netname_mac_ok(mac_after(n))) {
			plan_finding(p, NAME, LEVEL_WARN, NULL,
				     "card %zu of the facts has no usable name or MAC", i + 1);
			continue;
		}
		r = g->os.init == INIT_SYSTEMD ? by_link(p, n, e) : by_rule(p, n, e);
	}
	if (!r && g->wishes.network == NETWORK_DHCP)
		plan_finding(p, NAME, LEVEL_WARN, NULL,
			     "only names are kept: switch the guest to DHCP by hand");
	if (!r && p->n_actions == n_actions)
		plan_finding(p, NAME, LEVEL_OK, NULL, "%zu cards keep their names", g->n_nics);
	return r;
}

const struct step step_network = {
	.name = NAME, .needs_root = true, .applies = applies, .plan = plan_network
};
