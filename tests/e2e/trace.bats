#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# Rounds by the kernel's block trace, in a machine with a kernel that has it: what is written in every
# way while the first round runs is read by the second, and little else; whatever goes wrong with the
# trace costs a full round and never a byte.

# shellcheck source=tests/support/functions.bash
source "$BATS_TEST_DIRNAME/../support/functions.bash"
# shellcheck source=tests/support/move.bash
source "$BATS_TEST_DIRNAME/../support/move.bash"

MAIN_MIB=96 # one partition with a file system, one without, and space behind both
SIDE_MIB=16

setup() {
	requires qemu-system-x86_64 socat cpio mke2fs sfdisk
	requires_root
	[[ -x $BUILD/sender/transit-send-static && -x $BUILD/tests/scribble ]] ||
		skip "needs static programs: a build without sanitizers"
	move_setup
	lab_home=$BATS_TEST_DIRNAME/../guests
	lab_image=$TRANSIT_CACHE/lab
	lab_timeout=800
	# shellcheck source=tests/support/guest-lab.bash
	source "$BATS_TEST_DIRNAME/../support/guest-lab.bash"
	"$BATS_TEST_DIRNAME/../../appliance/build.sh" "$lab_image" 3>&- >&2
	START_SECONDS=60
	SIDE_PID=
}
teardown() {
	[[ -z $SIDE_PID ]] || end_process "$SIDE_PID"
	transit_teardown
}

# The file system is whole from the beginning: nothing in the kernel goes on writing to it later.
make_main() {
	dd if=/dev/urandom of="$1" bs=1M count=$MAIN_MIB status=none
	sfdisk -q "$1" <<-'END'
	label: dos
	start=2048, size=81920
	start=83968, size=81920
	END
	mkdir "$WORK/tree"
	head -c 8388608 /dev/urandom >"$WORK/tree/old"
	mke2fs -q -F -t ext4 -E offset=1048576,lazy_itable_init=0,lazy_journal_init=0 \
		-d "$WORK/tree" "$1" 40M
}

make_job() {
	mkdir "$WORK/job"
	cp "$BUILD/sender/transit-send-static" "$WORK/job/transit-send"
	cp "$BUILD/tests/scribble" "$WORK/job/"
	cp "$WORK/invite" "$WORK/side-invite" "$WORK/job/"
	mke2fs -q -t ext4 -L job -d "$WORK/job" "$WORK/job.img" 64M
}

