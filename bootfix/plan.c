/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "plan.h"

#include "base/cleanup.h"
#include "digest.h"
#include "guest.h"

#include <stdarg.h>
#include <string.h>

static const char *const act_words[N_ACTS] = {
	[A_WRITE] = "write", [A_APPEND] = "append",   [A_COPY] = "copy", [A_RENAME] = "rename",
	[A_LINK] = "link",   [A_SECTORS] = "sectors", [A_TOOL] = "tool",
};

const char *act_word(enum act kind)
{
	return act_words[kind];
}

const char *level_word(enum level level)
{
	static const char *const words[] = { "ok", "fixed", "warn", "blocked" };

	return words[level];
}

const char *tool_word(enum tool tool)
{
	static const char *const words[] = { "none", "grow-ext", "grow-xfs" };

	return words[tool];
}

void plan_init(struct plan *p, const struct guest *g)
{
	memset(p, 0, sizeof *p);
	p->guest = g;
}

static void action_clear(struct action *a)
{
	free(a->step);
	free(a->path);
	free(a->from);
	free(a->why);
	buf_free(&a->data);
	memset(a, 0, sizeof *a);
}

void plan_cut(struct plan *p, size_t n_actions, size_t n_findings)
{
	while (p->n_actions > n_actions)
		action_clear(&p->actions[--p->n_actions]);
	while (p->n_findings > n_findings) {
		struct finding *f = &p->findings[--p->n_findings];

		free(f->step);
		free(f->path);
		free(f->why);
	}
}

void plan_free(struct plan *p)
{
	plan_cut(p, 0, 0);
	free(p->actions);
	free(p->findings);
	memset(p, 0, sizeof *p);
}

/* Two paths are one file only when they are written alike: a step that reaches a file by a link
 * and another that reaches it directly are caught by exec's look at the digest. */
static bool same_path(const struct action *a, const char *path)
{
	return a->path && !strcmp(a->path, path);
}

static int check_path(const char *path, struct err *e)
{
	if (!path || path[0] != '/' || strlen(path) >= MAX_PATH)
		return err_set(e, ERR_GUEST, EINVAL, "not a path inside the guest: '%.80s'",
			       path ? path : "");
	return 0;
}

static int read_planned(const struct plan *p, const char *path, size_t cap, struct buf *ret,
			struct err *e)
{
	scoped(buf_free) struct buf now = { 0 };
	bool known = false;
	int r;

	for (size_t i = 0; i < p->n_actions; i++) {
		const struct action *a = &p->actions[i];

		if (a->from && a->kind == A_RENAME && !strcmp(a->from, path)) {
			buf_free(&now);
			return -ENOENT;
		}
		if (!same_path(a, path))
			continue;
		if (a->kind == A_WRITE || a->kind == A_COPY || a->kind == A_RENAME) {
			buf_free(&now);
			known = true;
			r = a->kind == A_WRITE ? buf_add(&now, a->data.data, a->data.len, e)
					       : guest_read(p->guest, a->from, cap, &now, e);
			if (r < 0)
				return r;
		} else if (a->kind == A_APPEND) {
			if (!known) {
				r = guest_read(p->guest, path, cap, &now, e);
				if (r < 0)
					return r;
				known = true;
			}
			r = buf_add(&now, a->data.data, a->data.len, e);
			if (r < 0)
				return r;
		}
	}
	if (!known)
		return guest_read(p->guest, path, cap, ret, e);
	if (now.len > cap)
		return err_set(e, ERR_GUEST, EFBIG, "'%s' would be %zu bytes", path, now.len);
	*ret = now;
	memset(&now, 0, sizeof now);
	return 0;
}

int plan_read(const struct plan *p, const char *path, size_t cap, struct buf *ret, struct err *e)
{
	int r = check_path(path, e);

	return r < 0 ? r : read_planned(p, path, cap, ret, e);
}

/* Whether an action of this plan already changes ${path}. */
static bool touched(const struct plan *p, const char *path)
{
	for (size_t i = 0; i < p->n_actions; i++)
		if (same_path(&p->actions[i], path))
			return true;
	return false;
}

