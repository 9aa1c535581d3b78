/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "task_state.h"

#include <errno.h>
#include <stdio.h>

struct task_edge_row {
	enum task_state from;
	enum task_event on;
	enum task_state to;
};

/* clang-format off */
static const struct task_edge_row edges[] = {
	/* from              on                       to */
	{ TASK_WAITING,      TASK_EV_PAIRED,          TASK_PAIRED      },

	{ TASK_PAIRED,       TASK_EV_UNPAIRED,        TASK_WAITING     },
	{ TASK_PAIRED,       TASK_EV_OPENED,          TASK_RECEIVING   },
	{ TASK_PAIRED,       TASK_EV_PAUSE,           TASK_PAUSED      },
	{ TASK_PAIRED,       TASK_EV_ABORT,           TASK_ABORTED     },
	{ TASK_PAIRED,       TASK_EV_CLEAN,           TASK_WAITING     },

	{ TASK_RECEIVING,    TASK_EV_LOST,            TASK_INTERRUPTED },
	{ TASK_RECEIVING,    TASK_EV_RESTARTED,       TASK_INTERRUPTED },
	{ TASK_RECEIVING,    TASK_EV_COMPLETE,        TASK_RECEIVED    },
	{ TASK_RECEIVING,    TASK_EV_PAUSE,           TASK_PAUSED      },
	{ TASK_RECEIVING,    TASK_EV_FAILED,          TASK_FAILED      },
	{ TASK_RECEIVING,    TASK_EV_ABORT,           TASK_ABORTED     },

	{ TASK_PAUSED,       TASK_EV_RESUME,          TASK_INTERRUPTED },
	{ TASK_PAUSED,       TASK_EV_FAILED,          TASK_FAILED      },
	{ TASK_PAUSED,       TASK_EV_ABORT,           TASK_ABORTED     },
	{ TASK_PAUSED,       TASK_EV_CLEAN,           TASK_WAITING     },

	{ TASK_INTERRUPTED,  TASK_EV_OPENED,          TASK_RECEIVING   },
	{ TASK_INTERRUPTED,  TASK_EV_COMPLETE,        TASK_RECEIVED    },
	{ TASK_INTERRUPTED,  TASK_EV_PAUSE,           TASK_PAUSED      },
	{ TASK_INTERRUPTED,  TASK_EV_FAILED,          TASK_FAILED      },
	{ TASK_INTERRUPTED,  TASK_EV_ABORT,           TASK_ABORTED     },
	{ TASK_INTERRUPTED,  TASK_EV_CLEAN,           TASK_WAITING     },

	{ TASK_RECEIVED,     TASK_EV_INCOMPLETE,      TASK_RECEIVING   },
	{ TASK_RECEIVED,     TASK_EV_PAUSE,           TASK_PAUSED      },
	{ TASK_RECEIVED,     TASK_EV_VERIFY,          TASK_VERIFYING   },
	{ TASK_RECEIVED,     TASK_EV_FAILED,          TASK_FAILED      },
	{ TASK_RECEIVED,     TASK_EV_ABORT,           TASK_ABORTED     },
	{ TASK_RECEIVED,     TASK_EV_CLEAN,           TASK_WAITING     },

	{ TASK_VERIFYING,    TASK_EV_EQUAL,           TASK_VERIFIED    },
	{ TASK_VERIFYING,    TASK_EV_DIFFERENT,       TASK_RECEIVING   },
	{ TASK_VERIFYING,    TASK_EV_VERIFY_STOPPED,  TASK_RECEIVED    },
	{ TASK_VERIFYING,    TASK_EV_RESTARTED,       TASK_RECEIVED    },
	{ TASK_VERIFYING,    TASK_EV_FAILED,          TASK_FAILED      },
	{ TASK_VERIFYING,    TASK_EV_ABORT,           TASK_ABORTED     },

	{ TASK_VERIFIED,     TASK_EV_OPENED,          TASK_RECEIVING   },
	{ TASK_VERIFIED,     TASK_EV_VERIFY,          TASK_VERIFYING   },
	{ TASK_VERIFIED,     TASK_EV_FINALIZE,        TASK_FINALIZING  },
	{ TASK_VERIFIED,     TASK_EV_ABORT,           TASK_ABORTED     },
	{ TASK_VERIFIED,     TASK_EV_CLEAN,           TASK_WAITING     },

	{ TASK_FINALIZING,   TASK_EV_FIXED,           TASK_READY       },
	{ TASK_FINALIZING,   TASK_EV_UNDONE,          TASK_VERIFIED    },
	{ TASK_FINALIZING,   TASK_EV_FAILED,          TASK_FAILED      },
	{ TASK_FINALIZING,   TASK_EV_ABORT,           TASK_ABORTED     },

	{ TASK_READY,        TASK_EV_FINALIZE,        TASK_FINALIZING  },
	{ TASK_READY,        TASK_EV_HANDED_BACK,     TASK_HANDED_BACK },
	{ TASK_READY,        TASK_EV_ABORT,           TASK_ABORTED     },
	{ TASK_READY,        TASK_EV_CLEAN,           TASK_WAITING     },

	{ TASK_HANDED_BACK,  TASK_EV_CLEAN,           TASK_WAITING     },

	{ TASK_FAILED,       TASK_EV_RETRY_DATA,      TASK_INTERRUPTED },
	{ TASK_FAILED,       TASK_EV_RETRY_VERIFY,    TASK_RECEIVED    },
	{ TASK_FAILED,       TASK_EV_RETRY_FIX,       TASK_VERIFIED    },
	{ TASK_FAILED,       TASK_EV_ABORT,           TASK_ABORTED     },
	{ TASK_FAILED,       TASK_EV_CLEAN,           TASK_WAITING     },

	{ TASK_ABORTED,      TASK_EV_RETRY_DATA,      TASK_INTERRUPTED },
	{ TASK_ABORTED,      TASK_EV_RETRY_FIX,       TASK_VERIFIED    },
	{ TASK_ABORTED,      TASK_EV_CLEAN,           TASK_WAITING     },
};

