/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "act.h"

#include "base/cleanup.h"
#include "digest.h"
#include "disk.h"
#include "fs_size.h"
#include "guest.h"
#include "guest_edit.h"
#include "mount.h"

#include <string.h>

static bool on_files(enum act kind)
{
	return kind != A_SECTORS && kind != A_TOOL;
}

int act_prepare(struct guest *g, enum act kind, struct err *e)
{
	int r;

	if (g->tree)
		return 0;
	if (!on_files(kind)) {
		r = mount_none(g, e);
		return r < 0 || kind == A_SECTORS ? r : disks_reread(g, e);
	}
	if (g->writable)
		return 0;
	if (g->root_vol < 0)
		return err_set(e, ERR_GUEST, ENOENT, "no root file system to change files on");
	r = mount_none(g, e);
	if (!r)
		r = disks_reread(g, e);
	if (!r)
		r = mount_root(g, g->root_vol, MOUNT_CHANGE, e);
	return r < 0 ? r : mount_rest(g, MOUNT_CHANGE, e);
}

/* ---- looking --------------------------------------------------------------------------------- */

bool look_equal(const struct look *a, const struct look *b)
{
	if (a->shape != b->shape)
		return false;
	return a->shape == SHAPE_ABSENT ||
	       (a->len == b->len && !memcmp(a->sha256, b->sha256, sizeof a->sha256));
}

int act_look(const struct guest *g, const char *path, struct look *ret, struct err *e)
{
	char text[MAX_PATH];
	struct stat st;
	int r;

	memset(ret, 0, sizeof *ret);
	r = guest_lstat(g, path, &st, e);
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	if (!S_ISLNK(st.st_mode)) {
		ret->shape = SHAPE_FILE;
		return guest_digest(g, path, ret->sha256, &ret->len, e);
	}
	r = guest_readlink(g, path, text, sizeof text, e);
	if (r < 0)
		return r;
	ret->shape = SHAPE_LINK;
	ret->len = strlen(text);
	digest_bytes(text, ret->len, ret->sha256);
	return 0;
}

/* Content actions look through a link at the end: the file behind it is what changes. */
static int look_through(const struct guest *g, const char *path, struct look *ret, struct err *e)
{
	int r;

	memset(ret, 0, sizeof *ret);
	r = guest_digest(g, path, ret->sha256, &ret->len, e);
	ret->shape = r ? SHAPE_ABSENT : SHAPE_FILE;
	return r == -ENOENT ? 0 : r;
}

static int find_vol(const struct guest *g, unsigned disk, unsigned number, unsigned *ret,
		    struct err *e)
{
	for (size_t i = 0; i < g->n_vols; i++)
		if (g->vols[i].disk == disk && g->vols[i].number == number) {
			*ret = (unsigned)i;
			return 0;
		}
	return err_set(e, ERR_GUEST, ENOENT, "disk %u has no partition %u", disk, number);
}

static int read_sectors(const struct guest *g, unsigned disk, uint64_t off, uint64_t len,
			struct buf *ret, struct err *e)
{
	scoped(buf_free) struct buf got = { 0 };
	int r;

	if (disk >= g->n_disks || len > MAX_INITRD)
		return err_set(e, ERR_GUEST, ERANGE, "sectors of disk %u", disk);
	got.data = malloc(len + 1);
	if (!got.data)
		return err_set(e, ERR_SYS, ENOMEM, "sectors");
	got.len = len;
	got.room = len + 1;
	r = disk_read(&g->disks[disk], off, got.data, len, e);
	if (r < 0)
		return r;
	*ret = got;
	memset(&got, 0, sizeof got);
	return 0;
}

static int look_at_fs(const struct guest *g, unsigned disk, unsigned number, struct look *ret,
		      struct err *e)
{
	unsigned vol = 0;
	struct vol v;
	int r = find_vol(g, disk, number, &vol, e);

	if (r < 0)
		return r;
	v = g->vols[vol];
	v.fs_size = 0;
	disk_forget(&g->disks[disk]);
	r = fs_size(&g->disks[disk], &v, e);
	ret->shape = SHAPE_FILE;
	ret->len = v.fs_size;
	return r;
}

int act_look_at(const struct guest *g, const struct entry *x, struct look *ret, struct err *e)
{
	scoped(buf_free) struct buf now = { 0 };
	int r;

	memset(ret, 0, sizeof *ret);
	if (x->kind == A_TOOL)
		return look_at_fs(g, x->disk, x->number, ret, e);
	if (x->kind != A_SECTORS)
		return x->kind == A_RENAME || x->kind == A_LINK ? act_look(g, x->path, ret, e)
								: look_through(g, x->path, ret, e);
	r = read_sectors(g, x->disk, x->off, x->before.len, &now, e);
	if (r < 0)
		return r;
	ret->shape = SHAPE_FILE;
	ret->len = now.len;
	digest_bytes(now.data, now.len, ret->sha256);
	return 0;
}

