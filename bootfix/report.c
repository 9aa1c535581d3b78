/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "report.h"

#include "base/cleanup.h"
#include "digest.h"
#include "guest.h"
#include "plan.h"

#include <jansson.h>
#include <string.h>

enum { MAX_SHOWN = 1024 };

static void json_freep(json_t **j)
{
	json_decref(*j);
}

/* Length of the well-formed UTF-8 character at ${s}, 0 when there is none. */
static size_t utf8_len(const unsigned char *s)
{
	size_t n = s[0] < 0x80                   ? 1
		   : s[0] >= 0xc2 && s[0] < 0xe0 ? 2
		   : (s[0] & 0xf0) == 0xe0       ? 3
						 : 0;

	if (s[0] >= 0xf0 && s[0] < 0xf5)
		n = 4;
	for (size_t i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	/* Overlong forms and surrogates. */
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
	    (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return n;
}

static json_t *text(const char *s)
{
	static const unsigned char unreadable[] = { 0xef, 0xbf, 0xbd }; /* U+FFFD */
	char safe[3 * MAX_SHOWN + 4];
	size_t o = 0;

	if (!s)
		return json_null();
	for (size_t i = 0; i < MAX_SHOWN && s[i];) {
		const unsigned char *p = (const unsigned char *)s + i;
		size_t n = *p < 0x20 || *p == 0x7f ? 0 : utf8_len(p);

		if (n) {
			memcpy(safe + o, p, n);
			o += n;
			i += n;
		} else {
			memcpy(safe + o, unreadable, sizeof unreadable);
			o += sizeof unreadable;
			i++;
		}
	}
	return json_stringn(safe, o);
}

/* "" is "not known". */
static json_t *text_or_null(const char *s)
{
	return s && s[0] ? text(s) : json_null();
}

static json_t *hex_or_null(const uint8_t *sha256)
{
	char hex[DIGEST_HEX];

	return sha256 ? json_string(digest_hex(sha256, hex)) : json_null();
}

static json_t *number(uint64_t n)
{
	return json_integer((json_int_t)n);
}

static const char *const firmware_words[] = { "unknown", "bios", "uefi" };
static const char *const table_words[] = { "none", "mbr", "gpt", "other" };
static const char *const kind_words[] = { "empty",      "filesystem", "swap",
					  "hibernated", "luks",       "lvm-physical",
					  "md-leg",     "other",      "ambiguous" };
static const char *const family_words[] = {
	"unknown", "debian", "redhat", "suse", "arch", "alpine"
};
static const char *const init_words[] = { "unknown", "systemd", "sysv", "openrc" };
static const char *const selinux_words[] = { "absent", "disabled", "permissive", "enforcing" };
static const char *const loader_words[] = { "unknown", "grub-legacy", "grub2", "extlinux",
					    "systemd-boot" };

/* ---- guest ----------------------------------------------------------------------------------- */

/* A list of one object per element; NULL in place of an object is "no memory". */
static int push(json_t *list, json_t *item)
{
	return list && item ? json_array_append_new(list, item) : -1;
}

static json_t *disks_json(const struct guest *g)
{
	json_t *list = json_array();

	for (size_t i = 0; i < g->n_disks; i++) {
		const struct disk *d = &g->disks[i];

		if (push(list,
			 json_pack("{s:i,s:I,s:i,s:i,s:s,s:o,s:o}", "n", (int)d->n, "size",
				   (json_int_t)d->size, "logical_sector", (int)d->logical_sector,
				   "physical_sector", (int)d->physical_sector, "table",
				   table_words[d->table], "table_id", text_or_null(d->table_id),
				   "target_name", text_or_null(d->target_name))) < 0)
			break;
	}
	return list;
}

static json_t *volumes_json(const struct guest *g)
{
	json_t *list = json_array();

	for (size_t i = 0; i < g->n_vols; i++) {
		const struct vol *v = &g->vols[i];

		if (push(list, json_pack("{s:i,s:i,s:I,s:I,s:s,s:o,s:o,s:o,s:o,s:o,s:o,s:o}",
					 "disk", (int)v->disk, "number", (int)v->number, "start",
					 (json_int_t)v->start, "size", (json_int_t)v->size, "kind",
					 kind_words[v->kind], "type", text_or_null(v->type), "uuid",
					 text_or_null(v->uuid), "label", text_or_null(v->label),
					 "partuuid", text_or_null(v->partuuid), "target_name",
					 text_or_null(v->target_name), "parttype",
					 text_or_null(v->parttype), "fs_size",
					 v->fs_size ? number(v->fs_size) : json_null())) < 0)
			break;
	}
	return list;
}

static json_t *mounts_json(const struct guest *g)
{
	json_t *list = json_array();

	for (size_t i = 0; i < g->n_mnts; i++) {
		const struct mnt *m = &g->mnts[i];
		const struct vol *v = m->vol >= 0 ? &g->vols[m->vol] : NULL;

		if (push(list,
			 json_pack("{s:o,s:o,s:o,s:o,s:b}", "spec", text(m->spec), "dir",
				   text(m->dir), "type", text(m->type), "uuid",
				   text_or_null(v ? v->uuid : ""), "mounted", (int)m->mounted)) < 0)
			break;
	}
	return list;
}

static json_t *kernels_json(const struct guest *g)
{
	json_t *list = json_array();

	for (size_t i = 0; i < g->n_kernels; i++)
		if (push(list, json_pack("{s:o,s:o,s:o}", "version", text(g->kernels[i].version),
					 "image", text_or_null(g->kernels[i].image), "initrd",
					 text_or_null(g->kernels[i].initrd))) < 0)
			break;
	return list;
}

static json_t *loader_json(const struct guest *g)
{
	json_t *configs = json_array();

	for (size_t i = 0; i < g->loader.n_configs; i++)
		if (push(configs, text(g->loader.configs[i])) < 0)
			break;
	return json_pack("{s:s,s:o,s:o}", "kind", loader_words[g->loader.kind], "configs", configs,
			 "esp", text_or_null(g->loader.esp_dir));
}

static json_t *root_json(const struct guest *g)
{
	const struct vol *root;

	if (g->root_vol < 0)
		return json_null();
	root = &g->vols[g->root_vol];
	return json_pack("{s:i,s:i,s:o,s:o}", "disk", (int)root->disk, "number", (int)root->number,
			 "uuid", text_or_null(root->uuid), "type", text_or_null(root->type));
}

static json_t *guest_json(const struct guest *g)
{
	json_t *os =
	    json_pack("{s:o,s:o,s:o,s:s,s:s,s:b,s:s}", "id", text_or_null(g->os.id), "version",
		      text_or_null(g->os.version), "name", text_or_null(g->os.name), "family",
		      family_words[g->os.family], "init", init_words[g->os.init], "merged_usr",
		      (int)g->os.merged_usr, "selinux", selinux_words[g->os.selinux]);

	return json_pack("{s:o,s:o,s:s,s:o,s:o,s:o,s:o,s:o,s:o,s:b}", "os", os, "root",
			 root_json(g), "firmware", firmware_words[g->firmware], "boot_disk",
			 g->loader.boot_disk < 0 ? json_null() : json_integer(g->loader.boot_disk),
			 "disks", disks_json(g), "volumes", volumes_json(g), "mounts",
			 mounts_json(g), "kernels", kernels_json(g), "loader", loader_json(g),
			 "facts_given", (int)g->facts.given);
}

/* ---- findings and actions -------------------------------------------------------------------- */

static json_t *findings_json(const struct plan *p)
{
	json_t *list = json_array();

	for (size_t i = 0; p && i < p->n_findings; i++) {
		const struct finding *f = &p->findings[i];

		if (push(list, json_pack("{s:s,s:s,s:o,s:o}", "step", f->step, "level",
					 level_word(f->level), "path", text_or_null(f->path), "why",
					 text(f->why))) < 0)
			break;
	}
	return list;
}

/* What ${path} will be; false when that is no content, or cannot be read any more. */
static bool foretell(const struct guest *g, const struct action *a, uint8_t ret[static DIGEST_LEN])
{
	uint64_t len;

	if (a->kind == A_WRITE || a->kind == A_SECTORS) {
		digest_bytes(a->data.data, a->data.len, ret);
		return true;
	}
	if (a->kind == A_COPY)
		return !guest_digest(g, a->from, ret, &len, NULL);
	if (a->kind == A_APPEND) {
		int r = guest_open(g, a->path, NULL);

		if (r < 0)
			return false;
		scoped(close_fdp) int fd = r;
		return !digest_fd_and(fd, a->data.data, a->data.len, ret, &len, NULL);
	}
	return false;
}

static json_t *planned_json(const struct guest *g, const struct action *a, size_t seq)
{
	uint8_t after[DIGEST_LEN];
	bool known = foretell(g, a, after);
	json_t *o =
	    json_pack("{s:I,s:s,s:s,s:o,s:o,s:o,s:o,s:o,s:b}", "seq", (json_int_t)seq, "step",
		      a->step, "kind", act_word(a->kind), "path", text_or_null(a->path), "from",
		      text_or_null(a->from), "why", text(a->why), "sha256_before",
		      hex_or_null(a->seen && a->path ? a->seen_sha256 : NULL), "sha256_after",
		      hex_or_null(known ? after : NULL), "undone", 0);

	if (a->kind == A_SECTORS)
		(void)json_object_update_new(o, json_pack("{s:i,s:I,s:I}", "disk", (int)a->disk,
							  "offset", (json_int_t)a->off, "length",
							  (json_int_t)a->data.len));
	if (a->kind == A_WRITE || a->kind == A_APPEND)
		(void)json_object_set_new(o, "length", number(a->data.len));
	if (a->kind == A_TOOL)
		(void)json_object_update_new(
		    o, json_pack("{s:s,s:i,s:i}", "tool", tool_word(a->tool), "disk",
				 (int)g->vols[a->vol].disk, "number", (int)g->vols[a->vol].number));
	return o;
}

static json_t *done_json(const struct entry *x)
{
	bool content = x->kind != A_TOOL;
	json_t *o = json_pack(
	    "{s:I,s:s,s:s,s:o,s:o,s:o,s:o,s:o,s:s,s:b}", "seq", (json_int_t)x->seq, "step", x->step,
	    "kind", act_word(x->kind), "path", text_or_null(x->path), "from", text_or_null(x->from),
	    "why", text(x->why), "sha256_before",
	    hex_or_null(content && x->before.shape != SHAPE_ABSENT ? x->before.sha256 : NULL),
	    "sha256_after",
	    hex_or_null(content && x->after.shape != SHAPE_ABSENT ? x->after.sha256 : NULL),
	    "state", entry_state_word(x->state), "undone", (int)(x->state == ENTRY_UNDONE));

	if (x->kind == A_SECTORS)
		(void)json_object_update_new(o, json_pack("{s:i,s:I,s:I}", "disk", (int)x->disk,
							  "offset", (json_int_t)x->off, "length",
							  (json_int_t)x->before.len));
	if (x->kind == A_TOOL)
		(void)json_object_update_new(o, json_pack("{s:s,s:i,s:i}", "tool",
							  tool_word(x->tool), "disk", (int)x->disk,
							  "number", (int)x->number));
	return o;
}

static json_t *actions_json(const struct report *r)
{
	json_t *list = json_array();
	const struct entry *all;
	size_t n;

	if (r->journal) {
		all = journal_entries(r->journal, &n);
		for (size_t i = 0; i < n; i++)
			if (push(list, done_json(&all[i])) < 0)
				break;
		return list;
	}
	for (size_t i = 0; r->guest && r->plan && i < r->plan->n_actions; i++)
		if (push(list, planned_json(r->guest, &r->plan->actions[i], i + 1)) < 0)
			break;
	return list;
}

static json_t *needs_json(const struct guest *g)
{
	const struct disk *boot = g->loader.boot_disk >= 0 ? &g->disks[g->loader.boot_disk] : NULL;

	return json_pack("{s:o,s:s,s:s,s:o}", "bus", text_or_null(g->facts.target_bus), "nic",
			 "virtio-net", "firmware", firmware_words[g->firmware], "block_size",
			 boot ? json_integer(boot->logical_sector) : json_null());
}

static json_t *error_json(const struct err *e)
{
	if (!e || e->kind == ERR_NONE)
		return json_null();
	return json_pack("{s:s,s:o,s:o}", "kind", err_kind_word(e->kind), "name",
			 text_or_null(e->name), "text", text(e->text));
}

static json_t *whole(const struct report *r)
{
	return json_pack("{s:i,s:s,s:s,s:s,s:o,s:o,s:o,s:o,s:o,s:o}", "version", 1, "program",
			 "bootfix " TRANSIT_VERSION, "command", r->command, "result", r->result,
			 "error", error_json(r->error), "guest",
			 r->guest ? guest_json(r->guest) : json_null(), "needs",
			 r->guest ? needs_json(r->guest) : json_null(), "findings",
			 findings_json(r->plan), "actions", actions_json(r), "actions_left",
			 r->left < 0 ? json_null() : json_integer(r->left));
}

static int write_json(const json_t *o, FILE *out, struct err *e)
{
	if (json_dumpf(o, out, JSON_INDENT(2)) < 0 || fputc('\n', out) < 0 || fflush(out) < 0)
		return err_set(e, ERR_SYS, EIO, "write the report");
	return 0;
}

int report_json(const struct report *r, FILE *out, struct err *e)
{
	scoped(json_freep) json_t *o = whole(r);

	return o ? write_json(o, out, e) : err_set(e, ERR_SYS, ENOMEM, "report");
}

/* ---- for people ------------------------------------------------------------------------------ */

/* The JSON is made safe already, so the text is made from it: one place looks at bytes. What came
 * out of a machine was not made by us, so strings are cleaned here once more. */
static const char *get(const json_t *o, const char *key)
{
	static char safe[8][1200];
	static unsigned turn;
	const char *s = json_string_value(json_object_get(o, key));
	char *ret = safe[turn++ % 8];
	size_t len = s ? strnlen(s, 1199) : 0;

	for (size_t i = 0; i < len; i++)
		ret[i] = (char)((unsigned char)s[i] < 0x20 || s[i] == 0x7f ? '?' : s[i]);
	ret[len] = 0;
	return ret;
}

static void print_guest(const json_t *o, FILE *out)
{
	const json_t *os = json_object_get(o, "os"), *kernel, *vol;
	size_t i;

	(void)fprintf(out, "guest    %s, %s, %s\n", *get(os, "name") ? get(os, "name") : "unknown",
		      get(o, "firmware"), get(json_object_get(o, "loader"), "kind"));
	json_array_foreach(json_object_get(o, "volumes"), i, vol)(void)
	    fprintf(out, "volume   %-6s %8lld MiB  %-12s %-8s %s\n", get(vol, "target_name"),
		    (long long)json_integer_value(json_object_get(vol, "size")) >> 20,
		    get(vol, "kind"), get(vol, "type"), get(vol, "uuid"));
	json_array_foreach(json_object_get(o, "kernels"), i, kernel)(void)
	    fprintf(out, "kernel   %s  %s\n", get(kernel, "version"), get(kernel, "initrd"));
}

static void print_action(const json_t *a, FILE *out)
{
	const char *state = get(a, "state"), *path = get(a, "path");

	if (json_is_true(json_object_get(a, "undone")))
		state = "undone";
	(void)fprintf(out, "%-8s %-9s %-7s %s%s%s\n", *state ? state : "would", get(a, "step"),
		      get(a, "kind"), path, *path ? ": " : "", get(a, "why"));
}

static int write_text(const json_t *whole_report, FILE *out, struct err *e)
{
	const json_t *guest = json_object_get(whole_report, "guest"), *o;
	size_t i;

	if (json_is_object(guest))
		print_guest(guest, out);
	json_array_foreach(json_object_get(whole_report, "findings"), i,
			   o) if (strcmp(get(o, "level"), "fixed") != 0)(void)
	    fprintf(out, "%-8s %-9s %s%s%s\n", get(o, "level"), get(o, "step"), get(o, "path"),
		    *get(o, "path") ? ": " : "", get(o, "why"));
	json_array_foreach(json_object_get(whole_report, "actions"), i, o) print_action(o, out);
	(void)fprintf(out, "result   %s\n", get(whole_report, "result"));
	return fflush(out) < 0 ? err_set(e, ERR_SYS, EIO, "write the report") : 0;
}

int report_text(const struct report *r, FILE *out, struct err *e)
{
	scoped(json_freep) json_t *o = whole(r);

	return o ? write_text(o, out, e) : err_set(e, ERR_SYS, ENOMEM, "report");
}

int report_pass_on(const char *text_in, size_t len, bool json, FILE *out, struct err *e)
{
	json_error_t at;
	scoped(json_freep) json_t *o = json_loadb(text_in, len, JSON_REJECT_DUPLICATES, &at);

	if (!o || !json_is_object(o))
		return err_set(e, ERR_PEER, EBADMSG,
			       "the machine's report is no JSON: line %d: %.120s", at.line,
			       at.text);
	return json ? write_json(o, out, e) : write_text(o, out, e);
}
