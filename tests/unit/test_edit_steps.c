/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The editing steps on whole trees. golden/edit/CASE/in is a guest, CASE/out holds exactly the
 * files that change, as they must be after. TRANSIT_GOLDEN_WRITE=1 writes out/ anew: then read the
 * difference.
 */
#include "edit.h"

#include "edit/cpio_out.h"
#include "guest.h"
#include "inspect.h"
#include "plan.h"
#include "steps/edit-steps.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define UUID_ROOT "11111111-1111-4111-8111-111111111111"
#define UUID_SWAP "22222222-2222-4222-8222-222222222222"
#define UUID_DATA "33333333-3333-4333-8333-333333333333"

/* ---- a guest: sda and sdb came along as vda and vdb, sdc did not ----------------------------- */

static void add_disk(struct facts *f, const char *name, int n, const char *link_a,
		     const char *link_b)
{
	struct facts_disk *d = &f->disks[f->n_disks++];

	(void)snprintf(d->name, sizeof d->name, "%s", name);
	d->moved = n >= 0;
	d->n = n >= 0 ? (unsigned)n : 0;
	d->links[d->n_links++] = strdup(link_a);
	if (link_b)
		d->links[d->n_links++] = strdup(link_b);
}

static void add_nic(struct facts *f, const char *name, const char *mac, const char *target)
{
	struct facts_nic *n = &f->nics[f->n_nics++];

	(void)snprintf(n->name, sizeof n->name, "%s", name);
	(void)snprintf(n->mac, sizeof n->mac, "%s", mac);
	(void)snprintf(n->target_mac, sizeof n->target_mac, "%s", target);
}

static void add_vol(struct guest *g, unsigned disk, unsigned number, enum vol_kind kind,
		    const char *type, const char *uuid)
{
	struct vol *v = &g->vols[g->n_vols++];

	v->disk = disk;
	v->number = number;
	v->kind = kind;
	(void)snprintf(v->type, sizeof v->type, "%s", type);
	(void)snprintf(v->uuid, sizeof v->uuid, "%s", uuid);
	(void)snprintf(v->partuuid, sizeof v->partuuid, "abcd%04u-%02u", disk, number);
}

static void make_facts(struct facts *f)
{
	f->given = true;
	f->disks = calloc(3, sizeof *f->disks);
	f->nics = calloc(2, sizeof *f->nics);
	add_disk(f, "sda", 0, "/dev/disk/by-id/ata-ROOT", NULL);
	add_disk(f, "sdb", 1, "/dev/disk/by-id/ata-DATA",
		 "/dev/disk/by-path/pci-0000:00:1f.2-ata-2");
	add_disk(f, "sdc", -1, "/dev/disk/by-id/usb-GONE", NULL);
	add_nic(f, "eth0", "00:0c:29:aa:bb:cc", "52:54:00:00:00:01");
	add_nic(f, "ens192", "00:0c:29:aa:bb:cd", "");
}

static void make_disks(struct guest *g)
{
	g->n_disks = 2;
	g->disks = calloc(2, sizeof *g->disks);
	g->vols = calloc(8, sizeof *g->vols);
	for (unsigned i = 0; i < 2; i++) {
		g->disks[i] = (struct disk){ .n = i, .fd = -1, .logical_sector = 512 };
		(void)snprintf(g->disks[i].target_name, 32, "vd%c", (int)('a' + i));
	}
	g->disks[0].boot_code = true;
	add_vol(g, 0, 1, VOL_FS, "ext4", UUID_ROOT);
	add_vol(g, 0, 2, VOL_SWAP, "swap", UUID_SWAP);
	add_vol(g, 0, 3, VOL_EMPTY, "", "");
	add_vol(g, 1, 1, VOL_FS, "xfs", UUID_DATA);
	(void)snprintf(g->vols[3].label, sizeof g->vols[3].label, "data");
}

static void open_guest(struct guest *g, const char *dir, bool facts)
{
	int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct err e = { 0 };

	memset(g, 0, sizeof *g);
	g->root_vol = g->loader.boot_disk = g->loader.esp = g->rootfd = -1;
	if (fd < 0)
		fail_msg("no %s", dir);
	if (guest_open_tree(g, fd, &e) < 0)
		fail_msg("%s", e.text);
	close(fd);
	make_disks(g);
	if (facts)
		make_facts(&g->facts);
	if (inspect_tree(g, &e) < 0)
		fail_msg("%s", e.text);
}

static const struct step *const text_steps[] = {
	&step_leftovers, &step_crypttab, &step_fstab, &step_cmdline, &step_network,
	&step_cloudinit, &step_console,  &step_tools, &step_debconf, &step_selinux,
};

static void plan_steps(const struct guest *g, const struct step *const *list, size_t n,
		       struct plan *p)
{
	plan_init(p, g);
	for (size_t i = 0; i < n; i++) {
		struct err e = { 0 };

		if (list[i]->applies && !list[i]->applies(g))
			continue;
		if (list[i]->plan(g, p, &e) < 0)
			fail_msg("%s: %s", list[i]->name, e.text);
	}
}

static void plan_texts(const struct guest *g, struct plan *p)
{
	plan_steps(g, text_steps, sizeof text_steps / sizeof text_steps[0], p);
}

static bool found(const struct plan *p, const char *step, enum level level, const char *words)
{
	for (size_t i = 0; i < p->n_findings; i++)
		if (!strcmp(p->findings[i].step, step) && p->findings[i].level == level &&
		    strstr(p->findings[i].why, words))
			return true;
	return false;
}

/* ---- trees on this machine ------------------------------------------------------------------- */

static bool slurp(const char *path, struct buf *ret)
{
	FILE *f = fopen(path, "rb");
	char piece[4096];
	size_t n;

	if (!f)
		return false;
	while ((n = fread(piece, 1, sizeof piece, f)) > 0)
		assert_int_equal(buf_add(ret, piece, n, NULL), 0);
	(void)fclose(f);
	return true;
}

