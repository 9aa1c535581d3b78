/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "invite.h"

/* Temporary file, sync, rename, sync the folder: after a crash the old or the new one is there. */
int store_put(struct store *s, const char *name, const char *text, struct err *e)
{
	char tmp[64];
	size_t len = strlen(text);

	(void)snprintf(tmp, sizeof tmp, "%s.new", name);
	scoped(close_fdp) int fd =
	    openat(s->dirfd, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_set(e, ERR_SYS, errno, "create '%s/%s'", s->dir, tmp);
	ssize_t n = write(fd, text, len);
	if (n < 0 || (size_t)n != len)
		return err_set(e, ERR_SYS, n < 0 ? errno : ENOSPC, "write '%s/%s'", s->dir, tmp);
	if (fsync(fd))
		return err_set(e, ERR_SYS, errno, "sync '%s/%s'", s->dir, tmp);
	if (renameat(s->dirfd, tmp, s->dirfd, name))
		return err_set(e, ERR_SYS, errno, "rename '%s/%s'", s->dir, tmp);
	if (fsync(s->dirfd))
		return err_set(e, ERR_SYS, errno, "sync '%s'", s->dir);
	return 0;
}

int store_get(struct store *s, const char *name, char ret[static STORE_SMALL_MAX], struct err *e)
{
	scoped(close_fdp) int fd = openat(s->dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return errno == ENOENT ? 0
				       : err_set(e, ERR_SYS, errno, "open '%s/%s'", s->dir, name);
	ssize_t n = read(fd, ret, STORE_SMALL_MAX - 1);
	if (n < 0)
		return err_set(e, ERR_SYS, errno, "read '%s/%s'", s->dir, name);
	ret[n] = 0;
	return 1;
}

static int load_key(struct store *s, struct err *e)
{
	char text[STORE_SMALL_MAX];
	int r = store_get(s, "key", text, e);

	if (r < 0)
		return r;
	if (r) {
		text[strcspn(text, "\n")] = 0;
		r = hex_parse(text, s->priv, sizeof s->priv);
		if (!r)
			r = pairing_key_public(s->priv, s->pub);
		if (r)
			r = err_set(e, ERR_SYS, EINVAL, "'%s/key' is not a key of ours", s->dir);
	} else {
		r = pairing_key_make(s->priv, s->pub, e);
		if (!r) {
			digest_hex(s->priv, sizeof s->priv, text);
			memcpy(text + 2 * sizeof s->priv, "\n", 2);
			r = store_put(s, "key", text, e);
		}
	}
	OPENSSL_cleanse(text, sizeof text);
	return r;
}

static int load_peer(struct store *s, struct err *e)
{
	char text[STORE_SMALL_MAX], spki[65], task[33];
	int r = store_get(s, "peer", text, e);

	if (r <= 0)
		return r;
	if (sscanf(text, "spki %64s\ntask %32s\n", spki, task) != 2 ||
	    hex_parse(spki, s->spki, sizeof s->spki) || hex_parse(task, s->task, sizeof s->task))
		return err_set(e, ERR_SYS, EINVAL, "'%s/peer' is not a file of ours", s->dir);
	s->paired = true;
	return 0;
}

int store_pin(struct store *s, const uint8_t spki[static DIGEST_LEN],
	      const uint8_t task[static TASK_ID_LEN], struct err *e)
{
	char text[STORE_SMALL_MAX], spki_hex[2 * DIGEST_LEN + 1], task_hex[2 * TASK_ID_LEN + 1];
	int r;

	digest_hex(spki, DIGEST_LEN, spki_hex);
	digest_hex(task, TASK_ID_LEN, task_hex);
	(void)snprintf(text, sizeof text, "spki %s\ntask %s\n", spki_hex, task_hex);
	r = store_put(s, "peer", text, e);
	if (r)
		return r;
	memcpy(s->spki, spki, DIGEST_LEN);
	memcpy(s->task, task, TASK_ID_LEN);
	s->paired = true;
	return 0;
}

/* ---- what rounds have measured ---- */

#define MEASURED_FORMAT                                                                            \
	"task %32s source %" SCNu64 " rounds %" SCNu64 " mid_ms %" SCNu64 " round_ms %" SCNu64     \
	" read %" SCNu64 " changed %" SCNu64 " change_known %d change_rate %lf read_rate %lf "     \
	"wire_rate %lf wire_share %lf settle_ms %" SCNu64 " freeze_ms %" SCNu64                    \
	" verify_rate %" SCNu64

static bool is_rate(double v)
{
	return v >= 0 && v < 1e18;
}

/* Anything that is not whole and of this task counts as nothing. */
static void parse_measured(struct store *s, const char *text)
{
	struct measured m = { 0 };
	uint8_t task[TASK_ID_LEN];
	char hex[33];
	int known;

	if (sscanf(text, MEASURED_FORMAT, hex, &m.source_bytes, &m.rounds, &m.mid_ms, &m.round_ms,
		   &m.read, &m.changed, &known, &m.change_rate, &m.read_rate, &m.wire_rate,
		   &m.wire_share, &m.settle_ms, &m.freeze_ms, &m.verify_rate) != 15)
		return;
	if (hex_parse(hex, task, sizeof task) || memcmp(task, s->task, sizeof task) != 0)
		return;
	if (!is_rate(m.change_rate) || !is_rate(m.read_rate) || !is_rate(m.wire_rate) ||
	    !is_rate(m.wire_share))
		return;
	m.change_known = known == 1;
	s->measured = m;
}

static int load_measured(struct store *s, struct err *e)
{
	char text[STORE_SMALL_MAX];
	int r = s->paired ? store_get(s, "rounds", text, e) : 0;

	if (r > 0)
		parse_measured(s, text);
	return r < 0 ? r : 0;
}

int store_save_measured(struct store *s, struct err *e)
{
	const struct measured *m = &s->measured;
	char text[STORE_SMALL_MAX], task[2 * TASK_ID_LEN + 1];

	digest_hex(s->task, TASK_ID_LEN, task);
	(void)snprintf(text, sizeof text,
		       "task %s\nsource %" PRIu64 "\nrounds %" PRIu64 "\nmid_ms %" PRIu64
		       "\nround_ms %" PRIu64 "\nread %" PRIu64 "\nchanged %" PRIu64
		       "\nchange_known %d\nchange_rate %.6g\nread_rate %.6g\nwire_rate %.6g\n"
		       "wire_share %.6g\nsettle_ms %" PRIu64 "\nfreeze_ms %" PRIu64
		       "\nverify_rate %" PRIu64 "\n",
		       task, m->source_bytes, m->rounds, m->mid_ms, m->round_ms, m->read,
		       m->changed, m->change_known ? 1 : 0, m->change_rate, m->read_rate,
		       m->wire_rate, m->wire_share, m->settle_ms, m->freeze_ms, m->verify_rate);
	return store_put(s, "rounds", text, e);
}

static int take_lock(struct store *s, struct err *e)
{
	s->lockfd = openat(s->dirfd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (s->lockfd < 0)
		return err_set(e, ERR_SYS, errno, "open '%s/lock'", s->dir);
	if (!flock(s->lockfd, LOCK_EX | LOCK_NB))
		return 0;
	if (errno == EWOULDBLOCK)
		return err_refuse(e, "state-in-use", EBUSY,
				  "another transit-send works with '%s': wait for it, or end it",
				  s->dir);
	return err_set(e, ERR_SYS, errno, "lock '%s/lock'", s->dir);
}

int store_open(const char *dir, struct store **ret, struct err *e)
{
	int r;

	scoped(store_closep) struct store *s = calloc(1, sizeof *s);
	if (!s)
		return err_set(e, ERR_SYS, ENOMEM, "state '%s'", dir);
	s->dirfd = s->lockfd = -1;
	if (strlen(dir) >= sizeof s->dir)
		return err_set(e, ERR_USAGE, ENAMETOOLONG, "state folder: path too long");
	memcpy(s->dir, dir, strlen(dir) + 1);
	if (mkdir(dir, 0700) && errno != EEXIST)
		return err_set(e, ERR_SYS, errno, "make state folder '%s'", dir);
	s->dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->dirfd < 0)
		return err_set(e, ERR_SYS, errno, "open state folder '%s'", dir);
	r = take_lock(s, e);
	if (!r)
		r = load_key(s, e);
	if (!r)
		r = load_peer(s, e);
	if (!r)
		r = load_measured(s, e);
	if (r)
		return r;
	*ret = take_ptr(&s);
	return 0;
}

void store_close(struct store *s)
{
	if (!s)
		return;
	if (s->lockfd >= 0)
		(void)close(s->lockfd);
	if (s->dirfd >= 0)
		(void)close(s->dirfd);
	OPENSSL_cleanse(s->priv, sizeof s->priv);
	free(s);
}
