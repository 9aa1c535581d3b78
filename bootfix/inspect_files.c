/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the files of a mounted guest say about it: one small look each. */
#include "inspect.h"

#include "base/cleanup.h"
#include "guest.h"

#include <dirent.h>
#include <string.h>

#define ESP_TYPE "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"
#define BIOS_GRUB_TYPE "21686148-6449-6e6f-744e-656564454649"

/* ---- the system ------------------------------------------------------------------------------ */

/* The value of KEY= in a shell-like ${text}, quotes off; "" when absent. */
static void shell_value(const char *text, const char *key, char *ret, size_t size)
{
	size_t len = strlen(key), o = 0;

	ret[0] = 0;
	for (const char *p = text; p; p = strchr(p, '\n')) {
		p += *p == '\n';
		if (strncmp(p, key, len) != 0 || p[len] != '=')
			continue;
		for (p += len + 1; *p && *p != '\n' && o + 1 < size; p++)
			if (*p != '"' && *p != '\'' && *p != '\r')
				ret[o++] = *p;
		ret[o] = 0;
		return;
	}
}

static const struct {
	const char *id;
	enum os_family family;
} families[] = {
	{ "debian", OS_DEBIAN }, { "ubuntu", OS_DEBIAN }, { "rhel", OS_REDHAT },
	{ "fedora", OS_REDHAT }, { "centos", OS_REDHAT }, { "amzn", OS_REDHAT },
	{ "suse", OS_SUSE },     { "opensuse", OS_SUSE }, { "sles", OS_SUSE },
	{ "arch", OS_ARCH },     { "alpine", OS_ALPINE },
};

static enum os_family family_of(const char *id, const char *id_like)
{
	for (size_t i = 0; i < sizeof families / sizeof *families; i++)
		if (!strcmp(id, families[i].id))
			return families[i].family;
	for (size_t i = 0; i < sizeof families / sizeof *families; i++)
		if (strstr(id_like, families[i].id))
			return families[i].family;
	return OS_UNKNOWN;
}

static enum os_family family_by_file(const struct guest *g)
{
	if (guest_has(g, "/etc/redhat-release"))
		return OS_REDHAT;
	if (guest_has(g, "/etc/SuSE-release"))
		return OS_SUSE;
	return guest_has(g, "/etc/debian_version") ? OS_DEBIAN : OS_UNKNOWN;
}

static void look_at_selinux(struct guest *g)
{
	scoped(buf_free) struct buf text = { 0 };
	char mode[32];

	g->os.selinux = SELINUX_ABSENT;
	if (guest_read(g, "/etc/selinux/config", MAX_TEXT_FILE, &text, NULL) < 0 || !text.data)
		return;
	shell_value((const char *)text.data, "SELINUX", mode, sizeof mode);
	if (!strcmp(mode, "enforcing"))
		g->os.selinux = SELINUX_ENFORCING;
	else if (!strcmp(mode, "permissive"))
		g->os.selinux = SELINUX_PERMISSIVE;
	else
		g->os.selinux = SELINUX_DISABLED;
}

static void look_at_os(struct guest *g)
{
	scoped(buf_free) struct buf text = { 0 };
	char like[128] = "";
	struct stat st;
	int r = guest_read(g, "/etc/os-release", 1 << 16, &text, NULL);

	if (r < 0)
		r = guest_read(g, "/usr/lib/os-release", 1 << 16, &text, NULL);
	if (!r && text.data) {
		const char *s = (const char *)text.data;

		shell_value(s, "ID", g->os.id, sizeof g->os.id);
		shell_value(s, "VERSION_ID", g->os.version, sizeof g->os.version);
		shell_value(s, "PRETTY_NAME", g->os.name, sizeof g->os.name);
		shell_value(s, "ID_LIKE", like, sizeof like);
	}
	g->os.family = family_of(g->os.id, like);
	if (g->os.family == OS_UNKNOWN)
		g->os.family = family_by_file(g);
	g->os.merged_usr = !guest_lstat(g, "/lib", &st, NULL) && S_ISLNK(st.st_mode);
	if (guest_has(g, "/usr/lib/systemd/systemd") || guest_has(g, "/lib/systemd/systemd"))
		g->os.init = INIT_SYSTEMD;
	else if (guest_has(g, "/sbin/openrc"))
		g->os.init = INIT_OPENRC;
	else if (guest_has(g, "/etc/inittab"))
		g->os.init = INIT_SYSV;
	look_at_selinux(g);
}

/* ---- kernels --------------------------------------------------------------------------------- */

struct kernel_walk {
	struct guest *g;
	const char *dir;
	struct err *e;
};

/* The first of several usual names that exists. */
static void first_there(const struct guest *g, char ret[static MAX_PATH], const char *version,
			const char *const *formats)
{
	for (; formats[0]; formats += 2) {
		int n = snprintf(ret, MAX_PATH, "%s%s%s", formats[0], version, formats[1]);

		if (n > 0 && n < MAX_PATH && guest_has(g, ret))
			return;
	}
	ret[0] = 0;
}

