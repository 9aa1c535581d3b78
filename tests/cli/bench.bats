#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# The benchmark command at its smallest: does it run, is its JSON what docs/benchmarks.md says, and does
# it see a copy that is wrong? Nothing here judges speed.

# shellcheck source=tests/support/functions.bash
source "$BATS_TEST_DIRNAME/../support/functions.bash"

setup() {
	requires nbdkit nbdcopy qemu-img qemu-nbd ssh rsync lz4 socat openssl ssh-keygen jq ss pgrep cmake
	[[ -x $(command -v sshd || echo /usr/sbin/sshd) ]] || skip "needs sshd"
	transit_setup
	cmake --build "$BUILD" --target bench_image bench_parts >"$WORK/build.log" 2>&1 ||
		{ cat "$WORK/build.log"; return 1; }
}
teardown() { transit_teardown; }

bench() { BUILD=$BUILD "$BATS_TEST_DIRNAME/../../scripts/bench.sh" --quick --runs 1 --size 8M --out "$WORK/out" "$@" 3>&-; }

@test "peers and cpu run, print tables and write JSON" {
	run bench peers cpu
	echo "$output"
	[ "$status" -eq 0 ]
	[[ $output == *"copy without proof"* && $output == *"Receiver, CPU seconds per GiB"* ]]
	local section
	for section in peers cpu; do
		jq -e '(.section | type) == "string" and .quick and .runs == 1 and .size == 8388608
			and (.machine | .cpu and .cores and .memory and .kernel)
			and (.tables | length > 0) and all(.tables[]; (.columns | length) as $n | (.rows | length > 0) and all(.rows[]; length == $n))
			and all(.verdicts[]; .what and .bound and .verdict)' "$WORK/out/$section.json"
	done
	# every peer and ours, on both images, each equal to its source
	jq -e '[.raw[] | select(.name != "parts")] | group_by(.image) | length == 2 and all(.[];
		(map(.name) | contains(["nbdcopy", "qemu_img", "dd_ssh", "dd_lz4_tls", "rsync", "ours", "ours_proof"]))
		and all(.[]; .same and .wall > 0))' "$WORK/out/peers.json"
	jq -e 'all(.raw[] | select(.name == "ours_proof"); .verified)' "$WORK/out/peers.json"
	# a quick run judges what is right, not what is fast
	jq -e '[.verdicts[].verdict] | (index("PASS") != null) and (index("FAIL") == null)' "$WORK/out/peers.json"
	jq -e '[.raw[] | select(.kind == "parts").parts.seconds | .tls_receive > 0 and .tls_send > 0] | all and length >= 4' "$WORK/out/cpu.json"
	# and its figures never get into a document
	run "$BATS_TEST_DIRNAME/../../scripts/bench.sh" --doc --out "$WORK/out"
	[ "$status" -eq 1 ]
	[[ $output == *"is of a quick run"* && $output == *"no results"* ]]
}

@test "a result that differs from its source is reported as different and fails" {
	TRANSIT_BENCH_SPOIL=rsync run bench peers
	echo "$output"
	[ "$status" -eq 1 ]
	[[ $output == *"FAIL  mixed: every result equals the source"* ]]
	jq -e '[.raw[] | select(.same == false).name] | unique == ["rsync"]' "$WORK/out/peers.json"
	[ -z "$(ls -d /dev/shm/transit-bench.* 2>/dev/null)" ] || ls -ld /dev/shm/transit-bench.*
}
