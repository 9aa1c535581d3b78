/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * types.h - everything bootfix knows (struct guest) and everything it may do (struct plan)
 *
 * Flow     facts + disks -> inspect -> struct guest -> steps -> struct plan -> exec -> verify.
 *          struct guest is filled once by inspect and is read-only after that: steps look at it
 *          and at files (guest.h) and add actions and findings (plan.h). Only exec.c acts.
 * Units    bytes everywhere, offsets from the start of the disk unless said otherwise.
 * Trust    every string here came from a received disk or from a peer: bounded, NUL-terminated,
 *          never a path on this machine, never a format. Paths are absolute inside the guest.
 * Owner    guest_free() and plan_free() free everything below them.
 */
#ifndef BOOTFIX_TYPES_H
#define BOOTFIX_TYPES_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* ---- buffers ------------------------------------------------------------------------------- */

/* ${data} is malloc'ed, or NULL when ${len} is 0; guest_read() puts one NUL behind the end that
 * ${len} does not count. */
struct buf {
	uint8_t *data;
	size_t len;
	size_t room; /* bytes allocated as far as buf_add() knows; 0 is always right */
};

void buf_free(struct buf *b); /* also for scoped(): leaves an empty buffer */
/* Appends ${len} bytes. -ENOMEM with *e filled. */
int buf_add(struct buf *b, const void *data, size_t len, struct err *e)
    __attribute__((warn_unused_result));
int buf_add_str(struct buf *b, const char *s, struct err *e) __attribute__((warn_unused_result));

/* ---- limits -------------------------------------------------------------------------------- */

enum {
	MAX_DISKS = 64,
	MAX_PARTS = 256, /* per disk */
	MAX_NICS = 64,
	MAX_LINKS = 64,  /* devlinks per disk, addresses per NIC */
	MAX_MNTS = 1024, /* fstab lines */
	MAX_KERNELS = 64,
	MAX_CONFIGS = 256, /* loader files */
	MAX_ACTIONS = 4096,
	MAX_FINDINGS = 4096,
	MAX_PATH = 1024,           /* a path inside the guest, with its NUL */
	MAX_TEXT_FILE = 1 << 20,   /* fstab, default/grub, ... */
	MAX_CONFIG_FILE = 4 << 20, /* grub.cfg */
	MAX_INITRD = 512 << 20,
};

/* ---- facts: what the source said about itself (docs/bootfix-report.md) ----------------------- */

enum firmware { FIRMWARE_UNKNOWN, FIRMWARE_BIOS, FIRMWARE_UEFI };

struct facts_part {
	char name[32]; /* "sda1" */
	unsigned number;
	uint64_t start, size;
};

struct facts_disk {
	unsigned n;    /* the target disk that holds this disk's bytes; index into guest.disks */
	bool moved;    /* false: the source had it, but it did not come along ("n": null) */
	char name[32]; /* the source's name: "sda", "nvme0n1"; "": an image, nobody knows */
	char serial[128];
	uint64_t size;
	uint32_t logical_sector, physical_sector;
	char *links[MAX_LINKS]; /* "/dev/disk/by-id/..." on the source */
	size_t n_links;
	struct facts_part *parts;
	size_t n_parts;
};

struct facts_nic {
	char name[32]; /* "ens3" */
	char mac[18];  /* lower case, "52:54:00:12:34:56" */
	char *addresses[MAX_LINKS];
	size_t n_addresses;
	char gateway[64]; /* "" when unknown */
	bool dhcp, dhcp_known;
	char target_mac[18]; /* the MAC it gets on the target; "" when unknown or the same */
};

struct facts {
	bool given; /* false: all below is guessed or empty */
	char hostname[256];
	enum firmware firmware;
	char arch[32], kernel[128];
	char root[256]; /* "/dev/sda1" as the source mounted it */
	uint64_t memory;
	unsigned cpus;
	char target_bus[32]; /* "virtio-blk", "virtio-scsi"; virtio-blk when not said */
	struct facts_disk *disks;
	size_t n_disks;
	struct facts_nic *nics;
	size_t n_nics;
};

/* ---- disks and volumes --------------------------------------------------------------------- */

enum table { TABLE_NONE, TABLE_MBR, TABLE_GPT, TABLE_OTHER };

