/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "journal.h"

#include "base/cleanup.h"
#include "digest.h"
#include "plan.h"

#include <fcntl.h>
#include <jansson.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#define NAME "bootfix.journal"

enum { MAX_LINE = 65536, MAX_JOURNAL = 64 << 20, DIGITS = 16 };

struct journal {
	int dirfd, undofd, fd;
	struct entry *entries;
	size_t n_entries;
	json_t *disks; /* what journal_claim() wrote, or NULL */
};

static const char *const state_words[] = { "start", "done", "undo", "undone" };
static const char *const shape_words[] = { "absent", "file", "link" };

const char *entry_state_word(enum entry_state s)
{
	return state_words[s];
}

struct journal *journal_close(struct journal *j)
{
	if (!j)
		return NULL;
	close_fdp(&j->fd);
	close_fdp(&j->undofd);
	close_fdp(&j->dirfd);
	json_decref(j->disks);
	free(j->entries);
	free(j);
	return NULL;
}

void journal_closep(struct journal **j)
{
	*j = journal_close(*j);
}

static void json_freep(json_t **j)
{
	json_decref(*j);
}

const struct entry *journal_entries(const struct journal *j, size_t *ret_n)
{
	*ret_n = j->n_entries;
	return j->entries;
}

/* ---- writing --------------------------------------------------------------------------------- */