# What runs in the machine. A part that fails is named on its console and ends it.
write_script() {
	cat >"$WORK/script" <<-'END'
	exec >/dev/console 2>&1
	modprobe e1000; modprobe ext4
	ip addr add 10.0.2.15/24 dev eth0; ip link set eth0 up
	mkdir -p /job /main /dbg
	# What nobody syncs stays in memory.
	echo 0 >/proc/sys/vm/dirty_writeback_centisecs
	echo 360000 >/proc/sys/vm/dirty_expire_centisecs
	mount /dev/sdc /job
	# Not where the programs look for it: they must do without.
	mount -t debugfs none /dbg
	cd /job

	# push NAME DISK INVITE [ENVIRONMENT]: in the background, and stopped once it reads its trace
	push() {
		name=$1; dev=$2
		env ${4-} ./transit-send push --invite $3 --disk /dev/$dev=0 --once --connections 1 --all-blocks \
			--limit 1500K --json >$name.json 2>$name.err &
		pid=$!
		n=0
		until grep -qs transit-trace /proc/$pid/task/*/comm || grep -q 'by digests' $name.err ||
			[ $n -gt 1000 ]; do
			sleep 0.02; n=$((n + 1))
		done
		kill -STOP $pid || true
	}
	ended() { kill -CONT $pid || true; rc=0; wait $pid || rc=$?; echo "$name $rc" >>codes; }
	gone() {
		n=0
		while [ -e /dbg/block/$1/trace0 ]; do
			[ $n -lt 300 ] || { echo "LAB: the trace of $1 is still there"; exit 1; }
			sleep 0.1; n=$((n + 1))
		done
	}

	kill_both() {
		guard=$(cat /proc/$pid/task/$pid/children)
		kill -KILL $guard; kill -KILL $pid
		ended
		[ -e /dbg/block/sdb/trace0 ]
	}

	# Somebody else's trace is left alone, also where one of ours was before.
	push left sdb side-invite; kill_both
	./scribble /dev/sdb untrace; ./scribble /dev/sdb trace
	push foreign sdb side-invite; ended
	[ -e /dbg/block/sdb/trace0 ]; ./scribble /dev/sdb untrace

	# Killed: a process of ours takes the trace away. With both killed, the next run does.
	push killed sdb side-invite; kill -KILL $pid; ended
	gone sdb
	push termed sdb side-invite; kill -TERM $pid; ended
	[ ! -e /dbg/block/sdb/trace0 ]
	push both sdb side-invite; kill_both
	push stale sdb side-invite; ended
	gone sdb
	# Taken away by somebody else while the first round runs.
	push torn sdb side-invite; ./scribble /dev/sdb untrace; ended

	# More events than the buffers hold.
	push loss sdb side-invite TRANSIT_TRACE_BUFFERS=512x2
	./scribble /dev/sdb 0 16777216 direct 200 7
	ended

	# The main case. What is written: to a partition, to the disk outside of all partitions (last of
	# all through its page cache, where the round has been already), through a file system; some of it runs beside the round, nothing of it is synced by us.
	mount -o noatime /dev/sda1 /main
	push main sda invite
	kill -CONT $pid
	./scribble /dev/sda2 0 41943040 direct 20 1
	n=0
	until [ $(sed -n 's/^read_bytes: //p' /proc/$pid/io) -gt 2097152 ] || [ $n -gt 1000 ]; do
		sleep 0.05; n=$((n + 1))
	done
	kill -STOP $pid
	./scribble /dev/sda2 0 41943040 sync 10 2
	./scribble /dev/sda2 0 41943040 discard 5 3
	./scribble /dev/sda2 0 41943040 zeroes 5 4
	./scribble /dev/sda 88080384 8388608 direct 10 5
	./scribble /dev/sda 65536 917504 buffered 10 10
	./scribble /main/old 0 8388608 mmap 10 6
	./scribble /main/old 0 8388608 direct 10 7
	./scribble /main/old 0 8388608 sync 10 8
	./scribble /main/old 0 8388608 buffered 10 9
	mkdir /main/new; cp /job/transit-send /main/new/copy
	sha256sum /main/old /main/new/copy >sums
	ended
	END
}

from_job() { debugfs -R "cat $1" "$WORK/job.img" 2>/dev/null; }

start_side() {
	local state=$STATE main=$RECEIVER_PID
	STATE=$WORK/side-state RECEIVER_PID='' LISTEN_PORT=''
	start_receiver "0=$WORK/side-target" --block-size 64K
	SIDE_PID=$RECEIVER_PID SIDE_PORT=$LISTEN_PORT
	ctl pair --disk 0 --out "$WORK/side-invite" --address 10.0.2.101:8443
	STATE=$state RECEIVER_PID=$main
}

differing() { "$BUILD/tests/scribble" "$1" differ "$2"; }

@test "what is written during a round is read in the next one; a lost trace costs a round" {
	make_main "$WORK/main.img"
	dd if=/dev/urandom of="$WORK/side.img" bs=1M count=$SIDE_MIB status=none
	cp "$WORK/main.img" "$WORK/before.img"
	truncate -s ${MAIN_MIB}M "$WORK/main-target"
	truncate -s ${SIDE_MIB}M "$WORK/side-target"
	start_receiver "0=$WORK/main-target" --block-size 64K
	main_port=$LISTEN_PORT
	ctl pair --disk 0 --out "$WORK/invite" --address 10.0.2.100:8443
	start_side
	make_job
	write_script
	lab_forward="10.0.2.100:$main_port 10.0.2.101:$SIDE_PORT" \
		lab_run "$WORK/script" "$WORK/lab.log" - -- "$WORK/main.img" "$WORK/side.img" "$WORK/job.img" ||
		{ tail -30 "$WORK/lab.log"; from_job codes; from_job main.err | tail; return 1; }
	from_job codes
	for name in foreign killed both stale torn loss main; do
		echo "$name: $(from_job $name.json | jq -c '{rounds, verified, bytes_read, disk: .disks[0] | {tracking, trace_lost, tracked_bytes}}')"
	done

	from_job codes | grep -qx 'main 0'
	from_job main.json | jq -e '.verified and .rounds == 2'
	from_job main.json | jq -e '.disks[0] | .tracking == "trace" and .trace_lost == null'
	# The second round read what changed, and hardly more.
	changed=$(differing "$WORK/before.img" "$WORK/main.img" | awk '{ print int($1 / 16) }' | uniq | wc -l)
	read_again=$(from_job main.json | jq ".bytes_read - $MAIN_MIB * 1048576")
	echo "changed $((changed * 65536)), read again $read_again"
	((changed > 80 && read_again * 10 <= changed * 65536 * 11))

	# All of it arrived. The file system itself goes on after its thaw: a mark in its superblock.
	after=$(differing "$WORK/main.img" "$WORK/main-target" | tr '\n' ' ')
	echo "4 KiB blocks written after the thaw: $after"
	[[ -z $after || $after == "256 " ]]
	dd if="$WORK/main-target" of="$WORK/fs" bs=1M skip=1 count=40 status=none
	e2fsck -fn "$WORK/fs"
	for file in old new/copy; do
		sum=$(debugfs -R "cat /$file" "$WORK/fs" 2>/dev/null | sha256sum | cut -d' ' -f1)
		from_job sums | grep -q "^$sum  /main/$file$"
	done

	from_job foreign.json | jq -e '.verified and .disks[0].trace_lost == "in-use"'
	from_job codes | grep -qx 'killed 137'
	from_job codes | grep -qx 'termed 3'
	from_job codes | grep -qx 'both 137'
	from_job stale.json | jq -e '.verified and .disks[0].tracking == "trace"'
	from_job torn.json | jq -e '.verified and .disks[0].trace_lost == "gone"'
	from_job loss.json | jq -e '.verified and .disks[0].tracking == "digests" and .disks[0].trace_lost == "dropped"'
	from_job loss.json | jq -e ".bytes_read == 2 * $SIDE_MIB * 1048576"
	from_job loss.err | grep -q 'changes are found by digests in this round: more events'
	cmp "$WORK/side.img" "$WORK/side-target"
}