static void spill(const char *dir, const char *path, const void *data, size_t len, const char *mode)
{
	char full[2048];
	FILE *f;

	(void)snprintf(full, sizeof full, "%s%s", dir, path);
	for (char *p = strchr(full + 1, '/'); p; p = strchr(p + 1, '/')) {
		*p = 0;
		(void)mkdir(full, 0755);
		*p = '/';
	}
	f = fopen(full, mode);
	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

static void put_link(const char *dir, const char *path, const char *text)
{
	char full[2048];

	spill(dir, path, "", 0, "wb");
	(void)snprintf(full, sizeof full, "%s%s", dir, path);
	assert_int_equal(remove(full), 0);
	assert_int_equal(symlink(text, full), 0);
}

/* The entry itself, out of the guest ${g}: a link stays a link. */
static void put_renamed(const struct guest *g, const struct action *a, const char *dir)
{
	struct buf data = { 0 };
	char text[256], old[2048];

	if (!guest_readlink(g, a->from, text, sizeof text, NULL)) {
		put_link(dir, a->path, text);
	} else {
		assert_int_equal(guest_read(g, a->from, MAX_TEXT_FILE, &data, NULL), 0);
		spill(dir, a->path, data.data, data.len, "wb");
		buf_free(&data);
	}
	(void)snprintf(old, sizeof old, "%s%s", dir, a->from);
	(void)remove(old);
}

/* What exec.c would do, without its care. */
static void act(const struct plan *p, const char *dir)
{
	for (size_t i = 0; i < p->n_actions; i++) {
		const struct action *a = &p->actions[i];

		assert_true(a->kind == A_WRITE || a->kind == A_APPEND || a->kind == A_LINK ||
			    a->kind == A_RENAME);
		if (a->kind == A_LINK)
			put_link(dir, a->path, a->from);
		else if (a->kind == A_RENAME)
			put_renamed(p->guest, a, dir);
		else
			spill(dir, a->path, a->data.data, a->data.len,
			      a->kind == A_WRITE ? "wb" : "ab");
	}
}

static unsigned n_files;

static int count_file(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)path;
	(void)st;
	(void)at;
	n_files += type == FTW_F || type == FTW_SL;
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path);
}

static void copy_tree(const char *from, char *ret, size_t size)
{
	char command[2200];

	(void)snprintf(ret, size, "/tmp/test-edit-XXXXXX");
	assert_non_null(mkdtemp(ret));
	(void)snprintf(command, sizeof command, "cp -a '%s/.' '%s'", from, ret);
	/* NOLINTNEXTLINE(cert-env33-c): both names are the test's own */
	assert_int_equal(system(command), 0);
}

