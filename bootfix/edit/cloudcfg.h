/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * cloudcfg.h - what one file of cloud-init's configuration says about two of its settings
 *
 * Shape   YAML, of which only keys in the first column count. A value goes on over the lines that
 *         are indented or begin with "-". Blanks, quotes and comments make no difference.
 * Rule    what is not exactly the wanted value, in one of its usual spellings, is CLOUDCFG_OTHER.
 */
#ifndef EDIT_CLOUDCFG_H
#define EDIT_CLOUDCFG_H

#include "edit/lines.h"

enum cloudcfg_value { CLOUDCFG_UNSET, CLOUDCFG_OFF, CLOUDCFG_OTHER };

struct cloudcfg {
	enum cloudcfg_value datasources; /* CLOUDCFG_OFF: datasource_list: [ None ] */
	enum cloudcfg_value network;     /* CLOUDCFG_OFF: network: {config: disabled} */
};

/* Settings that the text has replace those in ${into}, the last one of a key last: read the files
 * in their order, and what is left is what cloud-init goes by. */
void cloudcfg_read(const char *text, size_t len, struct cloudcfg *into);

#endif
