/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Regular files and loop devices are the disks here; the refusals that need partitions, LVM or
 * swap are tried on a made-up sysfs and made-up kernel tables.
 */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "device.h"
#include "device_internal.h"
#include "ioq.h"

#define DISK_LEN (8 * MIB)

struct fixture {
	char dir[64];
	char disk[96];
	struct device *d;
	int loop_fd;
	char loop[32];
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	if (!f)
		return -1;
	f->loop_fd = -1;
	(void)snprintf(f->dir, sizeof f->dir, "/var/tmp/transit-device-XXXXXX");
	if (!mkdtemp(f->dir))
		return -1;
	(void)snprintf(f->disk, sizeof f->disk, "%s/disk", f->dir);
	int fd = open(f->disk, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, DISK_LEN) < 0)
		return -1;
	(void)close(fd);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	char cmd[128];

	device_close(f->d);
	if (f->loop_fd >= 0) {
		(void)ioctl(f->loop_fd, LOOP_CLR_FD, 0);
		(void)close(f->loop_fd);
	}
	(void)snprintf(cmd, sizeof cmd, "rm -rf '%s'", f->dir);
	int r = system(cmd); /* NOLINT(cert-env33-c): a test's own folder */
	free(f);
	return r;
}

static void put_file(const char *dir, const char *name, const char *text)
{
	char path[512];

	(void)snprintf(path, sizeof path, "%s/%s", dir, name);
	for (char *p = path + 1; (p = strchr(p, '/')); p++) {
		*p = 0;
		(void)mkdir(path, 0700);
		*p = '/';
	}
	FILE *f = fopen(path, "we");
	assert_non_null(f);
	(void)fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

static void poke(struct fixture *f, uint64_t off, const char *bytes, size_t len)
{
	int fd = open(f->disk, O_RDWR | O_CLOEXEC);

	assert_int_equal(pwrite(fd, bytes, len, (off_t)off), len);
	(void)close(fd);
}

static void open_disk(struct fixture *f)
{
	struct err e = { 0 };

	if (device_open(f->disk, &f->d, &e))
		fail_msg("%s", e.text);
}

static void refused(int r, const struct err *e, const char *name)
{
	if (r >= 0 || e->kind != ERR_REFUSED || !e->name || strcmp(e->name, name) != 0)
		fail_msg("expected %s: %d, %s '%s'", name, r, e->name ? e->name : "-", e->text);
}

static bool attach_loop(struct fixture *f)
{
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	int n = control < 0 ? -1 : ioctl(control, LOOP_CTL_GET_FREE);

	if (control >= 0)
		(void)close(control);
	if (n < 0)
		return false;
	(void)snprintf(f->loop, sizeof f->loop, "/dev/loop%d", n);
	int fd = open(f->disk, O_RDWR | O_CLOEXEC);
	f->loop_fd = open(f->loop, O_RDWR | O_CLOEXEC);
	bool ok = fd >= 0 && f->loop_fd >= 0 && ioctl(f->loop_fd, LOOP_SET_FD, fd) == 0;
	if (fd >= 0)
		(void)close(fd);
	return ok;
}

static void what_is_written_is_read_back_from_the_device(void **state)
{
	struct fixture *f = *state;
	scoped(freep) uint8_t *in = malloc(300000);
	scoped(freep) uint8_t *out = malloc(300000);

	for (size_t i = 0; i < 300000; i++)
		in[i] = (uint8_t)(i * 31 + i / 251);
	open_disk(f);
	/* aligned, unaligned, and up to the very end */
	static const uint64_t offs[] = { 0, 4096, 777, DISK_LEN - 300000 };
	for (size_t i = 0; i < sizeof offs / sizeof *offs; i++) {
		assert_int_equal(device_write(f->d, in, 300000, offs[i], NULL), 0);
		assert_int_equal(device_flush(f->d, NULL), 0);
		memset(out, 0, 300000);
		assert_int_equal(device_reread(f->d, out, 300000, offs[i], NULL), 0);
		assert_memory_equal(in, out, 300000);
	}
}

static void nothing_is_touched_past_the_end(void **state)
{
	struct fixture *f = *state;
	uint8_t b[4096] = { 1 };
	struct err e = { 0 };

	open_disk(f);
	assert_int_equal(device_write(f->d, b, 4096, DISK_LEN - 4095, &e), -ERANGE);
	assert_int_equal(e.kind, ERR_DISK);
	assert_int_equal(device_write(f->d, b, 1, UINT64_MAX, NULL), -ERANGE);
	assert_int_equal(device_zero(f->d, DISK_LEN, 1, NULL), -ERANGE);
	assert_int_equal(device_zero(f->d, 4096, UINT64_MAX, NULL), -ERANGE);
	assert_int_equal(device_reread(f->d, b, 4096, DISK_LEN - 4095, NULL), -ERANGE);
	struct stat st;
	assert_int_equal(stat(f->disk, &st), 0);
	assert_true((uint64_t)st.st_size == DISK_LEN && st.st_blocks == 0);
}

static void zeroing_makes_holes_and_leaves_holes_alone(void **state)
{
	struct fixture *f = *state;
	scoped(freep) uint8_t *b = malloc(MIB);
	struct stat st;

	memset(b, 0xaa, MIB);
	open_disk(f);
	assert_int_equal(device_zero(f->d, 0, DISK_LEN, NULL), 0);
	assert_true(device_hole(f->d, 0) == DISK_LEN);
	assert_int_equal(device_write(f->d, b, MIB, MIB, NULL), 0);
	assert_true(device_hole(f->d, 0) == MIB);
	assert_true(device_hole(f->d, MIB) == 0);
	assert_int_equal(device_zero(f->d, MIB + 4096, 100000, NULL), 0);
	assert_int_equal(device_flush(f->d, NULL), 0);
	assert_int_equal(device_reread(f->d, b, MIB, MIB, NULL), 0);
	for (size_t i = 0; i < MIB; i++)
		assert_int_equal(b[i], i < 4096 || i >= 104096 ? 0xaa : 0);
	assert_int_equal(stat(f->disk, &st), 0);
	assert_true(st.st_blocks * 512 < (blkcnt_t)MIB);
}

static void a_failed_flush_is_final(void **state)
{
	struct fixture *f = *state;
	uint8_t b[512] = { 5 };
	struct err e = { 0 };

	open_disk(f);
	assert_int_equal(device_fault_wrap(&f->d, "flush:2:EIO", &e), 0);
	assert_int_equal(device_flush(f->d, &e), 0);
	assert_int_equal(device_write(f->d, b, sizeof b, 0, &e), 0);
	assert_int_equal(device_flush(f->d, &e), -EIO);
	assert_int_equal(e.kind, ERR_DISK);
	assert_non_null(strstr(e.text, f->disk));
	/* the next flush of the kernel would succeed, and lie */
	assert_int_equal(device_flush(f->d, NULL), -EIO);
	assert_int_equal(device_write(f->d, b, sizeof b, 0, NULL), -EIO);
	assert_int_equal(device_zero(f->d, 0, 512, NULL), -EIO);
}

static void faults_come_at_the_call_they_name(void **state)
{
	struct fixture *f = *state;
	uint8_t b[512] = { 1 }, out[512];

	open_disk(f);
	assert_int_equal(
	    device_fault_wrap(&f->d, "write:3:ENOSPC,zero:1:EIO,reread:2:flip,write:4:short", NULL),
	    0);
	assert_int_equal(device_write(f->d, b, 512, 0, NULL), 0);
	assert_int_equal(device_write(f->d, b, 512, 512, NULL), 0);
	assert_int_equal(device_write(f->d, b, 512, 1024, NULL), -ENOSPC);
	memset(b, 9, sizeof b);
	assert_int_equal(device_write(f->d, b, 512, 1024, NULL), -EIO);
	assert_int_equal(device_reread(f->d, out, 512, 1024, NULL), 0);
	assert_int_equal(out[255], 9);
	assert_int_equal(out[256], 0);
	assert_int_equal(device_reread(f->d, out, 512, 1024, NULL), 0);
	assert_int_equal(out[256], 1);
	assert_int_equal(device_zero(f->d, 0, 512, NULL), -EIO);
	assert_int_equal(device_zero(f->d, 0, 512, NULL), 0);
}

static void a_delay_comes_at_each_call_and_does_not_hide_other_faults(void **state)
{
	struct fixture *f = *state;
	uint8_t b[512] = { 1 };
	struct timespec from, to;

	open_disk(f);
	assert_int_equal(
	    device_fault_wrap(&f->d, "write:*:delay=60ms,write:2:EIO,flush:*:EIO", NULL), 0);
	(void)clock_gettime(CLOCK_MONOTONIC, &from);
	assert_int_equal(device_write(f->d, b, 512, 0, NULL), 0);
	assert_int_equal(device_write(f->d, b, 512, 0, NULL), -EIO);
	assert_int_equal(device_write(f->d, b, 512, 0, NULL), 0);
	(void)clock_gettime(CLOCK_MONOTONIC, &to);
	assert_true((to.tv_sec - from.tv_sec) * 1000 + (to.tv_nsec - from.tv_nsec) / 1000000 >=
		    180);
	assert_int_equal(device_flush(f->d, NULL), -EIO);
}

static void a_kill_fault_stops_the_process_in_mid_write(void **state)
{
	struct fixture *f = *state;
	uint8_t b[512];
	int status;

	memset(b, 7, sizeof b);
	pid_t pid = fork();
	if (!pid) {
		struct device *d = NULL;

		if (device_open(f->disk, &d, NULL) || device_fault_wrap(&d, "write:1:kill", NULL))
			_exit(9);
		(void)device_write(d, b, 512, 0, NULL);
		_exit(8);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	open_disk(f);
	assert_int_equal(device_reread(f->d, b, 512, 0, NULL), 0);
	assert_int_equal(b[255], 7);
	assert_int_equal(b[256], 0);
}

static void a_fault_that_makes_no_sense_is_refused(void **state)
{
	struct fixture *f = *state;
	static const char *const bad[] = { "write",
					   "write:0:EIO",
					   "write:1",
					   "write:1:",
					   "seek:1:EIO",
					   "write:x:EIO",
					   "write:1:EIOX",
					   "write:*:",
					   "write:*:delay=",
					   "write:*:delay=0ms",
					   "write:*:delay=9",
					   "write:*:delay=9s",
					   "write:*:delay=60001ms" };

	open_disk(f);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(device_fault_wrap(&f->d, bad[i], NULL), -EINVAL);
}

static void what_lies_on_a_disk_is_named(void **state)
{
	struct fixture *f = *state;
	const char *what = NULL;

	assert_int_equal(device_is_blank(f->disk, &what, NULL), 1);
	assert_string_equal(what, "blank");
	poke(f, DISK_LEN - 1, "x", 1);
	assert_int_equal(device_is_blank(f->disk, &what, NULL), 0);
	assert_string_equal(what, "data");
	poke(f, DISK_LEN - 512, "EFI PART", 8);
	assert_int_equal(device_is_blank(f->disk, &what, NULL), 0);
	assert_string_equal(what, "GPT");
	poke(f, 510, "\x55\xaa", 2);
	(void)device_is_blank(f->disk, &what, NULL);
	assert_string_equal(what, "MBR");
	poke(f, 0x438, "\x53\xef", 2);
	(void)device_is_blank(f->disk, &what, NULL);
	assert_string_equal(what, "ext4");
	poke(f, 512, "LABELONE", 8);
	(void)device_is_blank(f->disk, &what, NULL);
	assert_string_equal(what, "LVM");
	poke(f, 512, "EFI PART", 8);
	(void)device_is_blank(f->disk, &what, NULL);
	assert_string_equal(what, "GPT");
}

static void one_byte_in_the_middle_of_an_edge_is_not_blank(void **state)
{
	struct fixture *f = *state;
	const char *what;

	poke(f, MIB - 1, "\1", 1);
	assert_int_equal(device_is_blank(f->disk, &what, NULL), 0);
	assert_string_equal(what, "data");
}

static void files_are_described_by_what_does_not_change(void **state)
{
	struct fixture *f = *state;
	struct device_info info, again;

	assert_int_equal(device_describe(f->disk, &info, NULL), 0);
	assert_int_equal(info.kind, DEVICE_FILE);
	assert_true(info.size == DISK_LEN);
	assert_int_equal(strncmp(info.serial, "file-", 5), 0);
	char moved[128];
	(void)snprintf(moved, sizeof moved, "%s/renamed", f->dir);
	assert_int_equal(rename(f->disk, moved), 0);
	assert_int_equal(device_describe(moved, &again, NULL), 0);
	assert_string_equal(info.serial, again.serial);
}

static void what_is_not_a_disk_is_refused_by_name(void **state)
{
	struct fixture *f = *state;
	struct err e = { 0 };

	refused(device_open("/var/tmp/no/such/disk", &f->d, &e), &e, "disk-missing");
	err_clear(&e);
	refused(device_open(f->dir, &f->d, &e), &e, "disk-not-regular");
	err_clear(&e);
	refused(device_open("/dev/null", &f->d, &e), &e, "disk-not-regular");
	err_clear(&e);
	refused(device_describe("/dev/zero", &(struct device_info){ 0 }, &e), &e,
		"disk-not-regular");
	err_clear(&e);
	assert_int_equal(chmod(f->disk, 0400), 0);
	refused(device_open(f->disk, &f->d, &e), &e, "disk-read-only");
}

static void a_disk_is_opened_once(void **state)
{
	struct fixture *f = *state;
	struct device *second = NULL;
	struct err e = { 0 };

	open_disk(f);
	refused(device_open(f->disk, &second, &e), &e, "disk-in-use");
	err_clear(&e);
	refused(device_check_usable(f->disk, &e), &e, "disk-in-use");
	device_close(f->d);
	f->d = NULL;
	assert_int_equal(device_check_usable(f->disk, NULL), 0);
	open_disk(f);
}

static void a_file_behind_a_loop_device_is_in_use(void **state)
{
	struct fixture *f = *state;
	struct err e = { 0 };

	if (!attach_loop(f))
		skip();
	refused(device_open(f->disk, &f->d, &e), &e, "disk-in-use");
	assert_non_null(strstr(e.text, f->loop));
	err_clear(&e);
	refused(device_check_usable(f->disk, &e), &e, "disk-in-use");
}

static void a_loop_device_is_a_disk_like_another(void **state)
{
	struct fixture *f = *state;
	scoped(freep) uint8_t *b = malloc(MIB);
	struct device *second = NULL;
	struct err e = { 0 };

	if (!attach_loop(f))
		skip();
	if (device_open(f->loop, &f->d, &e))
		fail_msg("%s", e.text);
	assert_int_equal(f->d->info.kind, DEVICE_BLOCK);
	assert_true(f->d->info.size == DISK_LEN);
	refused(device_open(f->loop, &second, &e), &e, "disk-in-use");
	memset(b, 3, MIB);
	assert_int_equal(device_write(f->d, b, MIB, 0, NULL), 0);
	assert_int_equal(device_zero(f->d, 4096, 8192, NULL), 0);
	assert_int_equal(device_flush(f->d, NULL), 0);
	assert_int_equal(device_reread(f->d, b, MIB, 0, NULL), 0);
	assert_int_equal(b[4095], 3);
	assert_true(all_zero(b + 4096, 8192));
	assert_int_equal(b[12288], 3);
}

/* Submits, waits, and says what it came to. */
static int queued(struct ioq *q, struct device_io io, enum device_way way)
{
	struct ioq_done done = { 0 };

	assert_int_equal(device_way(&io), way);
	if (device_start(q, &io))
		return device_finish(&io, io.res, NULL);
	assert_true(ioq_wait(q, &done) && done.tag == (uintptr_t)&io);
	return device_finish(&io, done.res, NULL);
}

/* Whole pages go past the page cache; a last block that is not one goes through it. */
static void a_loop_device_is_written_by_a_queue(void **state)
{
	struct fixture *f = *state;
	void *b = NULL;

	if (!attach_loop(f))
		skip();
	assert_int_equal(device_open(f->loop, &f->d, NULL), 0);
	assert_int_equal(posix_memalign(&b, 4096, MIB), 0);
	for (enum ioq_backend k = IOQ_URING; k <= IOQ_THREADS; k++) {
		struct device_io io = { .device = f->d, .from = b, .to = b, .len = MIB };
		struct ioq *q;

		if (ioq_new(k, 4, &q, NULL) < 0)
			continue;
		memset(b, (int)k + 10, MIB);
		assert_int_equal(queued(q, io, DEVICE_BY_OP), 0);
		io.off = DISK_LEN - 512;
		io.len = 512;
		assert_int_equal(queued(q, io, DEVICE_BY_OP), 0);
		io.call = DEVICE_FLUSH;
		assert_int_equal(queued(q, io, DEVICE_BY_OP), 0);
		memset(b, 0, MIB);
		io.call = DEVICE_REREAD;
		assert_int_equal(queued(q, io, DEVICE_BY_CALL), 0);
		assert_int_equal(((uint8_t *)b)[511], (int)k + 10);
		io.off = 0;
		io.len = MIB;
		assert_int_equal(queued(q, io, DEVICE_BY_OP), 0);
		assert_int_equal(((uint8_t *)b)[MIB - 1], (int)k + 10);
		io.call = DEVICE_ZERO;
		assert_int_equal(queued(q, io, DEVICE_BY_CALL), 0);
		io.call = DEVICE_REREAD;
		assert_int_equal(queued(q, io, DEVICE_BY_OP), 0);
		assert_true(all_zero(b, MIB));
		io.off = DISK_LEN;
		assert_int_equal(queued(q, io, DEVICE_AT_ONCE), -ERANGE);
		ioq_free(q);
	}
	free(b);
}

static void a_mounted_loop_device_and_its_file_are_refused(void **state)
{
	struct fixture *f = *state;
	char cmd[200], point[96];
	struct err e = { 0 };

	(void)snprintf(point, sizeof point, "%s/mnt", f->dir);
	(void)snprintf(cmd, sizeof cmd, "mkfs.ext4 -q '%s' >/dev/null 2>&1", f->disk);
	assert_int_equal(mkdir(point, 0700), 0);
	if (system(cmd) != 0 || !attach_loop(f)) /* NOLINT(cert-env33-c) */
		skip();
	if (mount(f->loop, point, "ext4", 0, NULL) < 0)
		skip();
	int r = device_open(f->loop, &f->d, &e), r2 = 0;
	struct err e2 = { 0 };
	r2 = device_open(f->disk, &f->d, &e2);
	(void)umount(point);
	refused(r, &e, "disk-mounted");
	assert_non_null(strstr(e.text, point));
	refused(r2, &e2, "disk-in-use");
}

/* A made-up machine: vda (254:0) with vda1 and vda2; vda2 held by dm-0 (253:0). */
struct machine {
	char mountinfo[128], swaps[128], sys[128], cls[128];
	struct device_facts facts;
};

static void make_machine(struct fixture *f, struct machine *m)
{
	(void)snprintf(m->mountinfo, sizeof m->mountinfo, "%s/mountinfo", f->dir);
	(void)snprintf(m->swaps, sizeof m->swaps, "%s/swaps", f->dir);
	(void)snprintf(m->sys, sizeof m->sys, "%s/sys", f->dir);
	(void)snprintf(m->cls, sizeof m->cls, "%s/class", f->dir);
	m->facts = (struct device_facts){ m->mountinfo, m->swaps, m->sys, m->cls };
	put_file(f->dir, "mountinfo", "22 27 0:21 / /proc rw - proc proc rw\n");
	put_file(f->dir, "swaps", "Filename\t\t\t\tType\n");
	put_file(f->dir, "sys/254:0/ro", "0\n");
	put_file(f->dir, "sys/254:0/serial", " disk 7\xc3 \n");
	put_file(f->dir, "sys/254:0/queue/logical_block_size", "4096\n");
	put_file(f->dir, "sys/254:0/vda1/partition", "1\n");
	put_file(f->dir, "sys/254:0/vda1/dev", "254:1\n");
	put_file(f->dir, "sys/254:0/vda2/partition", "2\n");
	put_file(f->dir, "sys/254:0/vda2/dev", "254:2\n");
	put_file(f->dir, "sys/254:1/partition", "1\n");
	put_file(f->dir, "class/vda/size", "1\n");
}

static int check_vda(const struct machine *m, struct err *e)
{
	err_clear(e);
	return device_check_block(&m->facts, "/dev/vda", makedev(254, 0), e);
}

static void a_disk_whose_partition_is_mounted_is_refused(void **state)
{
	struct fixture *f = *state;
	struct machine m;
	struct err e = { 0 };

	make_machine(f, &m);
	assert_int_equal(check_vda(&m, &e), 0);
	put_file(f->dir, "mountinfo",
		 "30 1 254:1 / /srv/a\\040b rw shared:1 master:2 - ext4 /dev/vda1 rw\n");
	refused(check_vda(&m, &e), &e, "disk-mounted");
	assert_non_null(strstr(e.text, "/srv/a b"));
	put_file(f->dir, "mountinfo", "27 1 254:2 / / rw - ext4 /dev/vda2 rw\n");
	refused(check_vda(&m, &e), &e, "disk-is-own");
	put_file(f->dir, "mountinfo", "27 1 254:16 / / rw - ext4 /dev/vdb rw\n");
	assert_int_equal(check_vda(&m, &e), 0);
}

static void what_stands_on_a_disk_keeps_it_in_use(void **state)
{
	struct fixture *f = *state;
	struct machine m;
	struct err e = { 0 };

	make_machine(f, &m);
	put_file(f->dir, "sys/254:0/vda2/holders/dm-0/dev", "253:0\n");
	refused(check_vda(&m, &e), &e, "disk-in-use");
	assert_non_null(strstr(e.text, "dm-0"));
	/* two storeys up: LVM on a partition, mounted */
	put_file(f->dir, "mountinfo", "30 1 253:0 / /var rw - xfs /dev/mapper/vg-var rw\n");
	refused(check_vda(&m, &e), &e, "disk-mounted");
	put_file(f->dir, "mountinfo", "27 1 253:0 / / rw - xfs /dev/mapper/vg-root rw\n");
	refused(check_vda(&m, &e), &e, "disk-is-own");
}

static void partitions_and_read_only_disks_are_refused(void **state)
{
	struct fixture *f = *state;
	struct machine m;
	struct err e = { 0 };

	make_machine(f, &m);
	refused(device_check_block(&m.facts, "/dev/vda1", makedev(254, 1), &e), &e,
		"disk-is-partition");
	put_file(f->dir, "sys/254:0/ro", "1\n");
	refused(check_vda(&m, &e), &e, "disk-read-only");
}

static void a_swap_file_and_a_loop_file_are_in_use(void **state)
{
	struct fixture *f = *state;
	struct machine m;
	struct stat st;
	struct err e = { 0 };
	char text[256];

	make_machine(f, &m);
	assert_int_equal(stat(f->disk, &st), 0);
	assert_int_equal(device_check_file(&m.facts, f->disk, &st, &e), 0);
	(void)snprintf(text, sizeof text, "Filename Type\n%s file 8 0 -2\n", f->disk);
	put_file(f->dir, "swaps", text);
	refused(device_check_file(&m.facts, f->disk, &st, &e), &e, "disk-in-use");
	put_file(f->dir, "swaps", "Filename Type\n");
	(void)snprintf(text, sizeof text, "%s\n", f->disk);
	put_file(f->dir, "class/loop7/loop/backing_file", text);
	err_clear(&e);
	refused(device_check_file(&m.facts, f->disk, &st, &e), &e, "disk-in-use");
	assert_non_null(strstr(e.text, "loop7"));
}

static void serials_are_made_printable(void **state)
{
	struct fixture *f = *state;
	struct machine m;
	struct device_info info = { 0 };

	make_machine(f, &m);
	device_sysfs_describe(&m.facts, makedev(254, 0), &info);
	assert_string_equal(info.serial, "disk_7_");
	assert_int_equal(info.logical_sector, 4096);
	assert_int_equal(info.physical_sector, 4096);
	put_file(f->dir, "sys/254:0/device/vpd_pg80", "12345 SCSI-9  ");
	device_sysfs_describe(&m.facts, makedev(254, 0), &info);
	assert_string_equal(info.serial, "5_SCSI-9");
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(what_is_written_is_read_back_from_the_device),
		T(nothing_is_touched_past_the_end),
		T(zeroing_makes_holes_and_leaves_holes_alone),
		T(a_failed_flush_is_final),
		T(faults_come_at_the_call_they_name),
		T(a_delay_comes_at_each_call_and_does_not_hide_other_faults),
		T(a_kill_fault_stops_the_process_in_mid_write),
		T(a_fault_that_makes_no_sense_is_refused),
		T(what_lies_on_a_disk_is_named),
		T(one_byte_in_the_middle_of_an_edge_is_not_blank),
		T(files_are_described_by_what_does_not_change),
		T(what_is_not_a_disk_is_refused_by_name),
		T(a_disk_is_opened_once),
		T(a_file_behind_a_loop_device_is_in_use),
		T(a_loop_device_is_a_disk_like_another),
		T(a_loop_device_is_written_by_a_queue),
		T(a_mounted_loop_device_and_its_file_are_refused),
		T(a_disk_whose_partition_is_mounted_is_refused),
		T(what_stands_on_a_disk_keeps_it_in_use),
		T(partitions_and_read_only_disks_are_refused),
		T(a_swap_file_and_a_loop_file_are_in_use),
		T(serials_are_made_printable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