static const char *const event_words[TASK_EV_END_] = {
	[TASK_EV_PAIRED] = "paired",
	[TASK_EV_UNPAIRED] = "unpaired",
	[TASK_EV_OPENED] = "opened",
	[TASK_EV_LOST] = "lost",
	[TASK_EV_COMPLETE] = "complete",
	[TASK_EV_INCOMPLETE] = "incomplete",
	[TASK_EV_PAUSE] = "pause",
	[TASK_EV_RESUME] = "resume",
	[TASK_EV_VERIFY] = "verify",
	[TASK_EV_EQUAL] = "equal",
	[TASK_EV_DIFFERENT] = "different",
	[TASK_EV_VERIFY_STOPPED] = "verify-stopped",
	[TASK_EV_FINALIZE] = "finalize",
	[TASK_EV_FIXED] = "fixed",
	[TASK_EV_UNDONE] = "undone",
	[TASK_EV_HANDED_BACK] = "handed-back",
	[TASK_EV_FAILED] = "failed",
	[TASK_EV_RETRY_DATA] = "retry-data",
	[TASK_EV_RETRY_VERIFY] = "retry-verify",
	[TASK_EV_RETRY_FIX] = "retry-fix",
	[TASK_EV_ABORT] = "abort",
	[TASK_EV_CLEAN] = "clean",
	[TASK_EV_RESTARTED] = "restarted",
};

static const char *const next_steps[TASK_ABORTED + 1] = {
	[TASK_WAITING] = "receiverctl pair --disk N --out invite",
	[TASK_PAIRED] = "on the source: transit-send push --invite invite",
	[TASK_RECEIVING] = "wait, or receiverctl pause",
	[TASK_PAUSED] = "receiverctl resume",
	[TASK_INTERRUPTED] = "on the source: the same transit-send command again",
	[TASK_RECEIVED] = "on the source, services stopped: transit-send sync --invite invite --final",
	[TASK_VERIFYING] = "wait: the whole target is read again",
	[TASK_VERIFIED] = "receiverctl plan, then receiverctl finalize",
	[TASK_FINALIZING] = "wait: bootfix is at work",
	[TASK_READY] = "boot the disks; receiverctl undo takes the repairs back",
	[TASK_HANDED_BACK] = "receiverctl clean",
	[TASK_FAILED] = "receiverctl resume, or receiverctl abort",
	[TASK_ABORTED] = "receiverctl clean, or receiverctl resume to go on after all",
};
/* clang-format on */

const char *task_event_word(enum task_event on)
{
	if (on < TASK_EV_PAIRED || on >= TASK_EV_END_)
		return "unknown";
	return event_words[on];
}

const char *task_state_next(enum task_state s)
{
	if (s < TASK_WAITING || s > TASK_ABORTED)
		return "";
	return next_steps[s];
}

int task_edge(enum task_state from, enum task_event on, enum task_state *ret)
{
	for (size_t i = 0; i < sizeof edges / sizeof edges[0]; i++) {
		if (edges[i].from == from && edges[i].on == on) {
			*ret = edges[i].to;
			return 0;
		}
	}
	return -EINVAL;
}

static void copy_text(char dst[static TASK_TEXT_MAX], const char *src)
{
	(void)snprintf(dst, TASK_TEXT_MAX, "%s", src ? src : "");
}

int task_move(struct task *t, enum task_event on, const struct task_why *why, task_save_fn *save,
	      void *arg, struct err *e)
{
	struct task moved = *t;
	enum task_state to;
	int r;

	if (task_edge(t->state, on, &to))
		return err_set(
		    e, ERR_WRONG_STATE, EINVAL, "not possible while the task is %s; next: %s",
		    task_state_word(t->state), t->next[0] ? t->next : task_state_next(t->state));
	moved.state = to;
	copy_text(moved.reason, why ? why->reason : NULL);
	copy_text(moved.next, why ? why->next : NULL);
	if (on == TASK_EV_FAILED || (on == TASK_EV_ABORT && t->state != TASK_FAILED))
		moved.failed_from = t->state;
	r = save(&moved, arg, e);
	if (r)
		return r;
	*t = moved;
	return 0;
}