/* ---- foreseeing ------------------------------------------------------------------------------ */

static int put(char *ret, size_t size, const char *s, struct err *e)
{
	if (!s)
		return 0;
	if (strlen(s) >= size)
		return err_set(e, ERR_GUEST, ENAMETOOLONG, "'%.80s...' is too long", s);
	memcpy(ret, s, strlen(s) + 1);
	return 0;
}

static int refuse_changed(const struct action *a, const struct look *now, struct err *e)
{
	bool there = now->shape == SHAPE_FILE;

	if (there == a->seen && (!there || (now->len == a->seen_len &&
					    !memcmp(now->sha256, a->seen_sha256, DIGEST_LEN))))
		return 0;
	return err_refuse(e, "changed-since-plan", ESTALE,
			  "'%s' is not what the plan saw; make a new plan", a->path);
}

/* What A_WRITE, A_COPY and A_APPEND will leave. */
static int foresee_content(const struct guest *g, const struct action *a, struct entry *x,
			   struct err *e)
{
	int r;

	x->after.shape = SHAPE_FILE;
	if (a->kind == A_COPY)
		return guest_digest(g, a->from, x->after.sha256, &x->after.len, e);
	if (a->kind == A_WRITE) {
		digest_bytes(a->data.data, a->data.len, x->after.sha256);
		x->after.len = a->data.len;
		return 0;
	}
	r = guest_open(g, a->path, e);
	if (r < 0)
		return r;
	scoped(close_fdp) int fd = r;
	return digest_fd_and(fd, a->data.data, a->data.len, x->after.sha256, &x->after.len, e);
}

static int foresee_file(const struct guest *g, const struct action *a, struct entry *x,
			struct buf *old, bool *ret_keep, struct err *e)
{
	int r = look_through(g, a->path, &x->before, e);

	if (!r)
		r = refuse_changed(a, &x->before, e);
	if (!r)
		r = foresee_content(g, a, x, e);
	if (r < 0 || a->kind == A_APPEND || x->before.shape == SHAPE_ABSENT)
		return r;
	*ret_keep = true;
	return guest_read(g, a->path, MAX_INITRD, old, e);
}

static int foresee_name(const struct guest *g, const struct action *a, struct entry *x,
			struct buf *old, bool *ret_keep, struct err *e)
{
	char text[MAX_PATH];
	int r = act_look(g, a->path, &x->before, e);

	if (r < 0)
		return r;
	if (a->kind == A_RENAME) {
		if (x->before.shape != SHAPE_ABSENT)
			return err_refuse(e, "changed-since-plan", EEXIST, "'%s' is there now",
					  a->path);
		return act_look(g, a->from, &x->after, e);
	}
	if (x->before.shape == SHAPE_FILE)
		return err_set(e, ERR_GUEST, EEXIST,
			       "'%s' is a file: it must be renamed before a link takes its place",
			       a->path);
	x->after.shape = SHAPE_LINK;
	x->after.len = strlen(a->from);
	digest_bytes(a->from, x->after.len, x->after.sha256);
	if (x->before.shape == SHAPE_ABSENT)
		return 0;
	r = guest_readlink(g, a->path, text, sizeof text, e);
	if (r < 0)
		return r;
	*ret_keep = true;
	return buf_add_str(old, text, e);
}

static int foresee_sectors(const struct guest *g, const struct action *a, struct entry *x,
			   struct buf *old, struct err *e)
{
	int r = read_sectors(g, a->disk, a->off, a->data.len, old, e);

	if (r < 0)
		return r;
	x->disk = a->disk;
	x->off = a->off;
	x->before.shape = x->after.shape = SHAPE_FILE;
	x->before.len = x->after.len = a->data.len;
	digest_bytes(old->data, old->len, x->before.sha256);
	digest_bytes(a->data.data, a->data.len, x->after.sha256);
	return 0;
}

