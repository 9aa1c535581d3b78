/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "machine_argv.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

enum { MAX_FACTS_IN_MACHINE = 64 << 10 };

void machine_argv_free(struct machine_argv *a)
{
	for (size_t i = 0; i < a->n; i++)
		free(a->argv[i]);
	memset(a, 0, sizeof *a);
}

static const char *machine_folder(const struct options *o)
{
	const char *env = getenv("TRANSIT_MACHINE");

	if (o->machine)
		return o->machine;
	return env && env[0] ? env : BOOTFIX_MACHINE_DIR;
}

int machine_argv_check(const struct options *o, struct err *e)
{
	static const char *const files[] = { "vmlinuz", "initrd.img" };
	const char *folder = machine_folder(o);
	char path[PATH_MAX];
	struct stat st;

	for (size_t i = 0; i < 2; i++) {
		(void)snprintf(path, sizeof path, "%.4000s/%s", folder, files[i]);
		if (stat(path, &st) < 0 || !S_ISREG(st.st_mode))
			return err_refuse(
			    e, "no-machine", ENOENT,
			    "'%.200s' is not there: image files are opened in a machine; "
			    "build it with appliance/build.sh DIR --program BOOTFIX and "
			    "set TRANSIT_MACHINE=DIR",
			    path);
	}
	return 0;
}

/* ---- arguments ---------------------------------------------------------------------------------
 */

static int add(struct machine_argv *a, struct err *e, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static int add(struct machine_argv *a, struct err *e, const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;
	int n;

	if (a->n >= MACHINE_ARGS)
		return err_set(e, ERR_USAGE, E2BIG, "too many disks for one machine");
	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0)
		return err_set(e, ERR_SYS, ENOMEM, "QEMU's command line");
	a->argv[a->n++] = text;
	return 0;
}

static int add_all(struct machine_argv *a, const char *const *words, struct err *e)
{
	int r = 0;

	for (; !r && *words; words++)
		r = add(a, e, "%s", *words);
	return r;
}

/* ${path} made absolute, its commas doubled. */
static int quoted_path(const char *path, char ret[static 2 * PATH_MAX], struct err *e)
{
	char absolute[PATH_MAX];
	size_t o = 0;

	if (!realpath(path, absolute))
		return err_set(e, ERR_SYS, errno, "'%s'", path);
	for (const char *p = absolute; *p; p++) {
		ret[o++] = *p;
		if (*p == ',')
			ret[o++] = ',';
	}
	ret[o] = 0;
	return 0;
}

static const struct facts_disk *facts_of(const struct facts *f, size_t n)
{
	for (size_t i = 0; i < f->n_disks; i++)
		if (f->disks[i].moved && f->disks[i].n == n)
			return &f->disks[i];
	return NULL;
}

static int add_disk(struct machine_argv *a, const char *path, const char *serial, bool readonly,
		    uint32_t sector, struct err *e)
{
	char quoted[2 * PATH_MAX];
	int r = quoted_path(path, quoted, e);

	if (!r)
		r = add(a, e, "-drive");
	if (!r)
		r = add(a, e, "if=none,id=%s,format=raw,cache=writeback,readonly=%s,file=%s",
			serial, readonly ? "on" : "off", quoted);
	if (!r)
		r = add(a, e, "-device");
	/* What fails here must fail in there: QEMU would else stop the machine and wait for us. */
	if (!r)
		r = add(a, e,
			"virtio-blk-pci,drive=%s,serial=%s,logical_block_size=%u,"
			"physical_block_size=%u,rerror=report,werror=report",
			serial, serial, sector, sector);
	return r;
}

static int add_disks(struct machine_argv *a, const struct options *o, const struct facts *f,
		     const char *state, struct err *e)
{
	bool readonly = o->command != CMD_APPLY && o->command != CMD_UNDO;
	scoped(buf_free) struct buf names = { 0 };
	int r = 0;

	for (size_t i = 0; !r && i < o->n_disks; i++) {
		const struct facts_disk *d = facts_of(f, i);
		char serial[32];

		(void)snprintf(serial, sizeof serial, "disk%zu", i);
		r = add_disk(a, o->disks[i], serial, readonly, d ? d->logical_sector : 512, e);
		if (!r && i)
			r = buf_add_str(&names, " ", e);
		if (!r)
			r = buf_add_str(&names, serial, e);
	}
	if (!r && state[0])
		r = add_disk(a, state, "state", false, 512, e);
	if (!r && state[0])
		r = buf_add_str(&names, " state", e);
	if (!r)
		r = add(a, e, "-fw_cfg");
	return r < 0 ? r : add(a, e, "name=opt/transit/disks,string=%s", (const char *)names.data);
}

static int add_kernel(struct machine_argv *a, const struct options *o, struct err *e)
{
	char path[PATH_MAX], absolute[PATH_MAX];
	static const char *const files[][2] = { { "-kernel", "vmlinuz" },
						{ "-initrd", "initrd.img" } };
	int r = 0;

	for (size_t i = 0; !r && i < 2; i++) {
		(void)snprintf(path, sizeof path, "%.4000s/%s", machine_folder(o), files[i][1]);
		if (!realpath(path, absolute))
			return err_set(e, ERR_SYS, errno, "'%s'", path);
		r = add(a, e, "%s", files[i][0]);
		if (!r)
			r = add(a, e, "%s", absolute);
	}
	return r;
}