static void remove_tree(const char *dir)
{
	(void)nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* ---- golden ---------------------------------------------------------------------------------- */

/* True when ${a} makes a link, and then it is the one that ${full} is. */
static bool same_link(const struct plan *p, const struct action *a, const char *full)
{
	char moved[256], want[256] = "";
	const char *text = a->from;

	if (a->kind == A_RENAME && !guest_readlink(p->guest, a->from, moved, sizeof moved, NULL))
		text = moved;
	else if (a->kind != A_LINK)
		return false;
	if (readlink(full, want, sizeof want - 1) < 0)
		fail_msg("%s becomes a link and must not", a->path);
	assert_string_equal(text, want);
	return true;
}

static void compare(const struct plan *p, const char *out)
{
	struct buf planned = { 0 }, want = { 0 };
	char path[2048];
	unsigned n = 0;

	for (size_t i = 0; i < p->n_actions; i++) {
		bool again = false;

		for (size_t j = 0; j < i; j++)
			again |= !strcmp(p->actions[i].path, p->actions[j].path);
		n += !again;
		(void)snprintf(path, sizeof path, "%s%s", out, p->actions[i].path);
		if (same_link(p, &p->actions[i], path))
			continue;
		if (!slurp(path, &want))
			fail_msg("%s changes and must not", p->actions[i].path);
		assert_int_equal(plan_read(p, p->actions[i].path, MAX_CONFIG_FILE, &planned, NULL),
				 0);
		if (planned.len != want.len ||
		    (want.len && memcmp(planned.data, want.data, want.len) != 0))
			fail_msg("%s:\n%s\nmust be\n%s", p->actions[i].path, planned.data,
				 want.data);
		buf_free(&planned);
		buf_free(&want);
	}
	n_files = 0;
	(void)nftw(out, count_file, 16, FTW_PHYS);
	assert_int_equal(n, n_files);
}

/* Every file that changes, as it is after the last action on it. */
static void write_golden(const struct plan *p, const char *out)
{
	struct buf planned = { 0 };

	remove_tree(out);
	for (size_t i = 0; i < p->n_actions; i++) {
		const char *path = p->actions[i].path;

		assert_int_equal(plan_read(p, path, MAX_CONFIG_FILE, &planned, NULL), 0);
		spill(out, path, planned.data, planned.len, "wb");
		buf_free(&planned);
	}
}

static void run_case(const char *name)
{
	char in[1024], out[1024], tree[64];
	struct guest g;
	struct plan p;

	(void)snprintf(in, sizeof in, TESTS_DIR "/golden/edit/%s/in", name);
	(void)snprintf(out, sizeof out, TESTS_DIR "/golden/edit/%s/out", name);
	copy_tree(in, tree, sizeof tree);
	open_guest(&g, tree, true);
	plan_texts(&g, &p);
	if (getenv("TRANSIT_GOLDEN_WRITE"))
		write_golden(&p, out);
	compare(&p, out);
	act(&p, tree);
	plan_free(&p);
	guest_free(&g);

	/* Twice is once: the second look at the changed guest finds nothing to do. */
	open_guest(&g, tree, true);
	plan_texts(&g, &p);
	if (p.n_actions)
		fail_msg("a second plan is not empty: %s %s", p.actions[0].step, p.actions[0].path);
	plan_free(&p);
	guest_free(&g);
	remove_tree(tree);
}

static void a_debian_guest_changes_as_written_down(void **state)
{
	(void)state;
	run_case("debian-bios");
}

static void a_rhel_9_guest_changes_as_written_down(void **state)
{
	(void)state;
	run_case("rhel9-bls");
}

static void a_rhel_6_guest_changes_as_written_down(void **state)
{
	(void)state;
	run_case("rhel6-legacy");
}

static void a_centos_5_guest_changes_as_written_down(void **state)
{
	(void)state;
	run_case("centos5-modprobe");
}

static void a_sles_11_guest_changes_as_written_down(void **state)
{
	(void)state;
	run_case("sles11-legacy");
}

static void a_rhel_8_guest_changes_as_written_down(void **state)
{
	(void)state;
	run_case("rhel8-kernelopts");
}

static void a_centos_7_guest_changes_as_written_down(void **state)
{
	(void)state;
	run_case("centos7-lvm");
}

static void an_alpine_guest_changes_as_written_down(void **state)
{
	(void)state;
	run_case("alpine-extlinux");
}

static void an_arch_guest_changes_as_written_down(void **state)
{
	(void)state;
	run_case("arch-sdboot");
}

static void an_ubuntu_18_04_guest_keeps_what_is_stable(void **state)
{
	(void)state;
	run_case("ubuntu1804-uuid");
}

static void an_amazon_linux_2_guest_keeps_what_is_stable(void **state)
{
	(void)state;
	run_case("amzn2-uuid");
}

static void an_ubuntu_cloud_guest_changes_as_written_down(void **state)
{
	(void)state;
	run_case("ubuntu22-cloud");
}

static void a_rhel_8_guest_of_vmware_changes_as_written_down(void **state)
{
	(void)state;
	run_case("rhel8-vmware");
}

static void a_centos_6_guest_of_xen_changes_as_written_down(void **state)
{
	(void)state;
	run_case("centos6-xen");
}

static void a_sles_12_guest_of_hyper_v_changes_as_written_down(void **state)
{
	(void)state;
	run_case("sles12-hyperv");
}

/* ---- what the findings say ------------------------------------------------------------------- */

static void what_is_left_alone_is_said(void **state)
{
	struct guest g;
	struct plan p;

	(void)state;
	open_guest(&g, TESTS_DIR "/golden/edit/debian-bios/in", true);
	plan_texts(&g, &p);
	assert_true(found(&p, "fstab", LEVEL_WARN, "a second root, after line 4"));
	assert_true(found(&p, "fstab", LEVEL_WARN, "'/dev/sdc1' for /usb is on none"));
	assert_true(found(&p, "crypttab", LEVEL_WARN, "formats '/dev/sdc3' at every boot"));
	assert_true(found(&p, "crypttab", LEVEL_WARN, "TPM"));
	plan_free(&p);
	guest_free(&g);
}

static void leftovers_that_need_a_person_are_said(void **state)
{
	struct guest g;
	struct plan p;

	(void)state;
	open_guest(&g, TESTS_DIR "/golden/edit/centos7-lvm/in", true);
	plan_texts(&g, &p);
	assert_true(found(&p, "leftovers", LEVEL_WARN, "line 10: a filter by names of the source"));
	assert_true(found(&p, "leftovers", LEVEL_WARN, "line 13: a filter rejects disks"));
	assert_true(found(&p, "leftovers", LEVEL_WARN, "line 7: an array is known by names"));
	plan_free(&p);
	guest_free(&g);
	open_guest(&g, TESTS_DIR "/golden/edit/sles11-legacy/in", true);
	plan_texts(&g, &p);
	assert_true(found(&p, "leftovers", LEVEL_WARN, "1 lines name disks of the source by wwid"));
	plan_free(&p);
	guest_free(&g);
	open_guest(&g, TESTS_DIR "/golden/edit/rhel6-legacy/in", true);
	plan_texts(&g, &p);
	assert_true(found(&p, "leftovers", LEVEL_WARN, "no kernel here has the module virtio_blk"));
	plan_free(&p);
	guest_free(&g);
}

static void a_list_saved_before_is_not_overwritten(void **state)
{
	const struct step *const list[] = { &step_leftovers };
	char tree[64];
	struct guest g;
	struct plan p;

	(void)state;
	copy_tree(TESTS_DIR "/golden/edit/rhel9-bls/in", tree, sizeof tree);
	spill(tree, "/etc/lvm/devices/system.devices.bootfix-saved", "x", 1, "wb");
	open_guest(&g, tree, true);
	plan_steps(&g, list, 1, &p);
	assert_int_equal(p.n_actions, 0);
	assert_true(found(&p, "leftovers", LEVEL_WARN, "is there from an earlier run"));
	plan_free(&p);
	guest_free(&g);
	remove_tree(tree);
}

static void filters_that_let_the_target_through_stay(void **state)
{
	static const struct {
		const char *filter;
		size_t n_actions;
	} cases[] = {
		{ "filter = [ \"a|^/dev/sda2$|\", \"r|.*|\" ]", 1 },
		{ "filter = [ \"a|sd[ab]|\", \"r/.*/\" ]", 1 },
		{ "filter = [ \"a|^/dev/(sda|sdb)|\", \"r/.*/\" ]", 1 },
		{ "filter = [ \"a|/dev/vda2|\", \"r/.*/\" ]", 1 },
		{ "filter = [ \"r/.*/\", \"a|/dev/vd|\", \"a|/dev/sda|\" ]", 1 },
		{ "filter = [ \"a|/dev/vd[a-z]|\", \"a|/dev/sda|\", \"r/.*/\" ]", 0 },
		{ "filter = [ \"a|.*|\", \"a|/dev/sda|\", \"r/.*/\" ]", 0 },
		{ "filter = [ \"a|/dev/sda|\" ]", 0 },
		{ "filter = [ \"a|/dev/mapper/luks-.*|\", \"r/.*/\" ]", 0 },
		{ "filter = [ \"a|/dev/disk/by-id/dm-uuid-LVM-x|\", \"r/.*/\" ]", 0 },
	};
	const struct step *const list[] = { &step_leftovers };
	char tree[64];

	(void)state;
	copy_tree(TESTS_DIR "/golden/edit/debian-bios/in", tree, sizeof tree);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct guest g;
		struct plan p;

		spill(tree, "/etc/lvm/lvmlocal.conf", cases[i].filter, strlen(cases[i].filter),
		      "wb");
		open_guest(&g, tree, true);
		plan_steps(&g, list, 1, &p);
		if (p.n_actions != cases[i].n_actions)
			fail_msg("%zu actions for %s", p.n_actions, cases[i].filter);
		plan_free(&p);
		guest_free(&g);
	}
	remove_tree(tree);
}

