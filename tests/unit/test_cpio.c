/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "edit.h"

#include "edit/cpio.h"
#include "edit/cpio_out.h"
#include "edit/unpack.h"

#include <errno.h>
#include <lzma.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

struct seen {
	char text[4096]; /* "name mode size\n" and the content of regular files in brackets */
	int stop_with;
};

static int on_member(void *ctx, const struct cpio_member *m, struct err *e)
{
	struct seen *s = ctx;
	size_t n = strlen(s->text);

	(void)e;
	(void)snprintf(s->text + n, sizeof s->text - n, "%.200s %o %u\n", m->name, m->mode,
		       m->size);
	return s->stop_with ? s->stop_with : S_ISREG(m->mode);
}

static int on_data(void *ctx, const uint8_t *data, size_t len, struct err *e)
{
	struct seen *s = ctx;
	size_t n = strlen(s->text);

	(void)e;
	(void)snprintf(s->text + n, sizeof s->text - n, "[%.*s]", (int)(len < 100 ? len : 100),
		       (const char *)data);
	return 0;
}

static const struct cpio_ops ops = { on_member, on_data };

static struct buf archive(const char *path, const char *content)
{
	struct buf b = { 0 };
	struct cpio_out c = { .out = &b };

	assert_int_equal(cpio_out_file(&c, path, 0644, content, strlen(content), NULL), 0);
	assert_int_equal(cpio_out_end(&c, NULL), 0);
	return b;
}

static struct buf gzip(const struct buf *in)
{
	struct buf out = { .data = malloc(in->len + 1000) };
	z_stream z = { 0 };

	assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
	z.next_in = in->data;
	z.avail_in = (uInt)in->len;
	z.next_out = out.data;
	z.avail_out = (uInt)in->len + 1000;
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	out.len = z.total_out;
	deflateEnd(&z);
	return out;
}

static struct buf xz(const struct buf *in, bool alone)
{
	struct buf out = { .data = malloc(in->len + 1000) };
	lzma_stream s = LZMA_STREAM_INIT;
	lzma_options_lzma o;

	lzma_lzma_preset(&o, 0);
	assert_int_equal(alone ? lzma_alone_encoder(&s, &o)
			       : lzma_easy_encoder(&s, 0, LZMA_CHECK_CRC32),
			 LZMA_OK);
	s.next_in = in->data;
	s.avail_in = in->len;
	s.next_out = out.data;
	s.avail_out = in->len + 1000;
	assert_int_equal(lzma_code(&s, LZMA_FINISH), LZMA_STREAM_END);
	out.len = s.total_out;
	lzma_end(&s);
	return out;
}

static struct buf packed(enum cpio_packing p, const struct buf *in)
{
	struct buf out = { 0 };

	if (p == CPIO_GZIP)
		return gzip(in);
	if (p == CPIO_XZ || p == CPIO_LZMA)
		return xz(in, p == CPIO_LZMA);
	if (p == CPIO_ZSTD) {
		out.data = malloc(ZSTD_compressBound(in->len));
		out.len =
		    ZSTD_compress(out.data, ZSTD_compressBound(in->len), in->data, in->len, 3);
	} else if (p == CPIO_LZ4) {
		assert_int_equal(pack_lz4(in->data, in->len, &out, NULL), 0);
	} else {
		assert_int_equal(buf_add(&out, in->data, in->len, NULL), 0);
	}
	return out;
}

static void a_written_archive_reads_back(void **state)
{
	struct buf b = archive("usr/lib/x.ko", "hello");
	struct cpio_image im;
	struct seen s = { 0 };

	(void)state;
	assert_int_equal(cpio_walk(b.data, b.len, &ops, &s, &im, NULL), 0);
	assert_string_equal(s.text, "usr 40755 0\nusr/lib 40755 0\nusr/lib/x.ko 100644 5\n[hello]");
	assert_int_equal(im.n_members, 3);
	assert_int_equal(im.n_segments, 1);
	assert_int_equal(im.last, CPIO_PLAIN);
	assert_int_equal(b.len % 4, 0);
	buf_free(&b);
}

static void the_same_input_gives_the_same_bytes(void **state)
{
	struct buf a = archive("a/b", "x"), b = archive("a/b", "x");

	(void)state;
	assert_int_equal(a.len, b.len);
	assert_memory_equal(a.data, b.data, a.len);
	buf_free(&a);
	buf_free(&b);
}

