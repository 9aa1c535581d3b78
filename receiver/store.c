/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/cleanup.h"

#define TRASH "trash-"

int store_folder(const char *dir, struct err *e)
{
	if (mkdir(dir, 0700) && errno != EEXIST)
		return err_set(e, ERR_SYS, errno, "make folder '%s'", dir);
	return 0;
}

static int sync_folder(const char *dir, struct err *e)
{
	scoped(close_fdp) int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || fsync(fd))
		return err_set(e, ERR_SYS, errno, "sync folder '%s'", dir);
	return 0;
}

static int write_all(int fd, const char *p, size_t len)
{
	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

int store_write(const char *dir, const char *name, const void *data, size_t len, struct err *e)
{
	char temp[STORE_PATH_MAX], path[STORE_PATH_MAX];
	int r;

	(void)snprintf(path, sizeof path, "%s/%s", dir, name);
	(void)snprintf(temp, sizeof temp, "%s/%s.new", dir, name);
	scoped(close_fdp) int fd =
	    open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_set(e, ERR_SYS, errno, "write '%s'", temp);
	r = write_all(fd, data, len);
	if (r)
		return err_set(e, ERR_SYS, -r, "write '%s'", temp);
	if (fsync(fd))
		return err_set(e, ERR_SYS, errno, "sync '%s'", temp);
	if (rename(temp, path))
		return err_set(e, ERR_SYS, errno, "rename '%s'", temp);
	return sync_folder(dir, e);
}

int store_write_json(const char *dir, const char *name, const json_t *j, struct err *e)
{
	scoped(freep) char *text = json_dumps(j, JSON_INDENT(1) | JSON_PRESERVE_ORDER);
	scoped(freep) char *lines = NULL;

	if (!text || asprintf(&lines, "%s\n", text) < 0)
		return err_set(e, ERR_SYS, ENOMEM, "write '%s'", name);
	return store_write(dir, name, lines, strlen(lines), e);
}

int store_read(const char *dir, const char *name, size_t max, char **ret, size_t *ret_len,
	       struct err *e)
{
	char path[STORE_PATH_MAX];
	size_t len = 0;

	(void)snprintf(path, sizeof path, "%s/%s", dir, name);
	scoped(close_fdp) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 && errno == ENOENT)
		return -ENOENT;
	if (fd < 0)
		return err_set(e, ERR_SYS, errno, "read '%s'", path);
	scoped(freep) char *buf = malloc(max + 2);
	if (!buf)
		return err_set(e, ERR_SYS, ENOMEM, "read '%s'", path);
	for (;;) {
		ssize_t n = read(fd, buf + len, max + 1 - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set(e, ERR_SYS, errno, "read '%s'", path);
		if (!n)
			break;
		len += (size_t)n;
		if (len > max)
			return err_set(e, ERR_SYS, EFBIG, "read '%s', at most %zu bytes", path,
				       max);
	}
	buf[len] = 0;
	*ret = take_ptr(&buf);
	*ret_len = len;
	return 0;
}

int store_read_json(const char *dir, const char *name, size_t max, json_t **ret, struct err *e)
{
	scoped(freep) char *text = NULL;
	json_error_t je;
	size_t len = 0;
	int r = store_read(dir, name, max, &text, &len, e);

	if (r)
		return r;
	json_t *j = json_loadb(text, len, JSON_REJECT_DUPLICATES, &je);
	if (!j)
		return err_set(e, ERR_SYS, EUCLEAN, "'%s/%s' line %d: %s", dir, name, je.line,
			       je.text);
	*ret = j;
	return 0;
}

/* Two levels are all we make (task/disk-N); the depth is bounded whatever is there. */
static void remove_tree(int parent, const char *name, int depth)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct dirent *d;

	if (fd < 0) {
		(void)unlinkat(parent, name, 0);
		return;
	}
	scoped(closedirp) DIR *dir = fdopendir(fd);
	if (!dir) {
		(void)close(fd);
		return;
	}
	while (depth && (d = readdir(dir))) {
		if (strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0)
			remove_tree(fd, d->d_name, depth - 1);
	}
	(void)unlinkat(parent, name, AT_REMOVEDIR);
}

static void remove_trash(const char *dir)
{
	scoped(closedirp) DIR *d = opendir(dir);
	struct dirent *entry;

	while (d && (entry = readdir(d))) {
		if (!strncmp(entry->d_name, TRASH, strlen(TRASH)))
			remove_tree(dirfd(d), entry->d_name, 4);
	}
}

int store_discard(const char *dir, const char *name, struct err *e)
{
	char path[STORE_PATH_MAX], trash[STORE_PATH_MAX];
	struct timespec now;
	int r = 0;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	(void)snprintf(path, sizeof path, "%s/%s", dir, name);
	(void)snprintf(trash, sizeof trash, "%s/" TRASH "%lld-%ld", dir, (long long)now.tv_sec,
		       now.tv_nsec);
	if (rename(path, trash) && errno != ENOENT)
		return err_set(e, ERR_SYS, errno, "discard '%s'", path);
	r = sync_folder(dir, e);
	remove_trash(dir);
	return r;
}