static void a_grubenv_of_an_odd_length_is_left_alone_and_said(void **state)
{
	const char *env = "# GRUB Environment Block\nkernelopts=root=/dev/sda1\n####";
	char tree[64];
	struct guest g;
	struct plan p;

	(void)state;
	copy_tree(TESTS_DIR "/golden/edit/rhel8-kernelopts/in", tree, sizeof tree);
	spill(tree, "/boot/grub2/grubenv", env, strlen(env), "wb");
	open_guest(&g, tree, true);
	plan_texts(&g, &p);
	assert_true(found(&p, "cmdline", LEVEL_WARN, "no environment block"));
	for (size_t i = 0; i < p.n_actions; i++)
		assert_string_not_equal(p.actions[i].path, "/boot/grub2/grubenv");
	plan_free(&p);
	guest_free(&g);
	remove_tree(tree);
}

static void a_guess_is_said_and_never_used_to_format(void **state)
{
	struct guest g;
	struct plan p;
	struct buf text = { 0 };

	(void)state;
	open_guest(&g, TESTS_DIR "/golden/edit/debian-bios/in", false);
	plan_texts(&g, &p);
	assert_true(found(&p, "fstab", LEVEL_WARN, "by the order of the disks"));
	assert_int_equal(plan_read(&p, "/etc/crypttab", MAX_TEXT_FILE, &text, NULL), 0);
	assert_non_null(strstr((char *)text.data, "\n# cswap /dev/sda3 /dev/urandom swap"));
	assert_int_equal(plan_read(&p, "/etc/fstab", MAX_TEXT_FILE, (buf_free(&text), &text), NULL),
			 0);
	assert_non_null(strstr((char *)text.data, "\nUUID=" UUID_ROOT "       /  "));
	buf_free(&text);
	plan_free(&p);
	guest_free(&g);
}

static void a_root_on_a_disk_that_stayed_behind_blocks(void **state)
{
	char tree[64];
	struct guest g;
	struct plan p;

	(void)state;
	copy_tree(TESTS_DIR "/golden/edit/debian-bios/in", tree, sizeof tree);
	spill(tree, "/etc/fstab", "/dev/sdc1 / ext4 defaults 0 1\n", 30, "wb");
	open_guest(&g, tree, true);
	plan_texts(&g, &p);
	assert_true(found(&p, "fstab", LEVEL_BLOCKED, "/ is on '/dev/sdc1'"));
	plan_free(&p);
	guest_free(&g);
	remove_tree(tree);
}

static void with_volumes_out_of_sight_no_uuid_is_called_gone(void **state)
{
	struct guest g;
	struct plan p;
	struct buf text = { 0 };

	(void)state;
	open_guest(&g, TESTS_DIR "/golden/edit/debian-bios/in", true);
	add_vol(&g, 1, 2, VOL_LUKS, "crypto_LUKS", "44444444-4444-4444-8444-444444444444");
	plan_texts(&g, &p);
	assert_int_equal(plan_read(&p, "/etc/fstab", MAX_TEXT_FILE, &text, NULL), 0);
	assert_non_null(
	    strstr((char *)text.data,
		   "UUID=99999999-9999-4999-8999-999999999999 /gone ext4 defaults 0 2"));
	buf_free(&text);
	plan_free(&p);
	guest_free(&g);
}

/* Two volumes with one UUID: neither is meant by it. */
static void a_uuid_that_two_volumes_have_is_not_written(void **state)
{
	struct guest g;
	struct plan p;
	struct buf text = { 0 };

	(void)state;
	open_guest(&g, TESTS_DIR "/golden/edit/debian-bios/in", true);
	add_vol(&g, 1, 2, VOL_FS, "ext4", UUID_ROOT);
	plan_texts(&g, &p);
	assert_int_equal(plan_read(&p, "/etc/fstab", MAX_TEXT_FILE, &text, NULL), 0);
	assert_non_null(strstr((char *)text.data, "\nPARTUUID=abcd0000-01       /  "));
	buf_free(&text);
	plan_free(&p);
	guest_free(&g);
}

/* A disk beside its own copy: every id is there twice. */
static void an_id_that_two_partitions_have_is_not_written_either(void **state)
{
	struct guest g;
	struct plan p;
	struct buf text = { 0 };

	(void)state;
	open_guest(&g, TESTS_DIR "/golden/edit/debian-bios/in", true);
	add_vol(&g, 1, 2, VOL_FS, "ext4", UUID_ROOT);
	memcpy(g.vols[g.n_vols - 1].partuuid, "abcd0000-01", sizeof "abcd0000-01");
	plan_texts(&g, &p);
	assert_int_equal(plan_read(&p, "/etc/fstab", MAX_TEXT_FILE, &text, NULL), 0);
	assert_null(strstr((char *)text.data, "PARTUUID=abcd0000-01"));
	assert_true(found(&p, "fstab", LEVEL_WARN, "its volume is not known: left alone"));
	buf_free(&text);
	plan_free(&p);
	guest_free(&g);
}

