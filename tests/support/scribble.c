/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * scribble.c - writes to a file or a disk as different programs would; runs in a guest, static
 *
 * Use   scribble PATH OFF LEN HOW COUNT SEED   COUNT places of 4 KiB in [OFF, OFF + LEN) get new
 *                                              content: direct sync buffered mmap discard zeroes
 *       scribble DISK trace | untrace          a block trace of somebody else's, left running
 *       scribble DISK time COUNT               COUNT direct writes of 4 KiB: seconds, CPU seconds
 *       scribble FILE differ OTHER             numbers of the 4 KiB blocks that are not the same
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/blktrace_api.h>
#include <linux/fs.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096u

static uint64_t random_state;

static uint64_t next_random(void)
{
	random_state += UINT64_C(0x9e3779b97f4a7c15);
	uint64_t z = random_state;

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void fill(uint64_t *page)
{
	for (size_t i = 0; i < PAGE / sizeof *page; i++)
		page[i] = next_random();
}

static void write_place(int fd, const char *how, uint64_t off, uint64_t *page)
{
	uint64_t range[2] = { off, PAGE };
	void *map;

	if (!strcmp(how, "discard") || !strcmp(how, "zeroes")) {
		if (ioctl(fd, how[0] == 'd' ? BLKDISCARD : BLKZEROOUT, range))
			die(how);
		return;
	}
	fill(page);
	if (strcmp(how, "mmap") != 0) {
		if (pwrite(fd, page, PAGE, (off_t)off) != PAGE)
			die("write");
		return;
	}
	map = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)off);
	if (map == MAP_FAILED)
		die("mmap");
	memcpy(map, page, PAGE);
	(void)munmap(map, PAGE);
}

static int foreign_trace(int fd)
{
	struct blk_user_trace_setup s = { .act_mask = BLK_TC_WRITE,
					  .buf_size = 262144,
					  .buf_nr = 8 };

	if (ioctl(fd, BLKTRACESETUP, &s) || ioctl(fd, BLKTRACESTART))
		die("trace");
	return 0;
}

static double seconds(clockid_t clock)
{
	struct timespec t;

	(void)clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int time_writes(int fd, uint64_t *page, unsigned long count)
{
	double wall = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);

	for (unsigned long i = 0; i < count; i++)
		write_place(fd, "direct", next_random() % 2048 * PAGE, page);
	(void)printf("%.3f %.3f\n", seconds(CLOCK_MONOTONIC) - wall,
		     seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu);
	return 0;
}

static int differ(int fd, const char *other, void *page)
{
	void *there = aligned_alloc(PAGE, PAGE);
	int to = open(other, O_RDONLY | O_CLOEXEC);

	if (to < 0 || !there)
		die(other);
	for (uint64_t i = 0;; i++) {
		ssize_t n = read(fd, page, PAGE);

		if (n < 0 || read(to, there, PAGE) != n)
			die("read both");
		if (!n)
			return 0;
		if (memcmp(page, there, (size_t)n) != 0)
			(void)printf("%llu\n", (unsigned long long)i);
	}
}

int main(int argc, char **argv)
{
	uint64_t *page = aligned_alloc(PAGE, PAGE);

	if (argc < 3 || !page)
		return 2;
	if (argc == 4 && !strcmp(argv[2], "differ"))
		return differ(open(argv[1], O_RDONLY | O_CLOEXEC), argv[3], page);
	int direct = argc == 4 || (argc == 7 && !strcmp(argv[4], "direct")) ? O_DIRECT : 0;
	int fd = open(argv[1], O_RDWR | O_CLOEXEC | direct);
	if (fd < 0)
		die(argv[1]);
	if (!strcmp(argv[2], "trace"))
		return foreign_trace(fd);
	if (!strcmp(argv[2], "untrace"))
		return ioctl(fd, BLKTRACESTOP) | ioctl(fd, BLKTRACETEARDOWN) ? 1 : 0;
	if (argc == 4 && !strcmp(argv[2], "time"))
		return time_writes(fd, page, strtoul(argv[3], NULL, 10));
	if (argc != 7)
		return 2;
	uint64_t off = strtoull(argv[2], NULL, 10), pages = strtoull(argv[3], NULL, 10) / PAGE;
	random_state = strtoull(argv[6], NULL, 10);
	for (unsigned long i = 0; i < strtoul(argv[5], NULL, 10); i++) {
		write_place(fd, argv[4], off + next_random() % pages * PAGE, page);
		if (!strcmp(argv[4], "sync") && fsync(fd))
			die("fsync");
	}
	return 0;
}
