/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "edit.h"

#include "edit/cpio_out.h"
#include "edit/initramfs.h"
#include "edit/unpack.h"

#include <errno.h>
#include <stdio.h>

#define K "6.1.0-9-amd64"

static const char dep[] = "kernel/v/virtio.ko:\n"
			  "kernel/v/virtio_pci.ko: kernel/v/virtio.ko\n"
			  "kernel/b/virtio_blk.ko: kernel/v/virtio.ko\n"
			  "kernel/n/virtio_net.ko: kernel/v/virtio.ko\n"
			  "kernel/s/virtio_scsi.ko: kernel/v/virtio.ko\n";
static const char alias[] = "alias pci:v00001AF4d*sv*sd*bc*sc*i* virtio_pci\n"
			    "alias virtio:d00000002v* virtio_blk\n"
			    "alias virtio:d00000001v* virtio_net\n"
			    "alias virtio:d00000008v* virtio_scsi\n";
static const char builtin[] = "kernel/drivers/scsi/sd_mod.ko\n";

struct fixture {
	struct modules m;
	struct strlist wanted, lacking, missing, indexes;
	struct initramfs im;
	struct buf image;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	*state = f;
	if (modules_parse(dep, strlen(dep), builtin, strlen(builtin), &f->m, NULL) < 0 ||
	    strlist_add(&f->indexes, "modules.dep", NULL) < 0)
		return -1;
	return initramfs_wanted(&f->m, alias, strlen(alias), &f->wanted, &f->lacking, NULL);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	modules_free(&f->m);
	strlist_free(&f->wanted);
	strlist_free(&f->lacking);
	strlist_free(&f->missing);
	strlist_free(&f->indexes);
	initramfs_free(&f->im);
	buf_free(&f->image);
	free(f);
	return 0;
}

/* Looks again, from the start. */
static void look(struct fixture *f)
{
	struct err e = { 0 };

	initramfs_free(&f->im);
	strlist_free(&f->missing);
	if (initramfs_look(f->image.data, f->image.len, K, &f->im, &e) != 0)
		fail_msg("%s", e.text);
	assert_int_equal(initramfs_missing(&f->im, &f->wanted, &f->missing, NULL), 0);
}

/* An image of Debian's kind with the modules named, NULL at the end. */
static void make_image(struct fixture *f, const char *const *modules, bool lz4)
{
	struct buf b = { 0 };
	struct cpio_out c = { .out = &b };

	assert_int_equal(cpio_out_file(&c, "conf/initramfs.conf", 0644, "", 0, NULL), 0);
	assert_int_equal(
	    cpio_out_file(&c, "conf/conf.d/resume", 0644, "RESUME=/dev/sda2\n", 17, NULL), 0);
	assert_int_equal(cpio_out_file(&c, "usr/bin/udevadm", 0755, "x", 1, NULL), 0);
	for (; *modules; modules++) {
		char path[128];

		(void)snprintf(path, sizeof path, "usr/lib/modules/%s", *modules);
		assert_int_equal(cpio_out_file(&c, path, 0644, "m", 1, NULL), 0);
	}
	assert_int_equal(cpio_out_end(&c, NULL), 0);
	if (lz4) {
		assert_int_equal(pack_lz4(b.data, b.len, &f->image, NULL), 0);
		buf_free(&b);
	} else {
		f->image = b;
	}
}

static int read_file(void *ctx, const char *path, struct buf *ret, struct err *e)
{
	(void)ctx;
	return buf_add_str(ret, path, e);
}

static void append(struct fixture *f, const char *resume, bool free_lvm)
{
	struct initramfs_files files = { .version = K,
					 .indexes = &f->indexes,
					 .resume = resume,
					 .free_lvm = free_lvm,
					 .read = read_file };
	struct buf out = { 0 };

	assert_int_equal(
	    initramfs_supplement(&f->im, f->image.len, &f->m, &f->missing, &files, &out, NULL), 0);
	assert_int_equal(buf_add(&f->image, out.data, out.len, NULL), 0);
	buf_free(&out);
}

static void the_closure_of_the_target_s_hardware_is_wanted(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(f->wanted.n, 5);
	assert_string_equal(f->wanted.v[0], "virtio");
	assert_string_equal(f->wanted.v[1], "virtio_pci");
	assert_int_equal(f->lacking.n, 0);
	assert_false(strlist_has(&f->wanted, "sd_mod"));
}

static void a_kernel_without_virtio_says_what_it_lacks(void **state)
{
	struct strlist wanted = { 0 }, lacking = { 0 };
	struct modules m;

	(void)state;
	assert_int_equal(modules_parse("", 0, "", 0, &m, NULL), 0);
	assert_int_equal(initramfs_wanted(&m, "", 0, &wanted, &lacking, NULL), 0);
	assert_int_equal(wanted.n, 0);
	assert_true(strlist_has(&lacking, "virtio_pci"));
	assert_true(strlist_has(&lacking, "virtio_blk"));
	assert_int_equal(lacking.n, 5);
	strlist_free(&lacking);
}