struct disk {
	unsigned n;     /* its place on the command line, from 0 */
	char path[256]; /* on this machine; for messages */
	int fd;         /* read-only, or -1 */
	uint64_t size;
	uint32_t logical_sector, physical_sector;
	enum table table;
	char table_id[64];    /* MBR disk id or GPT GUID */
	bool hybrid_mbr;      /* GPT whose MBR names more than the protective partition */
	bool has_logical;     /* MBR with an extended partition */
	uint32_t gpt_sector;  /* sector size the GPT was made for; 0 when none */
	uint64_t gpt_backup;  /* byte offset where the GPT says its backup header is */
	bool boot_code;       /* sector 0 holds GRUB's boot code */
	char target_name[32]; /* what the target's kernel will call it: "vda" */
};

enum vol_kind {
	VOL_EMPTY, /* nothing known on it */
	VOL_FS,    /* a file system; type says which */
	VOL_SWAP,
	VOL_SUSPEND, /* swap that holds a sleeping system */
	VOL_LUKS,
	VOL_PV,       /* LVM physical volume */
	VOL_MD,       /* leg of a Linux md array */
	VOL_OTHER,    /* libblkid has a name for it, we have no use for it */
	VOL_AMBIGUOUS /* two answers: never touched */
};

/* A partition, or a whole disk without a table. */
struct vol {
	unsigned disk;   /* index into guest.disks */
	unsigned number; /* partition number; 0: the whole disk */
	uint64_t start, size;
	enum vol_kind kind;
	char type[32]; /* "ext4", "swap", "crypto_LUKS", "" */
	char uuid[64]; /* as UUID= has it; "" when none */
	char label[256];
	char partuuid[64]; /* as PARTUUID= has it; "" for a whole disk */
	char parttype[64]; /* "0x83" or a GUID */
	char partlabel[128];
	char dev[64];         /* this machine's node, "/dev/vda1"; "" when the kernel has none */
	char target_name[32]; /* "vda1" */
	uint64_t fs_size;     /* as the superblock says; 0 unknown */
	uint64_t fs_block;
};

/* ---- the guest ----------------------------------------------------------------------------- */

enum os_family { OS_UNKNOWN, OS_DEBIAN, OS_REDHAT, OS_SUSE, OS_ARCH, OS_ALPINE };
enum init_kind { INIT_UNKNOWN, INIT_SYSTEMD, INIT_SYSV, INIT_OPENRC };
enum selinux_mode { SELINUX_ABSENT, SELINUX_DISABLED, SELINUX_PERMISSIVE, SELINUX_ENFORCING };

struct os {
	char id[64], version[64], name[128]; /* "debian", "12", "Debian GNU/Linux 12 (bookworm)" */
	enum os_family family;
	enum init_kind init;
	bool merged_usr; /* /lib is a link into /usr */
	enum selinux_mode selinux;
};

/* One line of the guest's /etc/fstab, in order. */
struct mnt {
	unsigned line;  /* from 1 */
	char spec[256]; /* as written, octal escapes undone */
	char dir[MAX_PATH];
	char type[32];
	char options[256];
	int vol;      /* index into guest.vols, or -1 */
	bool mounted; /* by us, at the same place inside the root */
};

struct kernel {
	char version[128];      /* name of its folder under lib/modules */
	char modules[MAX_PATH]; /* that folder: "/usr/lib/modules/6.1.0-18-amd64" */
	char image[MAX_PATH];   /* "/boot/vmlinuz-6.1.0-18-amd64"; "" when there is none */
	char initrd[MAX_PATH];  /* "" when there is none */
};

enum loader_kind {
	LOADER_UNKNOWN,
	LOADER_GRUB_LEGACY,
	LOADER_GRUB2,
	LOADER_EXTLINUX,
	LOADER_SDBOOT
};

struct loader {
	enum loader_kind kind;
	char *configs[MAX_CONFIGS]; /* "/boot/grub/grub.cfg", BLS entries, ...; files that exist */
	size_t n_configs;
	int boot_disk; /* index into guest.disks of the disk the firmware must start, or -1 */
	int esp;       /* index into guest.vols, or -1 */
	char esp_dir[MAX_PATH]; /* where the ESP is mounted inside the guest; "" when it is not */
};