/* A second witness reads what we write. */
static void cpio_the_program_agrees(void **state)
{
	struct buf b = archive("usr/lib/x.ko", "hello");
	char name[] = "/tmp/test-cpio-XXXXXX", command[200], line[100];
	int fd = mkstemp(name);
	FILE *f;

	(void)state;
	/* NOLINTNEXTLINE(cert-env33-c): a fixed command */
	if (system("command -v cpio >/dev/null 2>&1") != 0) {
		close(fd);
		unlink(name);
		buf_free(&b);
		skip();
	}
	assert_int_equal(write(fd, b.data, b.len), (ssize_t)b.len);
	(void)snprintf(command, sizeof command, "cpio -it --quiet < %s 2>&1 | tr '\\n' ' '", name);
	/* NOLINTNEXTLINE(cert-env33-c): the name is mkstemp's */
	f = popen(command, "r");
	assert_non_null(f);
	assert_non_null(fgets(line, sizeof line, f));
	assert_string_equal(line, "usr usr/lib usr/lib/x.ko ");
	(void)pclose(f);
	close(fd);
	unlink(name);
	buf_free(&b);
}

static void each_packing_is_read_behind_an_early_archive(void **state)
{
	(void)state;
	for (int p = CPIO_PLAIN; p <= CPIO_LZ4; p++) {
		struct buf early = archive("kernel/microcode", "m"),
			   main = archive("bin/init", "i");
		struct buf body = packed((enum cpio_packing)p, &main), img = { 0 };
		struct cpio_image im;
		struct seen s = { 0 };
		struct err e = { 0 };

		assert_int_equal(buf_add(&img, early.data, early.len, NULL), 0);
		assert_int_equal(buf_add(&img, "\0\0\0\0\0\0\0\0", 8, NULL), 0);
		assert_int_equal(buf_add(&img, body.data, body.len, NULL), 0);
		size_t end = img.len;
		assert_int_equal(buf_add(&img, "\0\0\0\0\0\0\0", 7, NULL), 0);
		if (cpio_walk(img.data, img.len, &ops, &s, &im, &e) != 0)
			fail_msg("%s: %s", cpio_packing_word((enum cpio_packing)p), e.text);
		assert_string_equal(s.text, "kernel 40755 0\nkernel/microcode 100644 1\n[m]"
					    "bin 40755 0\nbin/init 100644 1\n[i]");
		assert_int_equal(im.last, p);
		if (p != CPIO_PLAIN)
			assert_int_equal(im.end, end);
		buf_free(&early);
		buf_free(&main);
		buf_free(&body);
		buf_free(&img);
	}
}

static void an_image_cut_anywhere_is_refused_or_shorter(void **state)
{
	struct buf main = archive("bin/init", "0123456789");

	(void)state;
	for (int p = CPIO_PLAIN; p <= CPIO_LZ4; p++) {
		struct buf body = packed((enum cpio_packing)p, &main);

		for (size_t n = 0; n + 1 < body.len; n++) {
			struct cpio_image im = { 0 };
			struct seen s = { 0 };
			struct err e = { 0 };
			/* Its own allocation, so that reading past it is seen. */
			uint8_t *cut = malloc(n ? n : 1);
			memcpy(cut, body.data, n);
			int r = cpio_walk(cut, n, &ops, &s, &im, &e);

			if (r == 0)
				assert_true(im.end <= n && im.n_members <= 2);
			else
				assert_int_equal(e.kind, ERR_GUEST);
			free(cut);
		}
		buf_free(&body);
	}
	buf_free(&main);
}

static void an_archive_off_the_multiple_of_4_is_refused(void **state)
{
	struct buf b = archive("a", "x"), img = { 0 };
	struct cpio_image im;
	struct seen s = { 0 };

	(void)state;
	assert_int_equal(buf_add(&img, "\0\0", 2, NULL), 0);
	assert_int_equal(buf_add(&img, b.data, b.len, NULL), 0);
	assert_int_equal(cpio_walk(img.data, img.len, &ops, &s, &im, NULL), -EBADMSG);
	buf_free(&b);
	buf_free(&img);
}