static void only_what_is_missing_is_added_and_then_nothing_is(void **state)
{
	struct fixture *f = *state;
	const char *const has[] = { K "/kernel/v/virtio.ko", "5.10/kernel/v/virtio_pci.ko", NULL };
	size_t before;

	make_image(f, has, false);
	look(f);
	assert_int_equal(f->im.kind, INITRAMFS_TOOLS);
	assert_true(f->im.coldplug);
	assert_true(f->im.usr_lib);
	assert_false(f->im.marker);
	assert_false(f->im.other_kernel);
	assert_string_equal(f->im.resume, "/dev/sda2");
	assert_int_equal(f->missing.n, 4);
	assert_false(strlist_has(&f->missing, "virtio"));
	before = f->image.len;
	append(f, NULL, false);
	assert_true(f->image.len > before);
	look(f);
	assert_int_equal(f->missing.n, 0);
	assert_true(f->im.marker);
	assert_int_equal(f->im.image.n_members, 17 + 16);
}

static void modules_of_another_kernel_only_are_said_to_be_so(void **state)
{
	struct fixture *f = *state;
	const char *const has[] = { "5.10/kernel/v/virtio_pci.ko", NULL };

	make_image(f, has, false);
	look(f);
	assert_true(f->im.other_kernel);
}

static void an_lz4_image_stays_one_stream(void **state)
{
	struct fixture *f = *state;
	const char *const none[] = { NULL };

	make_image(f, none, true);
	look(f);
	assert_int_equal(f->im.image.last, CPIO_LZ4);
	append(f, NULL, false);
	look(f);
	assert_int_equal(f->im.image.last, CPIO_LZ4);
	assert_int_equal(f->im.image.n_segments, 1);
	assert_int_equal(f->missing.n, 0);
}

/* Whatever the length of the image, the archive behind it begins where the kernel looks. */
static void the_padding_fits_every_image(void **state)
{
	struct buf archive = { 0 };

	(void)state;
	assert_int_equal(buf_add_str(&archive, "0707", NULL), 0);
	for (size_t end = 100; end < 108; end++) {
		for (size_t nuls = 0; nuls < 8; nuls++) {
			for (int lz4 = 0; lz4 < 2; lz4++) {
				struct cpio_image im = { .end = end,
							 .last = lz4 ? CPIO_LZ4 : CPIO_GZIP };
				struct buf out = { 0 };

				if (lz4 && !nuls)
					continue;
				assert_int_equal(
				    initramfs_fit(&im, end + nuls, &archive, &out, NULL), 0);
				assert_int_equal((end + nuls + out.len - 4) % 4, 0);
				assert_true(out.len < 4 + 8);
				if (lz4)
					assert_true(nuls + out.len - 4 >= 4);
				else
					assert_true(out.len - 4 < 4);
				buf_free(&out);
			}
		}
	}
	buf_free(&archive);
}

static void the_last_resume_of_the_image_counts(void **state)
{
	struct fixture *f = *state;
	const char *const has[] = { K "/kernel/v/virtio.ko", NULL };

	make_image(f, has, false);
	look(f);
	append(f, "UUID=2", false);
	look(f);
	assert_string_equal(f->im.resume, "UUID=2");
	append(f, "", false);
	look(f);
	assert_string_equal(f->im.resume, "");
}

/* As dracut makes it with hostonly: the list comes along, and lvmlocal.conf if there is one. */
static void add_lvm_list(struct fixture *f, const char *local)
{
	struct buf b = { 0 };
	struct cpio_out c = { .out = &b };

	assert_int_equal(cpio_out_file(&c, "etc/lvm/devices/system.devices", 0644, "x", 1, NULL),
			 0);
	if (local)
		assert_int_equal(
		    cpio_out_file(&c, "etc/lvm/lvmlocal.conf", 0644, local, strlen(local), NULL),
		    0);
	assert_int_equal(cpio_out_end(&c, NULL), 0);
	assert_int_equal(buf_add(&f->image, b.data, b.len, NULL), 0);
	buf_free(&b);
}

static void a_list_of_lvm_s_devices_is_switched_off_once(void **state)
{
	struct fixture *f = *state;
	const char *const has[] = { K "/kernel/v/virtio.ko", NULL };

	make_image(f, has, false);
	look(f);
	assert_false(f->im.lvm_devices);
	add_lvm_list(f, NULL);
	look(f);
	assert_true(f->im.lvm_devices);
	assert_int_equal(f->im.lvm_local, LVM_LOCAL_NONE);
	append(f, NULL, true);
	look(f);
	assert_int_equal(f->im.lvm_local, LVM_LOCAL_OURS);
	assert_string_equal(f->im.resume, "/dev/sda2");
	assert_non_null(memmem(f->image.data, f->image.len, "\n\tuse_devicesfile=0\n", 20));
	add_lvm_list(f, "local { }\n");
	look(f);
	assert_int_equal(f->im.lvm_local, LVM_LOCAL_OTHER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_closure_of_the_target_s_hardware_is_wanted,
						setup, teardown),
		cmocka_unit_test(a_kernel_without_virtio_says_what_it_lacks),
		cmocka_unit_test_setup_teardown(only_what_is_missing_is_added_and_then_nothing_is,
						setup, teardown),
		cmocka_unit_test_setup_teardown(modules_of_another_kernel_only_are_said_to_be_so,
						setup, teardown),
		cmocka_unit_test_setup_teardown(an_lz4_image_stays_one_stream, setup, teardown),
		cmocka_unit_test(the_padding_fits_every_image),
		cmocka_unit_test_setup_teardown(the_last_resume_of_the_image_counts, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_list_of_lvm_s_devices_is_switched_off_once, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