/* A network card of the source and where it goes. From facts only. */
struct nic {
	char name[32], mac[18], target_mac[18]; /* target_mac "" : keeps its MAC */
};

enum firmware_wish { FIRMWARE_KEEP, FIRMWARE_WANT_BIOS, FIRMWARE_WANT_UEFI };
enum selinux_wish { SELINUX_DISABLE, SELINUX_WANT_PERMISSIVE, SELINUX_KEEP };
enum network_wish { NETWORK_KEEP, NETWORK_DHCP };

/* What the person asked for; const after the command line. */
struct wishes {
	enum firmware_wish firmware;
	enum selinux_wish selinux;
	enum network_wish network;
	bool grow;
};

struct guest {
	struct facts facts;
	struct wishes wishes;
	struct disk *disks;
	size_t n_disks;
	struct vol *vols;
	size_t n_vols;
	int root_vol;           /* index into vols, or -1: no root found (or a plain tree) */
	int rootfd;             /* the guest's /, or -1 while nothing is mounted */
	bool writable;          /* mounted read-write: only while exec.c acts */
	bool tree;              /* a folder stands for the guest: tests only */
	enum firmware firmware; /* how the source booted: facts, else guessed from the disks */
	struct os os;
	struct mnt *mnts;
	size_t n_mnts;
	struct kernel *kernels; /* every installed kernel, sorted by version */
	size_t n_kernels;
	struct loader loader;
	struct nic *nics;
	size_t n_nics;
};

/* ---- the plan ------------------------------------------------------------------------------ */

/* Seven kinds, each with a do and an undo in exec.c. */
enum act {
	A_WRITE,   /* path gets data as its whole content; made with its folders when absent */
	A_APPEND,  /* data goes behind the end of path, same inode; path must exist */
	A_COPY,    /* path becomes a copy of from; path may exist */
	A_RENAME,  /* from becomes path; path must not exist */
	A_LINK,    /* path becomes a symbolic link that holds from */
	A_SECTORS, /* data goes to disk at off; multiples of the logical sector */
	A_TOOL,    /* one of enum tool on vol; the only kind whose undo may be partial */
};
#define N_ACTS 7

enum tool {
	TOOL_NONE,
	TOOL_GROW_EXT, /* e2fsck + resize2fs to the size of the partition; undo shrinks it back */
	TOOL_GROW_XFS, /* xfs_growfs; cannot be undone, undo says so */
};

struct action {
	enum act kind;
	char *step; /* name of the step that wants it */
	char *path; /* inside the guest; NULL for A_SECTORS and A_TOOL */
	char *from; /* A_COPY, A_RENAME: path inside the guest. A_LINK: the link's text */
	char *why;  /* one line for a person */
	struct buf data;
	mode_t mode; /* of a file that does not exist yet */
	/* A_WRITE, A_APPEND, A_COPY: what the planner saw at path, so that exec refuses a file that
	 * changed since. Filled by plan_*() from the guest. */
	bool seen; /* path existed */
	uint8_t seen_sha256[32];
	uint64_t seen_len;
	/* A_SECTORS */
	unsigned disk;
	uint64_t off;
	/* A_TOOL */
	enum tool tool;
	unsigned vol;
	uint64_t tool_size; /* bytes the file system should have at most; 0: all of the partition */
};

enum level { LEVEL_OK, LEVEL_FIXED, LEVEL_WARN, LEVEL_BLOCKED };

struct finding {
	enum level level;
	char *step, *path, *why; /* path may be NULL */
};

struct plan {
	struct action *actions; /* in the order in which they are done */
	size_t n_actions;
	struct finding *findings;
	size_t n_findings;
	const struct guest *guest;
	uint64_t grown_end[MAX_DISKS]; /* where the last partition will end after growpart; 0 no */
};

/* One repair. The table in steps.c gives the order; a step's file exports one of these. */
struct step {
	const char *name; /* "fstab": the word in plan, report and --skip */
	bool needs_root;  /* false: looks at disks only, runs even when no root was found */
	/* NULL: always. */
	bool (*applies)(const struct guest *g);
	/* Looks, and adds actions and findings under its own name. An error is a step that could
	 * not be planned (ERR_GUEST: reported as blocked, the other steps go on). */
	int (*plan)(const struct guest *g, struct plan *p, struct err *e);
};

#endif