static int write_whole(int fd, const void *data, size_t len)
{
	const uint8_t *p = data;

	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

/* Takes ${record}. */
static int append(struct journal *j, json_t *record, struct err *e)
{
	scoped(json_freep) json_t *owned = record;
	scoped(freep) char *text = owned ? json_dumps(owned, JSON_COMPACT) : NULL;
	scoped(buf_free) struct buf line = { 0 };
	uint8_t sha256[DIGEST_LEN];
	char hex[DIGEST_HEX];
	int r;

	if (!text)
		return err_set(e, ERR_SYS, ENOMEM, "journal record");
	digest_bytes(text, strlen(text), sha256);
	digest_hex(sha256, hex);
	r = buf_add(&line, hex, DIGITS, e);
	if (!r)
		r = buf_add_str(&line, " ", e);
	if (!r)
		r = buf_add_str(&line, text, e);
	if (!r)
		r = buf_add_str(&line, "\n", e);
	if (r < 0)
		return r;
	if (line.len > MAX_LINE)
		return err_set(e, ERR_SYS, E2BIG, "journal record");
	if (write_whole(j->fd, line.data, line.len) < 0 || fdatasync(j->fd) < 0)
		return err_set(e, ERR_SYS, errno, "write to the journal");
	return 0;
}

static json_t *json_of_look(const struct look *l)
{
	char hex[DIGEST_HEX];

	if (l->shape == SHAPE_ABSENT)
		return json_pack("{s:s}", "is", shape_words[l->shape]);
	return json_pack("{s:s,s:s,s:I}", "is", shape_words[l->shape], "sha256",
			 digest_hex(l->sha256, hex), "len", (json_int_t)l->len);
}

static json_t *json_of_entry(const struct entry *x)
{
	return json_pack("{s:s,s:I,s:s,s:s,s:s,s:s,s:s,s:s,s:o,s:o,s:i,s:I,s:i,s:i,s:b}", "rec",
			 "start", "seq", (json_int_t)x->seq, "kind", act_word(x->kind), "step",
			 x->step, "path", x->path, "from", x->from, "why", x->why, "made", x->made,
			 "before", json_of_look(&x->before), "after", json_of_look(&x->after),
			 "disk", (int)x->disk, "off", (json_int_t)x->off, "tool", (int)x->tool,
			 "number", (int)x->number, "kept", (int)x->kept);
}

static void old_name(uint64_t seq, char ret[static 32])
{
	(void)snprintf(ret, 32, "%08llu.old", (unsigned long long)seq);
}

static int keep(const struct journal *j, uint64_t seq, const struct buf *old, struct err *e)
{
	char name[32];

	old_name(seq, name);
	scoped(close_fdp) int fd =
	    openat(j->undofd, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0 || write_whole(fd, old->data, old->len) < 0 || fsync(fd) < 0 ||
	    fsync(j->undofd) < 0)
		return err_set(e, ERR_SYS, errno, "keep old bytes in undo/%s", name);
	return 0;
}

static struct entry *room_for_entry(struct journal *j, struct err *e)
{
	struct entry *more = realloc(j->entries, (j->n_entries + 1) * sizeof *more);

	if (!more) {
		(void)err_set(e, ERR_SYS, ENOMEM, "journal");
		return NULL;
	}
	j->entries = more;
	return &j->entries[j->n_entries];
}

int journal_start(struct journal *j, struct entry *x, const struct buf *old, struct err *e)
{
	struct entry *slot = room_for_entry(j, e);
	int r;

	if (!slot)
		return -ENOMEM;
	x->seq = j->n_entries + 1;
	x->state = ENTRY_STARTED;
	x->kept = old != NULL;
	if (old) {
		r = keep(j, x->seq, old, e);
		if (r < 0)
			return r;
	}
	r = append(j, json_of_entry(x), e);
	if (r < 0)
		return r;
	*slot = *x;
	j->n_entries++;
	return 0;
}

int journal_mark(struct journal *j, uint64_t seq, enum entry_state state, struct err *e)
{
	int r;

	if (!seq || seq > j->n_entries)
		return err_set(e, ERR_SYS, EINVAL, "journal has no entry %llu",
			       (unsigned long long)seq);
	r = append(j, json_pack("{s:s,s:I}", "rec", state_words[state], "seq", (json_int_t)seq), e);
	if (r < 0)
		return r;
	j->entries[seq - 1].state = state;
	return 0;
}

int journal_kept(const struct journal *j, uint64_t seq, struct buf *ret, struct err *e)
{
	scoped(buf_free) struct buf got = { 0 };
	uint8_t chunk[65536];
	char name[32];

	old_name(seq, name);
	scoped(close_fdp) int fd = openat(j->undofd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_set(e, ERR_SYS, errno, "undo/%s", name);
	for (;;) {
		ssize_t n = read(fd, chunk, sizeof chunk);
		int r;

		if (n < 0)
			return err_set(e, ERR_SYS, errno, "undo/%s", name);
		if (!n)
			break;
		r = buf_add(&got, chunk, (size_t)n, e);
		if (r < 0)
			return r;
	}
	*ret = got;
	memset(&got, 0, sizeof got);
	return 0;
}

/* ---- whose disks ------------------------------------------------------------------------------
 */

static json_t *json_of_disks(const struct guest *g)
{
	json_t *list = json_array();

	for (size_t i = 0; list && i < g->n_disks; i++)
		if (json_array_append_new(list, json_pack("{s:I,s:s}", "size",
							  (json_int_t)g->disks[i].size, "table_id",
							  g->disks[i].table_id)) < 0) {
			json_decref(list);
			return NULL;
		}
	return list;
}

int journal_claim(struct journal *j, const struct guest *g, struct err *e)
{
	scoped(json_freep) json_t *now = json_of_disks(g);
	int r;

	if (!now)
		return err_set(e, ERR_SYS, ENOMEM, "journal");
	if (j->disks)
		return json_equal(j->disks, now)
			   ? 0
			   : err_refuse(
				 e, "state-of-other-disks", EEXIST,
				 "the state folder belongs to other disks (other sizes or other "
				 "partition tables); give --state another folder");
	r = append(j, json_pack("{s:s,s:i,s:O}", "rec", "disks", "version", 1, "disks", now), e);
	if (!r)
		j->disks = json_incref(now);
	return r;
}

/* ---- reading --------------------------------------------------------------------------------- */

static int text_of(const json_t *o, const char *key, char *ret, size_t size)
{
	const char *s = json_string_value(json_object_get(o, key));

	if (!s || strlen(s) >= size)
		return -1;
	memcpy(ret, s, strlen(s) + 1);
	return 0;
}

static int word_of(const json_t *o, const char *key, const char *const *words, size_t n)
{
	const char *s = json_string_value(json_object_get(o, key));

	for (size_t i = 0; s && i < n; i++)
		if (!strcmp(s, words[i]))
			return (int)i;
	return -1;
}

static int look_of(const json_t *o, const char *key, struct look *ret)
{
	const json_t *l = json_object_get(o, key);
	int is = word_of(l, "is", shape_words, 3);
	const char *hex = json_string_value(json_object_get(l, "sha256"));

	if (is < 0)
		return -1;
	ret->shape = (enum shape)is;
	if (ret->shape == SHAPE_ABSENT)
		return 0;
	ret->len = (uint64_t)json_integer_value(json_object_get(l, "len"));
	return hex ? digest_parse(hex, ret->sha256) : -1;
}

static int entry_of(const json_t *o, struct entry *x)
{
	const char *kind = json_string_value(json_object_get(o, "kind"));
	json_int_t tool = json_integer_value(json_object_get(o, "tool"));
	int act = 0;

	memset(x, 0, sizeof *x);
	while (act < N_ACTS && (!kind || strcmp(kind, act_word((enum act)act)) != 0))
		act++;
	if (act == N_ACTS || tool < 0 || tool > TOOL_GROW_XFS)
		return -1;
	x->kind = (enum act)act;
	x->seq = (uint64_t)json_integer_value(json_object_get(o, "seq"));
	x->disk = (unsigned)json_integer_value(json_object_get(o, "disk"));
	x->off = (uint64_t)json_integer_value(json_object_get(o, "off"));
	x->number = (unsigned)json_integer_value(json_object_get(o, "number"));
	x->tool = (enum tool)tool;
	x->kept = json_is_true(json_object_get(o, "kept"));
	if (text_of(o, "step", x->step, sizeof x->step) < 0 ||
	    text_of(o, "path", x->path, sizeof x->path) < 0 ||
	    text_of(o, "from", x->from, sizeof x->from) < 0 ||
	    text_of(o, "why", x->why, sizeof x->why) < 0 ||
	    text_of(o, "made", x->made, sizeof x->made) < 0)
		return -1;
	return look_of(o, "before", &x->before) < 0 ? -1 : look_of(o, "after", &x->after);
}

static int replay_record(struct journal *j, const json_t *o, struct err *e)
{
	const char *rec = json_string_value(json_object_get(o, "rec"));
	struct entry *slot;
	int state;

	if (rec && !strcmp(rec, "disks")) {
		if (json_integer_value(json_object_get(o, "version")) != 1)
			return err_set(e, ERR_WRONG_STATE, EPROTO,
				       "journal of another bootfix version");
		json_decref(j->disks);
		j->disks = json_incref(json_object_get(o, "disks"));
		return 0;
	}
	state = word_of(o, "rec", state_words, 4);
	if (state == ENTRY_STARTED) {
		slot = room_for_entry(j, e);
		if (!slot)
			return -ENOMEM;
		if (entry_of(o, slot) < 0 || slot->seq != j->n_entries + 1)
			return err_set(e, ERR_WRONG_STATE, EBADMSG,
				       "journal: a record makes no sense");
		j->n_entries++;
		return 0;
	}
	json_int_t seq = json_integer_value(json_object_get(o, "seq"));
	if (state < 0 || seq < 1 || (size_t)seq > j->n_entries)
		return err_set(e, ERR_WRONG_STATE, EBADMSG, "journal: a record makes no sense");
	j->entries[seq - 1].state = (enum entry_state)state;
	return 0;
}

/* The JSON of a sound line, or NULL. */
static json_t *sound_line(const char *line, size_t len)
{
	uint8_t sha256[DIGEST_LEN];
	char hex[DIGEST_HEX];

	if (len < DIGITS + 2 || line[DIGITS] != ' ')
		return NULL;
	digest_bytes(line + DIGITS + 1, len - DIGITS - 1, sha256);
	if (memcmp(digest_hex(sha256, hex), line, DIGITS) != 0)
		return NULL;
	return json_loadb(line + DIGITS + 1, len - DIGITS - 1, JSON_REJECT_DUPLICATES, NULL);
}

static int replay(struct journal *j, const char *text, size_t len, struct err *e)
{
	size_t good = 0;

	while (good < len) {
		const char *end = memchr(text + good, '\n', len - good);
		scoped(json_freep) json_t *o =
		    end ? sound_line(text + good, (size_t)(end - text) - good) : NULL;
		int r;

		if (!o && end && (size_t)(end - text) + 1 < len)
			return err_set(e, ERR_WRONG_STATE, EBADMSG,
				       "journal: damaged at byte %zu, with records after it", good);
		if (!o)
			break;
		r = replay_record(j, o, e);
		if (r < 0)
			return r;
		good = (size_t)(end - text) + 1;
	}
	if (good < len && (ftruncate(j->fd, (off_t)good) < 0 || fsync(j->fd) < 0))
		return err_set(e, ERR_SYS, errno, "cut the journal's torn end");
	return lseek(j->fd, 0, SEEK_END) < 0 ? err_set(e, ERR_SYS, errno, "journal") : 0;
}

static int load(struct journal *j, struct err *e)
{
	scoped(freep) char *text = NULL;
	size_t len = 0;
	struct stat st;

	if (fstat(j->fd, &st) < 0 || st.st_size > MAX_JOURNAL)
		return err_set(e, ERR_WRONG_STATE, EFBIG, "journal: too large");
	text = malloc((size_t)st.st_size + 1);
	if (!text)
		return err_set(e, ERR_SYS, ENOMEM, "journal");
	while (len < (size_t)st.st_size) {
		ssize_t n = read(j->fd, text + len, (size_t)st.st_size - len);

		if (n < 0)
			return err_set(e, ERR_SYS, errno, "read the journal");
		if (!n)
			break;
		len += (size_t)n;
	}
	return replay(j, text, len, e);
}

int journal_open(const char *dir, struct journal **ret, struct err *e)
{
	scoped(journal_closep) struct journal *j = calloc(1, sizeof *j);
	int r;

	if (!j)
		return err_set(e, ERR_SYS, ENOMEM, "journal");
	j->dirfd = j->undofd = j->fd = -1;
	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return err_set(e, ERR_SYS, errno, "state folder '%s'", dir);
	j->dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (j->dirfd < 0)
		return err_set(e, ERR_SYS, errno, "state folder '%s'", dir);
	if (mkdirat(j->dirfd, "undo", 0700) < 0 && errno != EEXIST)
		return err_set(e, ERR_SYS, errno, "'%s/undo'", dir);
	j->undofd = openat(j->dirfd, "undo", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	j->fd = openat(j->dirfd, NAME, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (j->undofd < 0 || j->fd < 0)
		return err_set(e, ERR_SYS, errno, "journal in '%s'", dir);
	if (flock(j->fd, LOCK_EX | LOCK_NB) < 0)
		return err_refuse(e, "state-busy", EBUSY, "another bootfix is using '%s'", dir);
	r = load(j, e);
	if (!r && fsync(j->dirfd) < 0)
		r = err_set(e, ERR_SYS, errno, "state folder '%s'", dir);
	if (r < 0)
		return r;
	*ret = take_ptr(&j);
	return 0;
}