static void unknown_content_is_named_so(void **state)
{
	struct buf b = archive("a", "x");
	struct cpio_image im;
	struct seen s = { 0 };

	(void)state;
	assert_int_equal(buf_add(&b, "BZh9", 4, NULL), 0);
	assert_int_equal(cpio_walk(b.data, b.len, &ops, &s, &im, NULL), -ENOTSUP);
	assert_int_equal(cpio_walk((const uint8_t *)"\0\0\0\0", 4, &ops, &s, &im, NULL), -EBADMSG);
	buf_free(&b);
}

static void a_callback_s_error_rises(void **state)
{
	struct buf b = archive("a", "x");
	struct cpio_image im;
	struct seen s = { .stop_with = -ECANCELED };

	(void)state;
	assert_int_equal(cpio_walk(b.data, b.len, &ops, &s, &im, NULL), -ECANCELED);
	buf_free(&b);
}

static void a_bomb_stops_at_one_gibibyte(void **state)
{
	struct buf zeros = { 0 }, bomb = { 0 };
	struct cpio_image im;
	struct seen s = { 0 };
	char head[111];

	(void)state;
	(void)snprintf(head, sizeof head,
		       "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X", 0, 0100644, 0,
		       0, 1, 0, 0xfffffff0U, 0, 0, 0, 0, 2, 0);
	assert_int_equal(buf_add(&zeros, head, 110, NULL), 0);
	assert_int_equal(buf_add(&zeros, "b\0", 2, NULL), 0);
	bomb.len = 8 << 20;
	bomb.data = calloc(1, bomb.len);
	assert_int_equal(buf_add(&zeros, bomb.data, bomb.len - 112, NULL), 0);
	buf_free(&bomb);
	for (int i = 0; i < 140; i++) {
		assert_int_equal(pack_lz4(zeros.data, zeros.len, &bomb, NULL), 0);
		if (!i)
			memset(zeros.data, 0, 112);
	}
	assert_true(bomb.len < 8 << 20);
	assert_int_equal(cpio_walk(bomb.data, bomb.len, &(struct cpio_ops){ 0 }, &s, &im, NULL),
			 -E2BIG);
	buf_free(&bomb);
	buf_free(&zeros);
}

static void paths_that_leave_the_tree_are_not_written(void **state)
{
	static const char *const bad[] = { "", "/a", "a/", "a//b", "../a", "a/../b", "./a", "a/." };
	struct buf b = { 0 };
	struct cpio_out c = { .out = &b };

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(cpio_out_file(&c, bad[i], 0644, "x", 1, NULL), -EINVAL);
	assert_int_equal(b.len, 0);
	strlist_free(&c.dirs);
}

static void a_flipped_byte_never_crashes(void **state)
{
	struct buf main = archive("usr/lib/modules/x", "0123456789abcdef");
	uint64_t seed = 6;

	(void)state;
	for (int p = CPIO_PLAIN; p <= CPIO_LZ4; p++) {
		struct buf body = packed((enum cpio_packing)p, &main);
		uint8_t *copy = malloc(body.len);

		for (int round = 0; round < 500; round++) {
			struct cpio_image im;
			struct seen s = { 0 };

			memcpy(copy, body.data, body.len);
			for (uint32_t i = 0; i <= noise(&seed) % 3; i++)
				copy[noise(&seed) % body.len] ^= (uint8_t)(1U << noise(&seed) % 8);
			(void)cpio_walk(copy, body.len, &ops, &s, &im, NULL);
		}
		free(copy);
		buf_free(&body);
	}
	buf_free(&main);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_written_archive_reads_back),
		cmocka_unit_test(the_same_input_gives_the_same_bytes),
		cmocka_unit_test(cpio_the_program_agrees),
		cmocka_unit_test(each_packing_is_read_behind_an_early_archive),
		cmocka_unit_test(an_image_cut_anywhere_is_refused_or_shorter),
		cmocka_unit_test(an_archive_off_the_multiple_of_4_is_refused),
		cmocka_unit_test(unknown_content_is_named_so),
		cmocka_unit_test(a_callback_s_error_rises),
		cmocka_unit_test(a_bomb_stops_at_one_gibibyte),
		cmocka_unit_test(paths_that_leave_the_tree_are_not_written),
		cmocka_unit_test(a_flipped_byte_never_crashes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