/* What Arch and Alpine call the files of a kernel: "linux" (the package, in pkgbase), or "lts",
 * what the version ends in. */
static void short_name(const struct guest *g, const struct kernel *k, char *ret, size_t size)
{
	scoped(buf_free) struct buf text = { 0 };
	const char *dash = strrchr(k->version, '-');
	char path[MAX_PATH + 16];

	(void)snprintf(path, sizeof path, "%s/pkgbase", k->modules);
	if (!guest_read(g, path, 64, &text, NULL) && text.data)
		(void)snprintf(ret, size, "%.*s", (int)strcspn((const char *)text.data, "/\r\n"),
			       (const char *)text.data);
	else
		(void)snprintf(ret, size, "%s", dash ? dash + 1 : "");
}

static int on_kernel(void *arg, const char *name, unsigned char type)
{
	/* Pairs of what stands before and behind the version. */
	static const char *const images[] = {
		"/boot/vmlinuz-", "", "/boot/vmlinux-", "", "/boot/kernel-", "", NULL
	};
	static const char *const initrds[] = { "/boot/initrd.img-",
					       "",
					       "/boot/initramfs-",
					       ".img",
					       "/boot/initramfs-",
					       "",
					       "/boot/initrd-",
					       "",
					       "/boot/initrd-",
					       ".img",
					       NULL };
	struct kernel_walk *w = arg;
	struct guest *g = w->g;
	char index[MAX_PATH], flavour[64];
	struct kernel *k, *more;

	if (type == DT_REG || strlen(name) >= sizeof k->version || g->n_kernels >= MAX_KERNELS)
		return 0;
	(void)snprintf(index, sizeof index, "%.100s/%.256s/modules.dep", w->dir, name);
	if (!guest_has(g, index))
		return 0;
	more = realloc(g->kernels, (g->n_kernels + 1) * sizeof *more);
	if (!more)
		return err_set(w->e, ERR_SYS, ENOMEM, "kernels");
	g->kernels = more;
	k = &g->kernels[g->n_kernels++];
	memset(k, 0, sizeof *k);
	(void)snprintf(k->version, sizeof k->version, "%s", name);
	(void)snprintf(k->modules, sizeof k->modules, "%.100s/%.256s", w->dir, name);
	first_there(g, k->image, name, images);
	first_there(g, k->initrd, name, initrds);
	short_name(g, k, flavour, sizeof flavour);
	if (!k->image[0] && !k->initrd[0] && flavour[0]) {
		first_there(g, k->image, flavour, images);
		first_there(g, k->initrd, flavour, initrds);
	}
	return 0;
}

static int look_at_kernels(struct guest *g, struct err *e)
{
	struct kernel_walk w = { .g = g, .dir = "/usr/lib/modules", .e = e };
	int r;

	if (!guest_has(g, w.dir))
		w.dir = "/lib/modules";
	r = guest_list(g, w.dir, on_kernel, &w, e);
	return r == -ENOENT ? 0 : r;
}

/* ---- loader ---------------------------------------------------------------------------------- */

/* One file by two names (menu.lst that links to grub.conf) would be changed twice. */
static bool config_known(const struct guest *g, const struct stat *file)
{
	struct stat st;

	for (size_t i = 0; i < g->loader.n_configs; i++)
		if (!guest_stat(g, g->loader.configs[i], &st, NULL) && st.st_dev == file->st_dev &&
		    st.st_ino == file->st_ino)
			return true;
	return false;
}

static int add_config(struct guest *g, const char *path, struct err *e)
{
	struct loader *l = &g->loader;
	struct stat st;

	if (l->n_configs >= MAX_CONFIGS || guest_stat(g, path, &st, NULL) < 0 ||
	    !S_ISREG(st.st_mode) || config_known(g, &st))
		return 0;
	l->configs[l->n_configs] = strdup(path);
	if (!l->configs[l->n_configs])
		return err_set(e, ERR_SYS, ENOMEM, "loader files");
	l->n_configs++;
	return 1;
}

struct config_walk {
	struct guest *g;
	const char *dir, *suffix; /* suffix: of a name, or "/grub.cfg" below each entry */
	struct err *e;
};

static int on_config(void *arg, const char *name, unsigned char type)
{
	struct config_walk *w = arg;
	char path[MAX_PATH];
	size_t len = strlen(name), tail = strlen(w->suffix);
	int r;

	(void)type;
	if (w->suffix[0] == '/')
		(void)snprintf(path, sizeof path, "%.600s/%.256s%s", w->dir, name, w->suffix);
	else if (len > tail && !strcmp(name + len - tail, w->suffix))
		(void)snprintf(path, sizeof path, "%.600s/%.256s", w->dir, name);
	else
		return 0;
	r = add_config(w->g, path, w->e);
	return r < 0 ? r : 0;
}

static int walk_configs(struct guest *g, const char *dir, const char *suffix, struct err *e)
{
	struct config_walk w = { .g = g, .dir = dir, .suffix = suffix, .e = e };
	int r = guest_list(g, dir, on_config, &w, e);

	return r == -ENOENT ? 0 : r;
}

