/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "test.h"

#include <string.h>

#include "tickets.h"

#define HOUR_MS (3600 * 1000)

struct fixture {
	struct tickets tickets;
	struct pairing_code code; /* what the invite carried away */
	struct pairing_channel channel;
	struct msg_pair pair;
	uint8_t task[TASK_ID_LEN], proof[PROOF_LEN];
};

static int setup(void **state)
{
	static struct fixture f;

	memset(&f, 0, sizeof f);
	assert_int_equal(tickets_make(&f.tickets, 3600, 1000, NULL), 0);
	f.code = f.tickets.code;
	memset(f.channel.exporter, 1, sizeof f.channel.exporter);
	memset(f.channel.spki, 2, sizeof f.channel.spki);
	memset(f.pair.pub, 3, sizeof f.pair.pub);
	assert_int_equal(pairing_ticket(&f.code, f.pair.ticket), 0);
	assert_int_equal(pairing_proof_tx(&f.code, &f.channel, f.pair.pub, f.pair.proof), 0);
	*state = &f;
	return 0;
}

static enum wire_error check(struct fixture *f, const uint8_t *pinned)
{
	return tickets_check(&f->tickets, &f->pair, &f->channel, pinned, f->task, f->proof);
}

static void the_right_proof_is_answered_with_the_receivers(void **state)
{
	struct fixture *f = *state;
	uint8_t want[PROOF_LEN];

	assert_int_equal(check(f, NULL), 0);
	assert_int_equal(pairing_proof_rx(&f->code, &f->channel, f->pair.pub, f->task, want), 0);
	assert_memory_equal(f->proof, want, sizeof want);
}

static void a_proof_made_on_another_channel_is_the_wrong_code(void **state)
{
	struct fixture *f = *state;

	f->channel.exporter[0] ^= 1;
	assert_int_equal(check(f, NULL), WIRE_WRONG_CODE);
}

static void a_proof_made_for_another_key_is_the_wrong_code(void **state)
{
	struct fixture *f = *state;

	f->pair.pub[0] ^= 1;
	assert_int_equal(check(f, NULL), WIRE_WRONG_CODE);
}

static void a_flipped_bit_of_the_proof_is_the_wrong_code(void **state)
{
	struct fixture *f = *state;

	f->pair.proof[31] ^= 0x80;
	assert_int_equal(check(f, NULL), WIRE_WRONG_CODE);
}

static void a_code_dies_at_its_time_and_not_before(void **state)
{
	struct fixture *f = *state;

	assert_false(tickets_expire(&f->tickets, 1000 + HOUR_MS - 1));
	assert_int_equal(check(f, NULL), 0);
	assert_true(tickets_expire(&f->tickets, 1000 + HOUR_MS));
	assert_int_equal(check(f, NULL), WIRE_CODE_EXPIRED);
}

static void the_same_key_may_come_again_until_the_code_is_dead(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(check(f, f->pair.pub), 0);
}

static void another_key_with_the_code_hears_that_it_is_used(void **state)
{
	struct fixture *f = *state;
	uint8_t pinned[PUBKEY_LEN] = { 9 };

	assert_int_equal(check(f, pinned), WIRE_CODE_USED);
	tickets_retire(&f->tickets);
	assert_int_equal(check(f, pinned), WIRE_CODE_USED);
}

static void a_new_code_kills_the_one_before(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(tickets_make(&f->tickets, 3600, 1000, NULL), 0);
	assert_int_equal(check(f, NULL), WIRE_WRONG_CODE);
}

static void a_retired_code_leaves_no_bytes_in_memory(void **state)
{
	static const struct pairing_code nothing;
	struct fixture *f = *state;

	tickets_retire(&f->tickets);
	assert_memory_equal(&f->tickets.code, &nothing, sizeof nothing);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(the_right_proof_is_answered_with_the_receivers, setup),
		cmocka_unit_test_setup(a_proof_made_on_another_channel_is_the_wrong_code, setup),
		cmocka_unit_test_setup(a_proof_made_for_another_key_is_the_wrong_code, setup),
		cmocka_unit_test_setup(a_flipped_bit_of_the_proof_is_the_wrong_code, setup),
		cmocka_unit_test_setup(a_code_dies_at_its_time_and_not_before, setup),
		cmocka_unit_test_setup(the_same_key_may_come_again_until_the_code_is_dead, setup),
		cmocka_unit_test_setup(another_key_with_the_code_hears_that_it_is_used, setup),
		cmocka_unit_test_setup(a_new_code_kills_the_one_before, setup),
		cmocka_unit_test_setup(a_retired_code_leaves_no_bytes_in_memory, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