/* SUSE writes it so; a label with udev's escapes could be any. */
static void a_resume_by_the_path_of_a_gone_volume_is_dropped(void **state)
{
	static const char line[] = "root=/dev/disk/by-uuid/" UUID_ROOT
				   " resume=/dev/disk/by-uuid/99999999-9999-4999-8999-999999999999"
				   " quiet\n";
	static const char label[] = "resume=/dev/disk/by-label/my\\x20swap quiet\n";
	const struct step *const list[] = { &step_cmdline };
	struct buf text = { 0 };
	char tree[64];
	struct guest g;
	struct plan p;

	(void)state;
	copy_tree(TESTS_DIR "/golden/edit/debian-bios/in", tree, sizeof tree);
	spill(tree, "/etc/kernel/cmdline", line, strlen(line), "wb");
	open_guest(&g, tree, true);
	plan_steps(&g, list, 1, &p);
	assert_int_equal(plan_read(&p, "/etc/kernel/cmdline", MAX_TEXT_FILE, &text, NULL), 0);
	assert_string_equal((char *)text.data, "root=/dev/disk/by-uuid/" UUID_ROOT " quiet\n");
	buf_free(&text);
	plan_free(&p);
	spill(tree, "/etc/kernel/cmdline", label, strlen(label), "wb");
	plan_steps(&g, list, 1, &p);
	assert_int_equal(plan_read(&p, "/etc/kernel/cmdline", MAX_TEXT_FILE, &text, NULL), 0);
	assert_string_equal((char *)text.data, label);
	buf_free(&text);
	plan_free(&p);
	guest_free(&g);
	remove_tree(tree);
}

static void selinux_is_kept_or_made_permissive_on_request(void **state)
{
	const struct step *const list[] = { &step_selinux };
	struct guest g;
	struct plan p;

	(void)state;
	open_guest(&g, TESTS_DIR "/golden/edit/rhel9-bls/in", true);
	g.wishes.selinux = SELINUX_KEEP;
	plan_steps(&g, list, 1, &p);
	assert_int_equal(p.n_actions, 0);
	assert_true(found(&p, "selinux", LEVEL_WARN, "restorecon"));
	plan_free(&p);
	g.wishes.selinux = SELINUX_WANT_PERMISSIVE;
	plan_steps(&g, list, 1, &p);
	assert_int_equal(p.n_actions, 1);
	assert_non_null(strstr((char *)p.actions[0].data.data, "\nSELINUX=permissive\n"));
	plan_free(&p);
	guest_free(&g);
}

/* ---- cloud-init, consoles, tools ------------------------------------------------------------- */

/* Plans the one step ${s} on a copy of golden case ${name} with ${text} written to ${path}. */
static void plan_changed(const struct step *s, const char *name, const char *path, const char *text,
			 struct guest *g, struct plan *p, char *tree, size_t size)
{
	char in[1024];

	(void)snprintf(in, sizeof in, TESTS_DIR "/golden/edit/%s/in", name);
	copy_tree(in, tree, size);
	spill(tree, path, text, strlen(text), "wb");
	open_guest(g, tree, true);
	plan_steps(g, &s, 1, p);
}

static void cloud_init_that_asks_nobody_is_left_alone(void **state)
{
	/* clang-format off */
	static const struct {
		const char *path, *text;
		enum level level;
		size_t n_actions;
	} cases[] = {
		{ "/etc/cloud/cloud.cfg.d/99-own.cfg",
		  "network:\n  config: 'disabled' # by hand\ndatasource_list:\n - None\n", LEVEL_OK, 0 },
		{ "/etc/cloud/cloud.cfg.d/99-own.cfg",
		  "datasource_list: [None]\nnetwork: {config: disabled}\n", LEVEL_OK, 0 },
		{ "/etc/cloud/cloud.cfg.d/99-own.cfg", "datasource_list: [None]\n", LEVEL_OK, 1 },
		/* Read before 90_dpkg.cfg, which names clouds. */
		{ "/etc/cloud/cloud.cfg.d/10-own.cfg",
		  "datasource_list: [None]\nnetwork: {config: disabled}\n", LEVEL_OK, 1 },
		{ "/etc/cloud/cloud.cfg.d/zzz.cfg",
		  "datasource_list: [None]\nnetwork: {config: disabled}\n", LEVEL_OK, 0 },
		{ "/etc/cloud/cloud-init.disabled", "", LEVEL_OK, 0 },
		{ "/var/lib/cloud/seed/nocloud/meta-data", "instance-id: x\n", LEVEL_OK, 0 },
	};
	/* clang-format on */

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char tree[64];
		struct guest g;
		struct plan p;

		plan_changed(&step_cloudinit, "ubuntu22-cloud", cases[i].path, cases[i].text, &g,
			     &p, tree, sizeof tree);
		assert_int_equal(p.n_actions, cases[i].n_actions);
		if (!p.n_actions)
			assert_true(found(&p, "cloudinit", cases[i].level, ""));
		plan_free(&p);
		guest_free(&g);
		remove_tree(tree);
	}
}

static void a_file_that_overrules_the_cloud_init_drop_in_is_said(void **state)
{
	static const char later[] = "datasource_list: [ Ec2 ]\n";
	char tree[64];
	struct guest g;
	struct plan p;

	(void)state;
	plan_changed(&step_cloudinit, "ubuntu22-cloud", "/etc/cloud/cloud.cfg.d/zzz.cfg", later, &g,
		     &p, tree, sizeof tree);
	assert_int_equal(p.n_actions, 1);
	assert_true(found(&p, "cloudinit", LEVEL_WARN, "zzz.cfg is read later"));
	plan_free(&p);
	guest_free(&g);
	remove_tree(tree);
}

