/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "task_state.h"

/* The drawing of docs/task-states.md as lines, written apart from the table it is compared with. */
static const char *const drawn[] = {
	"waiting --paired--> paired",
	"paired --unpaired--> waiting",
	"paired --opened--> receiving",
	"paired --pause--> paused",
	"paired --abort--> aborted",
	"paired --clean--> waiting",
	"receiving --lost--> interrupted",
	"receiving --restarted--> interrupted",
	"receiving --complete--> received",
	"receiving --pause--> paused",
	"receiving --failed--> failed",
	"receiving --abort--> aborted",
	"paused --resume--> interrupted",
	"paused --failed--> failed",
	"paused --abort--> aborted",
	"paused --clean--> waiting",
	"interrupted --opened--> receiving",
	"interrupted --complete--> received",
	"interrupted --pause--> paused",
	"interrupted --failed--> failed",
	"interrupted --abort--> aborted",
	"interrupted --clean--> waiting",
	"received --incomplete--> receiving",
	"received --pause--> paused",
	"received --verify--> verifying",
	"received --failed--> failed",
	"received --abort--> aborted",
	"received --clean--> waiting",
	"verifying --equal--> verified",
	"verifying --different--> receiving",
	"verifying --verify-stopped--> received",
	"verifying --restarted--> received",
	"verifying --failed--> failed",
	"verifying --abort--> aborted",
	"verified --opened--> receiving",
	"verified --verify--> verifying",
	"verified --finalize--> finalizing",
	"verified --abort--> aborted",
	"verified --clean--> waiting",
	"finalizing --fixed--> ready",
	"finalizing --undone--> verified",
	"finalizing --failed--> failed",
	"finalizing --abort--> aborted",
	"ready --finalize--> finalizing",
	"ready --handed-back--> handed-back",
	"ready --abort--> aborted",
	"ready --clean--> waiting",
	"handed-back --clean--> waiting",
	"failed --retry-data--> interrupted",
	"failed --retry-verify--> received",
	"failed --retry-fix--> verified",
	"failed --abort--> aborted",
	"failed --clean--> waiting",
	"aborted --retry-data--> interrupted",
	"aborted --retry-fix--> verified",
	"aborted --clean--> waiting",
};
#define N_DRAWN (sizeof drawn / sizeof drawn[0])

static bool is_drawn(const char *line)
{
	for (size_t i = 0; i < N_DRAWN; i++) {
		if (!strcmp(drawn[i], line))
			return true;
	}
	return false;
}

static void the_table_has_the_drawn_edges_and_no_other(void **state)
{
	size_t found = 0;

	(void)state;
	for (int from = TASK_WAITING; from <= TASK_ABORTED; from++) {
		for (int on = TASK_EV_PAIRED; on < TASK_EV_END_; on++) {
			enum task_state to = TASK_FAILED;
			char line[100];

			if (task_edge((enum task_state)from, (enum task_event)on, &to))
				continue;
			(void)snprintf(line, sizeof line, "%s --%s--> %s",
				       task_state_word((enum task_state)from),
				       task_event_word((enum task_event)on), task_state_word(to));
			if (!is_drawn(line))
				fail_msg("%s is in the table and not in the drawing", line);
			found++;
		}
	}
	assert_int_equal(found, N_DRAWN);
}

static void every_state_but_waiting_can_be_cleaned_perhaps_after_an_abort(void **state)
{
	(void)state;
	for (int from = TASK_PAIRED; from <= TASK_ABORTED; from++) {
		enum task_state to;

		if (task_edge((enum task_state)from, TASK_EV_CLEAN, &to)) {
			assert_int_equal(task_edge((enum task_state)from, TASK_EV_ABORT, &to), 0);
			assert_int_equal(to, TASK_ABORTED);
		}
	}
}

static void every_state_says_what_to_do_next(void **state)
{
	(void)state;
	for (int s = TASK_WAITING; s <= TASK_ABORTED; s++)
		assert_true(strlen(task_state_next((enum task_state)s)) > 4);
}

struct saved {
	struct task task;
	int calls, result;
};

static int save(const struct task *t, void *arg, struct err *e)
{
	struct saved *s = arg;

	s->task = *t;
	s->calls++;
	return s->result ? err_set(e, ERR_SYS, -s->result, "save") : 0;
}

static void a_change_is_saved_before_it_is_seen(void **state)
{
	struct saved s = { .result = -ENOSPC };
	struct task t;
	struct err e = { 0 };

	(void)state;
	task_init(&t);
	assert_int_equal(task_move(&t, TASK_EV_PAIRED, NULL, save, &s, &e), -ENOSPC);
	assert_int_equal(s.task.state, TASK_PAIRED);
	assert_int_equal(t.state, TASK_WAITING);
	s.result = 0;
	assert_int_equal(task_move(&t, TASK_EV_PAIRED, NULL, save, &s, &e), 0);
	assert_int_equal(t.state, TASK_PAIRED);
}

static void an_event_without_an_edge_changes_and_saves_nothing(void **state)
{
	struct saved s = { 0 };
	struct task t;
	struct err e = { 0 };

	(void)state;
	task_init(&t);
	assert_true(task_move(&t, TASK_EV_EQUAL, NULL, save, &s, &e) < 0);
	assert_int_equal(e.kind, ERR_WRONG_STATE);
	/* what can be done instead */
	assert_non_null(strstr(e.text, task_state_next(TASK_WAITING)));
	assert_int_equal(s.calls, 0);
	assert_int_equal(t.state, TASK_WAITING);
}

static void a_failure_remembers_where_it_came_from_and_a_success_forgets_the_reason(void **state)
{
	const struct task_why why = { "disk 0: broken", "replace it" };
	struct saved s = { 0 };
	struct task t;

	(void)state;
	task_init(&t);
	t.state = TASK_VERIFYING;
	assert_int_equal(task_move(&t, TASK_EV_FAILED, &why, save, &s, NULL), 0);
	assert_int_equal(t.failed_from, TASK_VERIFYING);
	assert_string_equal(t.reason, "disk 0: broken");
	assert_string_equal(t.next, "replace it");
	assert_int_equal(task_move(&t, TASK_EV_RETRY_VERIFY, NULL, save, &s, NULL), 0);
	assert_string_equal(t.reason, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_table_has_the_drawn_edges_and_no_other),
		cmocka_unit_test(every_state_but_waiting_can_be_cleaned_perhaps_after_an_abort),
		cmocka_unit_test(every_state_says_what_to_do_next),
		cmocka_unit_test(a_change_is_saved_before_it_is_seen),
		cmocka_unit_test(an_event_without_an_edge_changes_and_saves_nothing),
		cmocka_unit_test(
		    a_failure_remembers_where_it_came_from_and_a_success_forgets_the_reason),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