/* What the executor must find at ${path} before it acts. */
static int look(const struct plan *p, const char *path, struct action *a, struct err *e)
{
	scoped(buf_free) struct buf now = { 0 };
	int r;

	if (!touched(p, path)) {
		r = guest_digest(p->guest, path, a->seen_sha256, &a->seen_len, e);
	} else {
		r = read_planned(p, path, MAX_INITRD, &now, e);
		if (!r) {
			digest_bytes(now.data, now.len, a->seen_sha256);
			a->seen_len = now.len;
		}
	}
	a->seen = r == 0;
	return r == -ENOENT ? 0 : r;
}

/* Gives the action's strings and takes ${data}; the action is the plan's only on success. */
static int add(struct plan *p, struct action *a, const char *step, const char *path,
	       const char *from, struct buf *data, const char *why, struct err *e)
{
	struct action *more;

	if (data) {
		a->data = *data;
		memset(data, 0, sizeof *data);
	}
	a->step = strdup(step);
	a->why = strdup(why);
	a->path = path ? strdup(path) : NULL;
	a->from = from ? strdup(from) : NULL;
	more = p->n_actions < MAX_ACTIONS
		   ? realloc(p->actions, (p->n_actions + 1) * sizeof *p->actions)
		   : NULL;
	if (more)
		p->actions = more;
	if (!more || !a->step || !a->why || (path && !a->path) || (from && !a->from)) {
		action_clear(a);
		return err_set(e, ERR_SYS, p->n_actions < MAX_ACTIONS ? ENOMEM : E2BIG,
			       "action %zu of the plan", p->n_actions);
	}
	p->actions[p->n_actions++] = *a;
	plan_finding(p, step, LEVEL_FIXED, path, "%s", why);
	return 0;
}

int plan_write(struct plan *p, const char *step, const char *path, struct buf *data, mode_t mode,
	       const char *why, struct err *e)
{
	scoped(buf_free) struct buf owned = *data;
	struct action a = { .kind = A_WRITE, .mode = mode };
	uint8_t sha256[DIGEST_LEN];
	int r;

	memset(data, 0, sizeof *data);
	r = check_path(path, e);
	if (r < 0)
		return r;
	r = look(p, path, &a, e);
	if (r < 0)
		return r;
	digest_bytes(owned.data, owned.len, sha256);
	if (a.seen && a.seen_len == owned.len && !memcmp(sha256, a.seen_sha256, sizeof sha256))
		return 0;
	return add(p, &a, step, path, NULL, &owned, why, e);
}

int plan_append(struct plan *p, const char *step, const char *path, struct buf *data,
		const char *why, struct err *e)
{
	scoped(buf_free) struct buf owned = *data;
	struct action a = { .kind = A_APPEND };
	int r;

	memset(data, 0, sizeof *data);
	r = check_path(path, e);
	if (r < 0)
		return r;
	r = look(p, path, &a, e);
	if (r < 0)
		return r;
	if (!a.seen)
		return err_set(e, ERR_GUEST, ENOENT, "append to '%s', which is not there", path);
	return owned.len ? add(p, &a, step, path, NULL, &owned, why, e) : 0;
}

int plan_copy(struct plan *p, const char *step, const char *from, const char *path, const char *why,
	      struct err *e)
{
	struct action a = { .kind = A_COPY, .mode = 0644 };
	uint8_t sha256[DIGEST_LEN];
	uint64_t len;
	int r;

	r = check_path(path, e);
	if (!r)
		r = check_path(from, e);
	if (!r)
		r = look(p, path, &a, e);
	if (r < 0)
		return r;
	r = guest_digest(p->guest, from, sha256, &len, e);
	if (r == -ENOENT)
		return err_set(e, ERR_GUEST, ENOENT, "copy of '%s', which is not there", from);
	if (r < 0)
		return r;
	if (a.seen && a.seen_len == len && !memcmp(sha256, a.seen_sha256, sizeof sha256))
		return 0;
	return add(p, &a, step, path, from, NULL, why, e);
}