static void what_a_shell_puts_together_stays_and_is_said(void **state)
{
	char tree[64];
	struct guest g;
	struct plan p;

	(void)state;
	plan_changed(&step_cmdline, "sles11-legacy", "/etc/sysconfig/bootloader",
		     "DEFAULT_APPEND=\"$(more) resume=/dev/sda1\"\n", &g, &p, tree, sizeof tree);
	assert_true(found(&p, "cmdline", LEVEL_WARN, "line 1 is put together by the shell"));
	plan_free(&p);
	guest_free(&g);
	remove_tree(tree);
}

static void the_only_console_stays_and_is_said(void **state)
{
	struct guest g;
	struct plan p;
	struct buf text = { 0 };

	(void)state;
	open_guest(&g, TESTS_DIR "/golden/edit/centos6-xen/in", true);
	plan_texts(&g, &p);
	assert_true(found(&p, "cmdline", LEVEL_WARN, "'console=hvc0' is the only console"));
	assert_int_equal(plan_read(&p, "/boot/grub/grub.conf", MAX_TEXT_FILE, &text, NULL), 0);
	assert_non_null(strstr((char *)text.data, "console=hvc0\n"));
	assert_non_null(strstr((char *)text.data, "console=tty0 crashkernel"));
	buf_free(&text);
	plan_free(&p);
	guest_free(&g);
}

static void a_login_that_was_saved_before_stays_and_is_said(void **state)
{
	char tree[64];
	struct guest g;
	struct plan p;

	(void)state;
	plan_changed(&step_console, "sles12-hyperv",
		     "/etc/systemd/system/getty.target.wants.serial-getty@hvc0.service."
		     "bootfix-saved",
		     "", &g, &p, tree, sizeof tree);
	assert_int_equal(p.n_actions, 0);
	assert_true(found(&p, "console", LEVEL_WARN, "from an earlier run"));
	plan_free(&p);
	guest_free(&g);
	remove_tree(tree);
}

static void tools_that_no_mask_can_stop_are_named(void **state)
{
	char tree[64];
	struct guest g;
	struct plan p;

	(void)state;
	plan_changed(&step_tools, "centos6-xen", "/etc/init/vmware-tools.conf", "", &g, &p, tree,
		     sizeof tree);
	assert_int_equal(p.n_actions, 0);
	assert_true(found(&p, "tools", LEVEL_WARN, "'chkconfig xe-linux-distribution off'"));
	assert_true(found(&p, "tools", LEVEL_WARN, "/etc/init/vmware-tools.conf away"));
	plan_free(&p);
	guest_free(&g);
	remove_tree(tree);

	plan_changed(&step_tools, "rhel8-vmware", "/etc/systemd/system/vgauthd.service",
		     "[Service]\nExecStart=/bin/own\n", &g, &p, tree, sizeof tree);
	assert_int_equal(p.n_actions, 1);
	assert_string_equal(p.actions[0].path, "/etc/systemd/system/vmtoolsd.service");
	assert_true(found(&p, "tools", LEVEL_WARN, "'systemctl disable vgauthd'"));
	plan_free(&p);
	guest_free(&g);
	remove_tree(tree);
}

static void what_is_masked_already_is_not_worth_a_word(void **state)
{
	struct guest g;
	struct plan p;
	const struct step *const list[] = { &step_tools };

	(void)state;
	open_guest(&g, TESTS_DIR "/golden/edit/sles12-hyperv/in", true);
	plan_steps(&g, list, 1, &p);
	assert_int_equal(p.n_actions, 2);
	assert_false(found(&p, "tools", LEVEL_WARN, ""));
	plan_free(&p);
	guest_free(&g);
	open_guest(&g, TESTS_DIR "/golden/edit/debian-bios/in", true);
	plan_steps(&g, list, 1, &p);
	assert_true(found(&p, "tools", LEVEL_OK, "no tools of another hypervisor"));
	plan_free(&p);
	guest_free(&g);
}

/* ---- virtio ---------------------------------------------------------------------------------- */

#define K "6.1.0-9-amd64"

static const char *const module_files[] = { "kernel/virtio.ko.xz", "kernel/virtio_pci.ko.xz",
					    "kernel/virtio_blk.ko.xz" };
enum { N_MODULES = sizeof module_files / sizeof module_files[0] };

static void make_initrd(const char *tree, const char *first, bool complete)
{
	struct buf b = { 0 };
	struct cpio_out c = { .out = &b };

	assert_int_equal(cpio_out_file(&c, first, 0644, "", 0, NULL), 0);
	assert_int_equal(cpio_out_file(&c, "sbin/udevd", 0755, "", 0, NULL), 0);
	assert_int_equal(
	    cpio_out_file(&c, "conf/conf.d/resume", 0644, "RESUME=/dev/sda2\n", 17, NULL), 0);
	for (size_t i = 0; complete && i < N_MODULES; i++) {
		char path[128];

		(void)snprintf(path, sizeof path, "usr/lib/modules/" K "/%s", module_files[i]);
		assert_int_equal(cpio_out_file(&c, path, 0644, "", 0, NULL), 0);
	}
	assert_int_equal(cpio_out_end(&c, NULL), 0);
	spill(tree, "/boot/initrd.img-" K, b.data, b.len, "wb");
	buf_free(&b);
}

static void make_kernel(char *tree, size_t size)
{
	static const char dep[] = "kernel/virtio.ko.xz:\nkernel/virtio_pci.ko.xz: "
				  "kernel/virtio.ko.xz\nkernel/virtio_blk.ko.xz: "
				  "kernel/virtio.ko.xz\n";

	copy_tree(TESTS_DIR "/golden/edit/debian-bios/in", tree, size);
	spill(tree, "/usr/lib/modules/" K "/modules.dep", dep, strlen(dep), "wb");
	spill(tree, "/usr/lib/modules/" K "/modules.alias", "", 0, "wb");
	spill(tree, "/usr/lib/modules/" K "/modules.builtin",
	      "kernel/virtio_scsi.ko\nkernel/sd_mod.ko\n", 39, "wb");
	for (size_t i = 0; i < N_MODULES; i++) {
		char path[128];

		(void)snprintf(path, sizeof path, "/usr/lib/modules/" K "/%s", module_files[i]);
		spill(tree, path, module_files[i], strlen(module_files[i]), "wb");
	}
}