static int look_for_configs(struct guest *g, struct err *e)
{
	static const struct {
		const char *path;
		enum loader_kind kind;
	} files[] = {
		{ "/boot/grub2/grub.cfg", LOADER_GRUB2 },
		{ "/boot/grub/grub.cfg", LOADER_GRUB2 },
		{ "/boot/extlinux/extlinux.conf", LOADER_EXTLINUX },
		{ "/boot/extlinux.conf", LOADER_EXTLINUX },
		{ "/boot/grub/grub.conf", LOADER_GRUB_LEGACY },
		{ "/boot/grub/menu.lst", LOADER_GRUB_LEGACY },
	};
	char dir[MAX_PATH];
	int r;

	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		r = add_config(g, files[i].path, e);
		if (r < 0)
			return r;
		if (r > 0 && g->loader.kind == LOADER_UNKNOWN)
			g->loader.kind = files[i].kind;
	}
	r = walk_configs(g, "/boot/loader/entries", ".conf", e);
	if (!r && g->loader.esp_dir[0]) {
		(void)snprintf(dir, sizeof dir, "%.900s/EFI", g->loader.esp_dir);
		r = walk_configs(g, dir, "/grub.cfg", e);
		if (!r && strcmp(g->loader.esp_dir, "/boot") != 0) {
			(void)snprintf(dir, sizeof dir, "%.900s/loader/entries", g->loader.esp_dir);
			r = walk_configs(g, dir, ".conf", e);
		}
	}
	if (!r && g->loader.kind == LOADER_UNKNOWN && g->loader.n_configs)
		g->loader.kind = LOADER_SDBOOT;
	return r;
}

static void look_for_esp(struct guest *g)
{
	for (size_t i = 0; i < g->n_vols; i++) {
		const struct vol *v = &g->vols[i];

		if (g->loader.esp < 0 && !strcmp(v->type, "vfat") &&
		    (!strcmp(v->parttype, ESP_TYPE) || !strcmp(v->parttype, "0xef")))
			g->loader.esp = (int)i;
	}
	for (size_t i = 0; i < g->n_mnts; i++) {
		if (!g->mnts[i].mounted || g->loader.esp < 0 || g->mnts[i].vol != g->loader.esp)
			continue;
		(void)snprintf(g->loader.esp_dir, sizeof g->loader.esp_dir, "%s", g->mnts[i].dir);
	}
}

/* The facts know; without them a BIOS loader that is in place beats an ESP, which installers
 * leave behind on BIOS machines too. */
static void guess_firmware(struct guest *g)
{
	bool bios = false;

	for (size_t i = 0; i < g->n_vols; i++)
		bios = bios || !strcmp(g->vols[i].parttype, BIOS_GRUB_TYPE);
	for (size_t i = 0; i < g->n_disks; i++)
		bios = bios || g->disks[i].boot_code;
	g->firmware = g->facts.firmware;
	if (g->firmware != FIRMWARE_UNKNOWN || !g->n_disks)
		return;
	g->firmware = !bios && g->loader.esp >= 0 ? FIRMWARE_UEFI : FIRMWARE_BIOS;
}

static void find_boot_disk(struct guest *g)
{
	const struct vol *boot = guest_vol_at(g, "/boot");

	if (!boot)
		boot = guest_vol_at(g, "/");
	if (g->firmware == FIRMWARE_UEFI && g->loader.esp >= 0) {
		g->loader.boot_disk = (int)g->vols[g->loader.esp].disk;
		return;
	}
	for (size_t i = 0; i < g->n_disks && g->loader.boot_disk < 0; i++)
		if (g->disks[i].boot_code)
			g->loader.boot_disk = (int)i;
	if (g->loader.boot_disk < 0 && boot)
		g->loader.boot_disk = (int)boot->disk;
}

static int copy_nics(struct guest *g, struct err *e)
{
	if (!g->facts.n_nics)
		return 0;
	g->nics = calloc(g->facts.n_nics, sizeof *g->nics);
	if (!g->nics)
		return err_set(e, ERR_SYS, ENOMEM, "network cards");
	for (; g->n_nics < g->facts.n_nics; g->n_nics++) {
		const struct facts_nic *from = &g->facts.nics[g->n_nics];
		struct nic *to = &g->nics[g->n_nics];

		memcpy(to->name, from->name, sizeof to->name);
		memcpy(to->mac, from->mac, sizeof to->mac);
		memcpy(to->target_mac, from->target_mac, sizeof to->target_mac);
	}
	return 0;
}

int inspect_files(struct guest *g, struct err *e)
{
	int r;

	look_for_esp(g);
	guess_firmware(g);
	r = copy_nics(g, e);
	if (r < 0 || g->rootfd < 0)
		return r;
	look_at_os(g);
	r = look_at_kernels(g, e);
	if (!r)
		r = look_for_configs(g, e);
	if (!r)
		find_boot_disk(g);
	return r;
}
