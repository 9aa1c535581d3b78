/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
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

static bool is_rate(double v)
{
	return v >= 0 && v < 1e18;
}

/* Anything that is not whole and of this task counts as nothing. */
static void parse_measured(struct store *s, const char *text)
{
	struct measured m = { 0 };
	json_int_t source, rounds, mid, round, read, full, changed, settle, freeze, verify,
	    unhashed;
	uint8_t task[TASK_ID_LEN];
	const char *hex;
	int known;

	scoped(json_decrefp) json_t *o = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	if (!o ||
	    json_unpack(
		o,
		"{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:F, s:F, s:F, s:F, s:I, s:I, "
		"s:I, s:I}",
		"task", &hex, "source", &source, "rounds", &rounds, "mid_ms", &mid, "round_ms",
		&round, "read", &read, "full_read", &full, "changed", &changed, "change_known",
		&known, "change_rate", &m.change_rate, "read_rate", &m.read_rate, "wire_rate",
		&m.wire_rate, "wire_share", &m.wire_share, "settle_ms", &settle, "freeze_ms",
		&freeze, "verify_rate", &verify, "unhashed", &unhashed))
		return;
	if (hex_parse(hex, task, sizeof task) || memcmp(task, s->task, sizeof task) != 0)
		return;
	if (!is_rate(m.change_rate) || !is_rate(m.read_rate) || !is_rate(m.wire_rate) ||
	    !is_rate(m.wire_share))
		return;
	m.source_bytes = (uint64_t)source;
	m.rounds = (uint64_t)rounds;
	m.mid_ms = (uint64_t)mid;
	m.round_ms = (uint64_t)round;
	m.read = (uint64_t)read;
	m.full_read = (uint64_t)full;
	m.changed = (uint64_t)changed;
	m.change_known = known;
	m.settle_ms = (uint64_t)settle;
	m.freeze_ms = (uint64_t)freeze;
	m.verify_rate = (uint64_t)verify;
	m.unhashed = (uint64_t)unhashed;
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
	char task[2 * TASK_ID_LEN + 1];

	digest_hex(s->task, TASK_ID_LEN, task);
	scoped(json_decrefp) json_t *o = json_pack(
	    "{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:f, s:f, s:f, s:f, s:I, s:I, s:I, s:I}",
	    "task", task, "source", (json_int_t)m->source_bytes, "rounds", (json_int_t)m->rounds,
	    "mid_ms", (json_int_t)m->mid_ms, "round_ms", (json_int_t)m->round_ms, "read",
	    (json_int_t)m->read, "full_read", (json_int_t)m->full_read, "changed",
	    (json_int_t)m->changed, "change_known", m->change_known, "change_rate", m->change_rate,
	    "read_rate", m->read_rate, "wire_rate", m->wire_rate, "wire_share", m->wire_share,
	    "settle_ms", (json_int_t)m->settle_ms, "freeze_ms", (json_int_t)m->freeze_ms,
	    "verify_rate", (json_int_t)m->verify_rate, "unhashed", (json_int_t)m->unhashed);
	scoped(freep) char *text = json_dumps(o, JSON_INDENT(1) | JSON_REAL_PRECISION(8));
	return text ? store_put(s, "rounds", text, e)
		    : err_set(e, ERR_SYS, ENOMEM, "figures of a round");
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