static void plan_virtio(struct guest *g, struct plan *p, const char *tree)
{
	const struct step *const list[] = { &step_virtio };

	open_guest(g, tree, true);
	plan_steps(g, list, 1, p);
}

static void a_short_image_gets_a_supplement_and_a_drop_in_once(void **state)
{
	char tree[64];
	struct guest g;
	struct plan p;

	(void)state;
	make_kernel(tree, sizeof tree);
	make_initrd(tree, "conf/initramfs.conf", false);
	plan_virtio(&g, &p, tree);
	assert_int_equal(p.n_actions, 2);
	assert_int_equal(p.actions[0].kind, A_APPEND);
	assert_string_equal(p.actions[0].path, "/boot/initrd.img-" K);
	assert_non_null(
	    memmem(p.actions[0].data.data, p.actions[0].data.len, "kernel/virtio_blk.ko.xz", 23));
	assert_non_null(memmem(p.actions[0].data.data, p.actions[0].data.len,
			       "RESUME=UUID=" UUID_SWAP "\n", 49));
	assert_string_equal(p.actions[1].path, "/etc/initramfs-tools/modules");
	assert_string_equal((char *)p.actions[1].data.data, "virtio_pci\nvirtio_blk\n");
	assert_true(found(&p, "virtio", LEVEL_WARN, "no virtio_net"));
	act(&p, tree);
	plan_free(&p);
	guest_free(&g);

	plan_virtio(&g, &p, tree);
	assert_int_equal(p.n_actions, 0);
	assert_true(found(&p, "virtio", LEVEL_OK, "has all that virtio needs"));
	plan_free(&p);
	guest_free(&g);
	remove_tree(tree);
}

/* Only its stale RESUME= is changed: the guest's own tool got virtio right by itself. */
static void a_complete_image_gets_no_modules_and_no_drop_in(void **state)
{
	char tree[64];
	struct guest g;
	struct plan p;

	(void)state;
	make_kernel(tree, sizeof tree);
	make_initrd(tree, "conf/initramfs.conf", true);
	plan_virtio(&g, &p, tree);
	assert_int_equal(p.n_actions, 1);
	assert_int_equal(p.actions[0].kind, A_APPEND);
	assert_true(p.actions[0].data.len < 2048);
	assert_null(memmem(p.actions[0].data.data, p.actions[0].data.len, ".ko", 3));
	act(&p, tree);
	plan_free(&p);
	guest_free(&g);

	plan_virtio(&g, &p, tree);
	assert_int_equal(p.n_actions, 0);
	plan_free(&p);
	guest_free(&g);
	remove_tree(tree);
}

static void add_lvm_list(const char *tree, bool with_local)
{
	struct buf b = { 0 };
	struct cpio_out c = { .out = &b };

	assert_int_equal(cpio_out_file(&c, "etc/lvm/devices/system.devices", 0644, "", 0, NULL), 0);
	if (with_local)
		assert_int_equal(cpio_out_file(&c, "etc/lvm/lvmlocal.conf", 0644, "#\n", 2, NULL),
				 0);
	assert_int_equal(cpio_out_end(&c, NULL), 0);
	spill(tree, "/boot/initrd.img-" K, b.data, b.len, "ab");
	buf_free(&b);
}

/* LVM in the image would see no disk but those of the list. */
static void a_list_of_devices_in_the_image_is_switched_off_once(void **state)
{
	char tree[64];
	struct guest g;
	struct plan p;

	(void)state;
	make_kernel(tree, sizeof tree);
	make_initrd(tree, "conf/initramfs.conf", true);
	add_lvm_list(tree, false);
	plan_virtio(&g, &p, tree);
	assert_int_equal(p.n_actions, 1);
	assert_int_equal(p.actions[0].kind, A_APPEND);
	assert_non_null(
	    memmem(p.actions[0].data.data, p.actions[0].data.len, "etc/lvm/lvmlocal.conf", 21));
	assert_non_null(strstr(p.actions[0].why, "; LVM's list of devices"));
	act(&p, tree);
	plan_free(&p);
	guest_free(&g);

	plan_virtio(&g, &p, tree);
	assert_int_equal(p.n_actions, 0);
	assert_false(found(&p, "virtio", LEVEL_WARN, "lvmlocal.conf"));
	plan_free(&p);
	guest_free(&g);

	add_lvm_list(tree, true);
	plan_virtio(&g, &p, tree);
	assert_int_equal(p.n_actions, 0);
	assert_true(found(&p, "virtio", LEVEL_WARN, "an lvmlocal.conf of the guest"));
	plan_free(&p);
	guest_free(&g);
	remove_tree(tree);
}

static void copies_in_the_image_that_stay_old_are_said(void **state)
{
	const char *filter = "devices {\n filter = [ \"a|/dev/sda|\", \"r/.*/\" ]\n}\n";
	const struct step *const list[] = { &step_leftovers, &step_virtio };
	struct buf b = { 0 };
	struct cpio_out c = { .out = &b };
	char tree[64];
	struct guest g;
	struct plan p;

	(void)state;
	make_kernel(tree, sizeof tree);
	make_initrd(tree, "conf/initramfs.conf", true);
	spill(tree, "/etc/lvm/lvm.conf", filter, strlen(filter), "wb");
	open_guest(&g, tree, true);
	plan_steps(&g, list, 2, &p);
	assert_false(found(&p, "virtio", LEVEL_WARN, "its own copy"));
	plan_free(&p);
	guest_free(&g);

	assert_int_equal(cpio_out_file(&c, "etc/lvm/lvm.conf", 0644, "", 0, NULL), 0);
	assert_int_equal(cpio_out_end(&c, NULL), 0);
	spill(tree, "/boot/initrd.img-" K, b.data, b.len, "ab");
	buf_free(&b);
	open_guest(&g, tree, true);
	plan_steps(&g, list, 2, &p);
	assert_true(found(&p, "virtio", LEVEL_WARN, "its own copy of /etc/lvm/lvm.conf"));
	plan_free(&p);
	guest_free(&g);
	remove_tree(tree);
}

