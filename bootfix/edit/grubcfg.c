/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "edit/grubcfg.h"

#include <strings.h>

#define LINE_MAX_LEN 65536U

/* clang-format off */
static const struct keyword {
	enum grubcfg_kind kind;
	const char *word;
	bool has_kernel;
} keywords[] = {
	{ GRUBCFG_GRUB2,    "linux",    true },
	{ GRUBCFG_GRUB2,    "linux16",  true },
	{ GRUBCFG_GRUB2,    "linuxefi", true },
	{ GRUBCFG_LEGACY,   "kernel",   true },
	{ GRUBCFG_LEGACY,   "module",   true },
	{ GRUBCFG_EXTLINUX, "append",   false },
	{ GRUBCFG_BLS,      "options",  false },
};
/* clang-format on */

enum grubcfg_kind grubcfg_kind_of(const char *path)
{
	const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;

	if (strstr(path, "/loader/entries/"))
		return GRUBCFG_BLS;
	if (!strcmp(base, "menu.lst") || !strcmp(base, "grub.conf"))
		return GRUBCFG_LEGACY;
	if (!strcmp(base, "extlinux.conf") || !strcmp(base, "syslinux.cfg"))
		return GRUBCFG_EXTLINUX;
	return GRUBCFG_GRUB2;
}

static const struct keyword *keyword_of(struct piece word, enum grubcfg_kind kind)
{
	for (size_t i = 0; i < sizeof keywords / sizeof keywords[0]; i++) {
		const struct keyword *k = &keywords[i];
		bool same = word.len == strlen(k->word) &&
			    (kind == GRUBCFG_EXTLINUX ? !strncasecmp(word.s, k->word, word.len)
						      : !memcmp(word.s, k->word, word.len));

		if (k->kind == kind && same)
			return k;
	}
	return NULL;
}

/* The kernel's path: the first word that is no option ("--type=linux"). */
static bool take_kernel(struct piece *rest, struct piece *ret)
{
	while (piece_word(rest, ret))
		if (!piece_begins(*ret, "--"))
			return true;
	return false;
}

/* RHEL 8: its entries say $kernelopts, and grub.cfg sets that where grubenv does not. */
static bool take_kernelopts(struct piece rest, const struct lines *l, struct grubcfg_line *ret)
{
	static const char *const sets[] = { "kernelopts=\"", "default_kernelopts=\"" };

	while (rest.len && is_blank(rest.s[0])) {
		rest.s++;
		rest.len--;
	}
	for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++) {
		size_t n = strlen(sets[i]);

		if (!piece_begins(rest, sets[i]) || rest.len == n || rest.s[rest.len - 1] != '"')
			continue;
		*ret = (struct grubcfg_line){ .number = l->number };
		ret->args = (struct span){ (size_t)(rest.s - l->text) + n, rest.len - n - 1 };
		ret->odd = l->line.len > LINE_MAX_LEN || memchr(rest.s + n, '"', rest.len - n - 1);
		return true;
	}
	return false;
}

bool grubcfg_next(struct lines *l, enum grubcfg_kind kind, struct grubcfg_line *ret)
{
	while (lines_next(l)) {
		struct piece rest = lines_piece(l), word, path = { 0 };
		const struct keyword *k;

		if (memchr(rest.s, 0, rest.len) || !piece_word(&rest, &word))
			continue;
		if (rest.len && rest.s[rest.len - 1] == '\r')
			rest.len--;
		if (kind == GRUBCFG_GRUB2 && piece_is(word, "set") && take_kernelopts(rest, l, ret))
			return true;
		k = keyword_of(word, kind);
		if (!k || (k->has_kernel && !take_kernel(&rest, &path)))
			continue;
		*ret = (struct grubcfg_line){ .number = l->number };
		if (path.len)
			ret->kernel = (struct span){ (size_t)(path.s - l->text), path.len };
		ret->args = (struct span){ (size_t)(rest.s - l->text), rest.len };
		ret->odd = l->line.len > LINE_MAX_LEN ||
			   (kind == GRUBCFG_GRUB2 && rest.len && rest.s[rest.len - 1] == '\\');
		return true;
	}
	return false;
}

bool grubcfg_by_number(const char *text, size_t len)
{
	struct lines l = { .text = text, .len = len };
	bool numbered = false;

	while (lines_next(&l)) {
		struct piece rest = lines_piece(&l), word[2];
		size_t n = piece_words(rest, word, 2);

		if (n && piece_begins(word[0], "search"))
			return false;
		if (n == 2 && piece_is(word[0], "set") && piece_begins(word[1], "root="))
			numbered = true;
	}
	return numbered;
}