int plan_rename(struct plan *p, const char *step, const char *from, const char *path,
		const char *why, struct err *e)
{
	struct action a = { .kind = A_RENAME };
	struct stat st;
	int r;

	r = check_path(path, e);
	if (!r)
		r = check_path(from, e);
	if (r < 0)
		return r;
	r = guest_lstat(p->guest, from, &st, e);
	if (r == -ENOENT)
		return err_set(e, ERR_GUEST, ENOENT, "rename of '%s', which is not there", from);
	if (r < 0)
		return r;
	r = guest_lstat(p->guest, path, &st, e);
	if (!r)
		return err_set(e, ERR_GUEST, EEXIST, "rename to '%s', which is there", path);
	if (r != -ENOENT)
		return r;
	return add(p, &a, step, path, from, NULL, why, e);
}

int plan_link(struct plan *p, const char *step, const char *text, const char *path, const char *why,
	      struct err *e)
{
	struct action a = { .kind = A_LINK };
	char now[MAX_PATH];
	struct stat st;
	int r;

	r = check_path(path, e);
	if (r < 0)
		return r;
	if (!text[0] || strlen(text) >= MAX_PATH)
		return err_set(e, ERR_GUEST, EINVAL, "text of the link '%s'", path);
	r = guest_lstat(p->guest, path, &st, e);
	if (r < 0 && r != -ENOENT)
		return r;
	a.seen = !r;
	if (a.seen && S_ISDIR(st.st_mode))
		return err_set(e, ERR_GUEST, EISDIR, "'%s' is a folder", path);
	if (a.seen && S_ISLNK(st.st_mode)) {
		r = guest_readlink(p->guest, path, now, sizeof now, e);
		if (r < 0)
			return r;
		if (!strcmp(now, text))
			return 0;
	}
	return add(p, &a, step, path, text, NULL, why, e);
}

int plan_sectors(struct plan *p, const char *step, unsigned disk, uint64_t off, struct buf *data,
		 const char *why, struct err *e)
{
	scoped(buf_free) struct buf owned = *data;
	struct action a = { .kind = A_SECTORS, .disk = disk, .off = off };
	const struct disk *d;

	memset(data, 0, sizeof *data);
	if (disk >= p->guest->n_disks)
		return err_set(e, ERR_GUEST, EINVAL, "disk %u", disk);
	d = &p->guest->disks[disk];
	if (off > d->size || owned.len > d->size - off || off % d->logical_sector ||
	    owned.len % d->logical_sector)
		return err_set(e, ERR_GUEST, ERANGE, "disk %u: sectors at %llu + %zu", disk,
			       (unsigned long long)off, owned.len);
	return owned.len ? add(p, &a, step, NULL, NULL, &owned, why, e) : 0;
}

int plan_tool(struct plan *p, const char *step, enum tool tool, unsigned vol, uint64_t size,
	      const char *why, struct err *e)
{
	struct action a = { .kind = A_TOOL, .tool = tool, .vol = vol, .tool_size = size };

	if (vol >= p->guest->n_vols)
		return err_set(e, ERR_GUEST, EINVAL, "volume %u", vol);
	return add(p, &a, step, NULL, NULL, NULL, why, e);
}

void plan_finding(struct plan *p, const char *step, enum level level, const char *path,
		  const char *fmt, ...)
{
	struct finding f = { .level = level };
	struct finding *more;
	char why[512];
	va_list ap;

	if (p->n_findings >= MAX_FINDINGS)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(why, sizeof why, fmt, ap);
	va_end(ap);
	more = realloc(p->findings, (p->n_findings + 1) * sizeof *p->findings);
	if (!more)
		return;
	p->findings = more;
	f.step = strdup(step);
	f.why = strdup(why);
	f.path = path ? strdup(path) : NULL;
	if (!f.step || !f.why || (path && !f.path)) {
		free(f.step);
		free(f.why);
		free(f.path);
		return;
	}
	p->findings[p->n_findings++] = f;
}