static int add_ports(struct machine_argv *a, struct err *e)
{
	static const char *const ports[] = { "out", "log", "exit" };
	int r = 0;

	for (size_t i = 0; !r && i < 3; i++) {
		r = add(a, e, "-chardev");
		if (!r)
			r = add(a, e, "file,id=%s,path=%s", ports[i], ports[i]);
		if (!r)
			r = add(a, e, "-device");
		if (!r)
			r = add(a, e, "virtserialport,chardev=%s,name=transit.%s", ports[i],
				ports[i]);
	}
	return r;
}

/* ---- the job ------------------------------------------------------------------------------------
 */

static int job_word(struct buf *job, struct err *e, const char *word)
{
	return buf_add(job, word, strlen(word) + 1, e);
}

static int job_pair(struct buf *job, struct err *e, const char *option, const char *value)
{
	int r = job_word(job, e, option);

	return r < 0 ? r : job_word(job, e, value);
}

static int make_job(const struct options *o, const char *state, struct buf *job, struct err *e)
{
	static const char *const firmware[] = { "keep", "bios", "uefi" };
	static const char *const selinux[] = { "disable", "permissive", "keep" };
	static const char *const network[] = { "keep", "dhcp" };
	char disk[48];
	int r = job_pair(job, e, "bootfix", command_word(o->command));

	for (size_t i = 0; !r && i < o->n_disks; i++) {
		(void)snprintf(disk, sizeof disk, "/dev/transit/disk%zu", i);
		r = job_word(job, e, disk);
	}
	for (size_t i = 0; !r && i < o->n_skip; i++)
		r = job_pair(job, e, "--skip", o->skip[i]);
	if (!r)
		r = job_pair(job, e, "--firmware", firmware[o->wishes.firmware]);
	if (!r)
		r = job_pair(job, e, "--selinux", selinux[o->wishes.selinux]);
	if (!r)
		r = job_pair(job, e, "--network", network[o->wishes.network]);
	if (!r && o->wishes.grow)
		r = job_word(job, e, "--grow");
	if (!r && o->facts)
		r = job_pair(job, e, "--facts", "facts.json");
	if (!r && o->step)
		r = job_pair(job, e, "--step", o->step);
	if (!r && state[0])
		r = job_pair(job, e, "--state", "/state/bootfix");
	return r < 0 ? r : job_word(job, e, "--json");
}

static int write_file(const char *work, const char *name, const void *data, size_t len,
		      struct err *e)
{
	char path[PATH_MAX];

	(void)snprintf(path, sizeof path, "%.4000s/%s", work, name);
	scoped(fclosep) FILE *f = fopen(path, "wxe");
	if (!f || (len && fwrite(data, len, 1, f) != 1) || fflush(f) < 0)
		return err_set(e, ERR_SYS, errno, "'%s'", path);
	return 0;
}

static int copy_facts(const char *from, const char *work, struct err *e)
{
	scoped(fclosep) FILE *f = fopen(from, "re");
	scoped(freep) char *text = malloc(MAX_FACTS_IN_MACHINE + 1);
	size_t len = f && text ? fread(text, 1, MAX_FACTS_IN_MACHINE + 1, f) : 0;

	if (!f || !text || ferror(f))
		return err_set(e, ERR_SYS, errno, "facts '%s'", from);
	/* The machine's kernel reads such files byte by byte. */
	if (len > MAX_FACTS_IN_MACHINE)
		return err_set(e, ERR_USAGE, EFBIG, "facts '%s': more than 64 KiB", from);
	return write_file(work, "facts.json", text, len, e);
}

static int add_job(struct machine_argv *a, const struct options *o, const char *work,
		   const char *state, struct err *e)
{
	scoped(buf_free) struct buf job = { 0 };
	int r = make_job(o, state, &job, e);

	if (!r)
		r = write_file(work, "job", job.data, job.len, e);
	if (!r)
		r = add(a, e, "-fw_cfg");
	if (!r)
		r = add(a, e, "name=opt/transit/job,file=job");
	if (r < 0 || !o->facts)
		return r;
	r = copy_facts(o->facts, work, e);
	if (!r)
		r = add(a, e, "-fw_cfg");
	return r < 0 ? r : add(a, e, "name=opt/transit/files/facts.json,file=facts.json");
}

int machine_argv_make(struct machine_argv *a, const struct options *o, const struct facts *f,
		      const char *work, const char *state, struct err *e)
{
	static const char *const fixed[] = {
		"-m",
		"768",
		/* bootfix has one thread, and an emulated second processor may lose its timer */
		"-smp",
		"1",
		"-nodefaults",
		"-no-user-config",
		"-display",
		"none",
		"-no-reboot",
		"-nic",
		"none",
		"-serial",
		"file:console",
		"-append",
		"console=ttyS0 quiet panic=-1",
		"-device",
		"virtio-serial-pci",
		NULL,
	};
	const char *accel = getenv("TRANSIT_ACCEL");
	bool kvm = accel && !strcmp(accel, "kvm");
	int r = add(a, e, "qemu-system-x86_64");

	if (!r)
		r = add(a, e, "-accel");
	if (!r)
		r = add(a, e, kvm ? "kvm" : "tcg,thread=multi");
	if (!r)
		r = add(a, e, "-cpu");
	if (!r)
		r = add(a, e, kvm ? "host" : "max");
	if (!r)
		r = add_all(a, fixed, e);
	if (!r)
		r = add_kernel(a, o, e);
	if (!r)
		r = add_ports(a, e);
	if (!r)
		r = add_disks(a, o, f, state, e);
	return r < 0 ? r : add_job(a, o, work, state, e);
}