int act_foresee(const struct guest *g, const struct action *a, struct entry *x, struct buf *old,
		bool *ret_keep, struct err *e)
{
	int r;

	memset(x, 0, sizeof *x);
	*ret_keep = false;
	x->kind = a->kind;
	r = put(x->step, sizeof x->step, a->step, e);
	if (!r)
		r = put(x->path, sizeof x->path, a->path, e);
	if (!r)
		r = put(x->from, sizeof x->from, a->from, e);
	(void)snprintf(x->why, sizeof x->why, "%s", a->why);
	if (!r && on_files(a->kind))
		r = edit_missing_folder(g, a->path, x->made, e);
	if (r < 0)
		return r;
	if (a->kind == A_SECTORS) {
		*ret_keep = true;
		return foresee_sectors(g, a, x, old, e);
	}
	if (a->kind == A_TOOL) {
		x->disk = g->vols[a->vol].disk;
		x->number = g->vols[a->vol].number;
		x->tool = a->tool;
		x->after.shape = SHAPE_FILE;
		return look_at_fs(g, x->disk, x->number, &x->before, e);
	}
	if (a->kind == A_RENAME || a->kind == A_LINK)
		return foresee_name(g, a, x, old, ret_keep, e);
	return foresee_file(g, a, x, old, ret_keep, e);
}

/* ---- doing and undoing ----------------------------------------------------------------------- */

static int do_copy(const struct guest *g, const struct action *a, struct err *e)
{
	scoped(buf_free) struct buf data = { 0 };
	int r = guest_read(g, a->from, MAX_INITRD, &data, e);

	return r < 0 ? r : edit_replace(g, a->path, data.data, data.len, a->mode, e);
}

static int do_file(const struct guest *g, const struct action *a, struct err *e)
{
	int r = edit_make_folders(g, a->path, e);

	if (r < 0)
		return r;
	if (a->kind == A_WRITE)
		r = edit_replace(g, a->path, a->data.data, a->data.len, a->mode, e);
	else if (a->kind == A_APPEND)
		r = edit_append(g, a->path, a->data.data, a->data.len, e);
	else if (a->kind == A_COPY)
		r = do_copy(g, a, e);
	else if (a->kind == A_RENAME)
		r = edit_rename(g, a->from, a->path, e);
	else
		r = edit_link(g, a->from, a->path, e);
	return r == -ENOENT ? err_set(e, ERR_GUEST, ENOENT, "'%s' has vanished", a->path) : r;
}

int act_do(struct guest *g, const struct action *a, struct err *e)
{
	if (a->kind == A_SECTORS)
		return disk_write(&g->disks[a->disk], a->off, a->data.data, a->data.len, e);
	if (a->kind == A_TOOL)
		return tool_do(g, a->tool, a->vol, e);
	return do_file(g, a, e);
}

/* A path that is gone is as gone as it was before. */
static int gone_is_fine(int r)
{
	return r == -ENOENT ? 0 : r;
}

static int undo_file(const struct guest *g, const struct entry *x, const struct buf *kept,
		     struct err *e)
{
	struct look now;
	int r;

	switch (x->kind) {
	case A_WRITE:
	case A_COPY:
		if (x->kept)
			return edit_replace(g, x->path, kept->data, kept->len, 0600, e);
		return gone_is_fine(edit_remove_file(g, x->path, e));
	case A_APPEND:
		return edit_truncate(g, x->path, x->before.len, e);
	case A_LINK:
		if (x->kept)
			return edit_link(g, kept->data ? (const char *)kept->data : "", x->path, e);
		return gone_is_fine(edit_remove(g, x->path, e));
	case A_RENAME:
		r = act_look(g, x->from, &now, e);
		if (r < 0)
			return r;
		return now.shape == SHAPE_ABSENT ? edit_rename(g, x->path, x->from, e) : 0;
	case A_SECTORS:
	case A_TOOL:
		break;
	}
	return err_set(e, ERR_SYS, EINVAL, "entry %llu", (unsigned long long)x->seq);
}

int act_undo(struct guest *g, const struct journal *j, const struct entry *x, struct err *e)
{
	scoped(buf_free) struct buf kept = { 0 };
	unsigned vol = 0;
	int r = x->kept ? journal_kept(j, x->seq, &kept, e) : 0;

	if (r < 0)
		return r;
	if (x->kind == A_SECTORS) {
		if (x->disk >= g->n_disks || kept.len != x->before.len)
			return err_set(e, ERR_SYS, EBADMSG, "kept sectors of entry %llu",
				       (unsigned long long)x->seq);
		return disk_write(&g->disks[x->disk], x->off, kept.data, kept.len, e);
	}
	if (x->kind == A_TOOL) {
		r = find_vol(g, x->disk, x->number, &vol, e);
		return r < 0 ? r : tool_undo(g, x->tool, vol, x->before.len, e);
	}
	r = edit_sweep(g, x->path, e);
	if (!r)
		r = undo_file(g, x, &kept, e);
	if (!r && x->made[0])
		r = edit_remove_folders(g, x->path, x->made, e);
	return r == -ENOENT ? err_set(e, ERR_GUEST, ENOENT, "'%s' has vanished", x->path) : r;
}
