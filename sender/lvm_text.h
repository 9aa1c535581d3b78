/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * lvm_text.h - the text in which LVM2 keeps a volume group, as a tree
 *
 * Shape   sections, and values: a number, a string, or a list of them. Nodes of one section are
 *         linked in their order.
 * Errors  -EUCLEAN for text that is not of this shape; bounded in nodes and depth.
 * Owner   lvm_text_free(NULL) does nothing; nodes point into the caller's text, which is changed.
 */
#ifndef SENDER_LVM_TEXT_H
#define SENDER_LVM_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum lvm_kind { LVM_SECTION, LVM_NUMBER, LVM_STRING, LVM_LIST };

struct lvm_node {
	enum lvm_kind kind;
	const char *name;   /* "" in a list */
	const char *string; /* LVM_STRING */
	uint64_t number;    /* LVM_NUMBER */
	struct lvm_node *child, *next;
};

struct lvm_text;

/* ${text} ends with a zero byte and must live as long as the tree. */
int lvm_text_parse(char *text, struct lvm_text **ret);
void lvm_text_free(struct lvm_text *t);
/* The section around everything. */
const struct lvm_node *lvm_text_root(const struct lvm_text *t);

const struct lvm_node *lvm_child(const struct lvm_node *n, const char *name, enum lvm_kind kind);
/* False when it is not there or above ${max}. */
bool lvm_number(const struct lvm_node *n, const char *name, uint64_t max, uint64_t *ret);
/* "" when it is not there. */
const char *lvm_string(const struct lvm_node *n, const char *name);

#endif
