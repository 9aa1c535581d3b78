/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * modules.h - which kernel modules a piece of hardware needs, from the text indexes of depmod
 *
 * Source   modules.alias, modules.dep and modules.builtin of one kernel. The text files exist on
 *          every kernel that bootfix knows (the .bin ones do not).
 * Names    a module's name has '_' where its file may have '-', and no .ko[.gz|.xz|.zst].
 * Paths    relative to the kernel's module folder ("kernel/drivers/block/virtio_blk.ko.xz"); an
 *          absolute path of an old depmod is cut after "/modules/VERSION/".
 * Limits   lines that are too long, have no shape we know, or a ".." in a path, are passed over.
 * Owner    struct modules copies what it keeps; modules_free() releases it.
 */
#ifndef EDIT_MODULES_H
#define EDIT_MODULES_H

#include "base/err.h"
#include "edit/strlist.h"

#include <stdbool.h>
#include <stddef.h>

struct modules_entry {
	char name[64];
	char *path;
	char *needs; /* paths, separated by blanks, as the line has them */
};

struct modules {
	struct modules_entry *v; /* sorted by name */
	size_t n;
	struct strlist builtin; /* names */
};

/* ${dep} and ${builtin} may be NULL with length 0. */
int modules_parse(const char *dep, size_t dep_len, const char *builtin, size_t builtin_len,
		  struct modules *ret, struct err *e) __attribute__((warn_unused_result));
void modules_free(struct modules *m);

const struct modules_entry *modules_find(const struct modules *m, const char *name);
bool modules_builtin(const struct modules *m, const char *name);

/* Adds to ${names} each module that a line of modules.alias gives for ${modalias}. */
int modules_for_alias(const char *alias, size_t alias_len, const char *modalias,
		      struct strlist *names, struct err *e) __attribute__((warn_unused_result));

/* Adds ${name} and all that it needs, by name, dependencies first; built-in ones are left out.
 * -ENOENT with *e filled: a needed module is neither a file nor built in. */
int modules_closure(const struct modules *m, const char *name, struct strlist *names, struct err *e)
    __attribute__((warn_unused_result));

/* Shell pattern as modprobe matches it: '*', '?', '[set]'. Linear in time times stars, no
 * recursion: the pattern comes from a guest. */
bool modules_glob(const char *pattern, size_t pattern_len, const char *s);

/* "kernel/a/virtio-blk.ko.xz" -> "virtio_blk". False when it is no module file. */
bool modules_name(const char *path, size_t len, char ret[static 64]);

#endif
