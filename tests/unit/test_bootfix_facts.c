/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Facts as a sender writes them, and as nobody should; and volumes by the source's names. */
#include "test.h"

#include "facts.h"
#include "guest.h"
#include "guest_open.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char good[] =
    "{\"version\":1,\"hostname\":\"h\",\"firmware\":\"uefi\",\"arch\":\"x86_64\",\"kernel\":\"6."
    "1\","
    "\"disks\":[{\"n\":1,\"name\":\"sda\",\"devlinks\":[\"/dev/disk/by-id/ata-X\"],"
    "\"size\":9007199254740993,\"logical_sector\":4096,\"partitions\":"
    "[{\"name\":\"sda1\",\"number\":1,\"start\":1048576,\"size\":1048576}]},"
    "{\"n\":0,\"name\":\"nvme0n1\",\"partitions\":[]},{\"n\":null,\"name\":\"sdb\"}],"
    "\"nics\":[{\"name\":\"ens3\",\"mac\":\"52:54:00:AA:00:01\",\"addresses\":[\"10.0.2.15/24\"]}],"
    "\"root\":\"/dev/sda1\",\"memory\":1,\"cpus\":2,\"future\":{},"
    "\"target\":{\"bus\":\"virtio-scsi\",\"nics\":[{\"mac\":\"52:54:00:bb:00:02\"}]}}";

static void what_a_sender_writes_is_read(void **state)
{
	struct facts f;
	struct err e = { 0 };

	(void)state;
	if (facts_parse(good, strlen(good), &f, &e) < 0)
		fail_msg("%s", e.text);
	assert_true(f.given);
	assert_int_equal(f.firmware, FIRMWARE_UEFI);
	assert_int_equal(f.n_disks, 3);
	assert_true(f.disks[0].size == UINT64_C(9007199254740993));
	assert_int_equal(f.disks[0].logical_sector, 4096);
	assert_int_equal(f.disks[1].logical_sector, 512);
	assert_false(f.disks[2].moved);
	assert_string_equal(f.nics[0].mac, "52:54:00:aa:00:01");
	assert_string_equal(f.nics[0].target_mac, "52:54:00:bb:00:02");
	assert_string_equal(f.target_bus, "virtio-scsi");
	facts_free(&f);
}

static void what_breaks_the_contract_is_refused_with_words(void **state)
{
	static const char *const bad[] = {
		"",
		"[]",
		"{\"version\":2}",
		"{\"version\":1,\"version\":1}",
		"{\"version\":1,\"hostname\":7}",
		"{\"version\":1,\"hostname\":\"a\\u0000b\"}",
		"{\"version\":1,\"hostname\":\"a\\nb\"}",
		"{\"version\":1,\"firmware\":\"openboot\"}",
		"{\"version\":1,\"disks\":[{\"n\":64,\"name\":\"sda\"}]}",
		"{\"version\":1,\"disks\":[{\"n\":-1,\"name\":\"sda\"}]}",
		"{\"version\":1,\"disks\":[{\"n\":null}]}",
		"{\"version\":1,\"disks\":[{\"n\":0,\"name\":\"a\"},{\"n\":0,\"name\":\"b\"}]}",
		"{\"version\":1,\"disks\":[{\"n\":0,\"name\":\"a\",\"logical_sector\":513}]}",
		"{\"version\":1,\"disks\":[{\"n\":0,\"name\":\"a\",\"partitions\":[{}]}]}",
		"{\"version\":1,\"nics\":[{\"name\":\"../x\",\"mac\":\"52:54:00:aa:00:01\"}]}",
		"{\"version\":1,\"nics\":[{\"name\":\"e\\\"x\",\"mac\":\"52:54:00:aa:00:01\"}]}",
		"{\"version\":1,\"nics\":[{\"name\":\"eth0\",\"mac\":\"52:54:00:aa:00:0g\"}]}",
		"{\"version\":1,\"target\":[]}",
	};
	struct facts f;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct err e = { 0 };

		if (!facts_parse(bad[i], strlen(bad[i]), &f, &e))
			fail_msg("accepted: %s", bad[i]);
		assert_int_equal(e.kind, ERR_PEER);
	}
}