static void a_fixed_module_list_is_not_appended_to(void **state)
{
	char tree[64];
	struct guest g;
	struct plan p;

	(void)state;
	make_kernel(tree, sizeof tree);
	make_initrd(tree, "bin/nash", false);
	plan_virtio(&g, &p, tree);
	assert_int_equal(p.n_actions, 0);
	assert_true(found(&p, "virtio", LEVEL_WARN, "a fixed module list"));
	assert_true(found(&p, "virtio", LEVEL_BLOCKED, "none of 1 kernels"));
	plan_free(&p);
	guest_free(&g);
	remove_tree(tree);
}

static void a_kernel_without_the_wished_bus_blocks(void **state)
{
	char tree[64];
	struct guest g;
	struct plan p;
	const struct step *const list[] = { &step_virtio };

	(void)state;
	make_kernel(tree, sizeof tree);
	make_initrd(tree, "conf/initramfs.conf", false);
	spill(tree, "/usr/lib/modules/" K "/modules.builtin", "", 0, "wb");
	open_guest(&g, tree, true);
	(void)snprintf(g.facts.target_bus, sizeof g.facts.target_bus, "virtio-scsi");
	plan_steps(&g, list, 1, &p);
	assert_int_equal(p.n_actions, 0);
	assert_true(found(&p, "virtio", LEVEL_WARN, "has no virtio_scsi"));
	assert_true(found(&p, "virtio", LEVEL_BLOCKED, "none of 1 kernels"));
	plan_free(&p);
	guest_free(&g);
	remove_tree(tree);
}

static void a_broken_image_is_left_alone_and_said(void **state)
{
	char tree[64];
	struct guest g;
	struct plan p;

	(void)state;
	make_kernel(tree, sizeof tree);
	spill(tree, "/boot/initrd.img-" K, "\x1f\x8bgarbage", 9, "wb");
	plan_virtio(&g, &p, tree);
	assert_int_equal(p.n_actions, 0);
	assert_true(found(&p, "virtio", LEVEL_WARN, "left alone: gzip"));
	assert_true(found(&p, "virtio", LEVEL_BLOCKED, "none of"));
	plan_free(&p);
	guest_free(&g);
	remove_tree(tree);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_debian_guest_changes_as_written_down),
		cmocka_unit_test(a_rhel_9_guest_changes_as_written_down),
		cmocka_unit_test(a_rhel_6_guest_changes_as_written_down),
		cmocka_unit_test(a_centos_5_guest_changes_as_written_down),
		cmocka_unit_test(a_sles_11_guest_changes_as_written_down),
		cmocka_unit_test(a_rhel_8_guest_changes_as_written_down),
		cmocka_unit_test(a_centos_7_guest_changes_as_written_down),
		cmocka_unit_test(an_alpine_guest_changes_as_written_down),
		cmocka_unit_test(an_arch_guest_changes_as_written_down),
		cmocka_unit_test(an_ubuntu_18_04_guest_keeps_what_is_stable),
		cmocka_unit_test(an_amazon_linux_2_guest_keeps_what_is_stable),
		cmocka_unit_test(an_ubuntu_cloud_guest_changes_as_written_down),
		cmocka_unit_test(a_rhel_8_guest_of_vmware_changes_as_written_down),
		cmocka_unit_test(a_centos_6_guest_of_xen_changes_as_written_down),
		cmocka_unit_test(a_sles_12_guest_of_hyper_v_changes_as_written_down),
		cmocka_unit_test(what_is_left_alone_is_said),
		cmocka_unit_test(leftovers_that_need_a_person_are_said),
		cmocka_unit_test(a_list_saved_before_is_not_overwritten),
		cmocka_unit_test(filters_that_let_the_target_through_stay),
		cmocka_unit_test(a_grubenv_of_an_odd_length_is_left_alone_and_said),
		cmocka_unit_test(a_guess_is_said_and_never_used_to_format),
		cmocka_unit_test(a_root_on_a_disk_that_stayed_behind_blocks),
		cmocka_unit_test(with_volumes_out_of_sight_no_uuid_is_called_gone),
		cmocka_unit_test(a_uuid_that_two_volumes_have_is_not_written),
		cmocka_unit_test(an_id_that_two_partitions_have_is_not_written_either),
		cmocka_unit_test(a_resume_by_the_path_of_a_gone_volume_is_dropped),
		cmocka_unit_test(selinux_is_kept_or_made_permissive_on_request),
		cmocka_unit_test(cloud_init_that_asks_nobody_is_left_alone),
		cmocka_unit_test(a_file_that_overrules_the_cloud_init_drop_in_is_said),
		cmocka_unit_test(what_a_shell_puts_together_stays_and_is_said),
		cmocka_unit_test(the_only_console_stays_and_is_said),
		cmocka_unit_test(a_login_that_was_saved_before_stays_and_is_said),
		cmocka_unit_test(tools_that_no_mask_can_stop_are_named),
		cmocka_unit_test(what_is_masked_already_is_not_worth_a_word),
		cmocka_unit_test(a_short_image_gets_a_supplement_and_a_drop_in_once),
		cmocka_unit_test(a_complete_image_gets_no_modules_and_no_drop_in),
		cmocka_unit_test(a_list_of_devices_in_the_image_is_switched_off_once),
		cmocka_unit_test(copies_in_the_image_that_stay_old_are_said),
		cmocka_unit_test(a_fixed_module_list_is_not_appended_to),
		cmocka_unit_test(a_kernel_without_the_wished_bus_blocks),
		cmocka_unit_test(a_broken_image_is_left_alone_and_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
