/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "edit/cpio_out.h"
#include "edit/cpio.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

struct content {
	const void *data;
	size_t len;
};

static bool path_ok(const char *path)
{
	size_t len = strlen(path);

	if (!len || len >= CPIO_NAME_MAX || path[0] == '/' || path[len - 1] == '/')
		return false;
	for (const char *p = path; p; p = strchr(p, '/')) {
		p += *p == '/';
		size_t n = strcspn(p, "/");
		if (!n || (n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.'))
			return false;
	}
	return true;
}

static int bad_path(const char *path, struct err *e)
{
	return err_set(e, ERR_GUEST, EINVAL, "'%.100s' cannot be a member's name", path);
}

/* Header, name and content, each padded to 4. The archive itself must begin at a multiple of 4
 * of what the kernel counts: whoever appends it sees to that. */
static int add_member(struct cpio_out *c, const char *path, uint32_t mode, uint32_t nlink,
		      const struct content *body, struct err *e)
{
	static const char zeros[4];
	size_t name_len = strlen(path) + 1;
	char head[111];
	int r;

	if (body->len > UINT32_MAX)
		return err_set(e, ERR_GUEST, EFBIG, "'%.100s' is too long for an archive", path);
	(void)snprintf(head, sizeof head,
		       "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X", c->ino, mode,
		       0, 0, nlink, 0, (uint32_t)body->len, 0, 0, 0, 0, (uint32_t)name_len, 0);
	c->ino++;
	r = buf_add(c->out, head, 110, e);
	if (!r)
		r = buf_add(c->out, path, name_len, e);
	if (!r)
		r = buf_add(c->out, zeros, -(110 + name_len) & 3, e);
	if (!r)
		r = buf_add(c->out, body->data, body->len, e);
	if (!r)
		r = buf_add(c->out, zeros, -body->len & 3, e);
	return r;
}

static int add_dir(struct cpio_out *c, const char *path, struct err *e)
{
	int r;

	if (strlist_has(&c->dirs, path))
		return 0;
	r = add_member(c, path, S_IFDIR | 0755, 2, &(struct content){ 0 }, e);
	return r < 0 ? r : strlist_add(&c->dirs, path, e);
}

static int add_parents(struct cpio_out *c, const char *path, struct err *e)
{
	char parent[CPIO_NAME_MAX];

	for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
		size_t n = (size_t)(slash - path);
		int r;

		memcpy(parent, path, n);
		parent[n] = 0;
		r = add_dir(c, parent, e);
		if (r < 0)
			return r;
	}
	return 0;
}

int cpio_out_dir(struct cpio_out *c, const char *path, struct err *e)
{
	int r = path_ok(path) ? add_parents(c, path, e) : bad_path(path, e);

	return r < 0 ? r : add_dir(c, path, e);
}

int cpio_out_file(struct cpio_out *c, const char *path, uint32_t mode, const void *data, size_t len,
		  struct err *e)
{
	int r = path_ok(path) ? add_parents(c, path, e) : bad_path(path, e);

	if (r < 0)
		return r;
	return add_member(c, path, S_IFREG | (mode & 07777), 1,
			  &(struct content){ .data = data, .len = len }, e);
}

int cpio_out_end(struct cpio_out *c, struct err *e)
{
	int r = add_member(c, "TRAILER!!!", 0, 1, &(struct content){ 0 }, e);

	strlist_free(&c->dirs);
	return r;
}