static void add_vol(struct guest *g, unsigned disk, unsigned number, const char *uuid)
{
	struct vol *v = &g->vols[g->n_vols++];

	v->disk = disk;
	v->number = number;
	(void)snprintf(v->uuid, sizeof v->uuid, "%s", uuid);
}

static void names_of_the_source_lead_to_volumes(void **state)
{
	struct guest g = { .rootfd = -1, .root_vol = -1 };
	const struct vol *v = NULL;
	bool guessed;

	(void)state;
	g.vols = calloc(4, sizeof *g.vols);
	assert_non_null(g.vols);
	add_vol(&g, 0, 1, "AAAA");
	add_vol(&g, 1, 1, "BBBB");
	add_vol(&g, 1, 2, "CCCC");
	assert_int_equal(facts_parse(good, strlen(good), &g.facts, NULL), 0);
	assert_int_equal(guest_vol(&g, "/dev/sda1", &v, &guessed), VOL_FOUND);
	assert_ptr_equal(v, &g.vols[1]);
	assert_false(guessed);
	assert_int_equal(guest_vol(&g, "/dev/disk/by-id/ata-X-part2", &v, NULL), VOL_FOUND);
	assert_ptr_equal(v, &g.vols[2]);
	assert_int_equal(guest_vol(&g, "/dev/nvme0n1p1", &v, NULL), VOL_FOUND);
	assert_ptr_equal(v, &g.vols[0]);
	assert_int_equal(guest_vol(&g, "UUID=\"bbbb\"", &v, NULL), VOL_FOUND);
	assert_ptr_equal(v, &g.vols[1]);
	assert_int_equal(guest_vol(&g, "/dev/sdb1", &v, NULL), VOL_ABSENT);
	assert_int_equal(guest_vol(&g, "/dev/sda9", &v, NULL), VOL_ABSENT);
	assert_int_equal(guest_vol(&g, "/dev/sdq1", &v, NULL), VOL_UNKNOWN);
	assert_int_equal(guest_vol(&g, "/dev/mapper/vg-root", &v, NULL), VOL_UNKNOWN);
	facts_free(&g.facts);
	assert_int_equal(guest_vol(&g, "/dev/xvdb2", &v, &guessed), VOL_FOUND);
	assert_ptr_equal(v, &g.vols[2]);
	assert_true(guessed);
	/* The same UUID twice is nobody's. */
	(void)snprintf(g.vols[0].uuid, sizeof g.vols[0].uuid, "BBBB");
	assert_int_equal(guest_vol(&g, "UUID=BBBB", &v, NULL), VOL_ABSENT);
	guest_free(&g);
}

/* A sender that was given image files knows their sizes and not what the guest calls them. */
static void images_without_a_name_are_taken_and_their_names_guessed(void **state)
{
	static const char facts[] =
	    "{\"version\":1,\"disks\":[{\"n\":0,\"name\":null,\"devlinks\":[],"
	    "\"size\":1048576,\"logical_sector\":4096,\"serial\":null,\"partitions\":[]},"
	    "{\"n\":1,\"name\":null}]}";
	struct guest g = { .rootfd = -1, .root_vol = -1 };
	const struct vol *v = NULL;
	struct err e = { 0 };
	bool guessed = false;

	(void)state;
	g.vols = calloc(1, sizeof *g.vols);
	assert_non_null(g.vols);
	add_vol(&g, 1, 1, "BBBB");
	if (facts_parse(facts, strlen(facts), &g.facts, &e))
		fail_msg("%s", e.text);
	assert_int_equal(g.facts.n_disks, 2);
	assert_int_equal(g.facts.disks[0].logical_sector, 4096);
	assert_int_equal(guest_vol(&g, "/dev/sdb1", &v, &guessed), VOL_FOUND);
	assert_ptr_equal(v, &g.vols[0]);
	assert_true(guessed);
	guest_free(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_sender_writes_is_read),
		cmocka_unit_test(what_breaks_the_contract_is_refused_with_words),
		cmocka_unit_test(names_of_the_source_lead_to_volumes),
		cmocka_unit_test(images_without_a_name_are_taken_and_their_names_guessed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
