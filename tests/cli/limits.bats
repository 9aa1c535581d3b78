#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-3.0-or-later
# How much of line, processor and disk a run takes, measured from outside of it.

# shellcheck source=tests/support/functions.bash
source "$BATS_TEST_DIRNAME/../support/functions.bash"

setup() { transit_setup; }
teardown() { transit_teardown; }

# begin_push MIB OPTION...: half random, half text, in the background
begin_push() {
	local half=$(($1 / 2))
	shift
	head -c "${half}M" /dev/urandom >"$WORK/source"
	seq 1 100000000 | head -c "${half}M" >>"$WORK/source"
	truncate -s "$(stat -c %s "$WORK/source")" "$WORK/target"
	start_receiver "0=$WORK/target"
	pair 0 >/dev/null
	"$transit_send" push --invite "$WORK/invite" --disk "$WORK/source=0" --retry 0 "$@" \
		>"$WORK/out" 2>"$WORK/err" 3>&- &
	SENDER_PID=$!
	wait_until 20 state_is receiving
}

# Bytes that all sockets of the receiver have got, by the kernel's count.
received() {
	ss -tinH state established "sport = :$LISTEN_PORT" |
		grep -o 'bytes_received:[0-9]*' | cut -d: -f2 | awk '{ s += $1 } END { print s + 0 }'
}

# rate_over SECONDS: bytes a second at the receiver
rate_over() {
	local t0 t1 b0 b1
	t0=$(date +%s%N)
	b0=$(received)
	sleep "$1"
	t1=$(date +%s%N)
	b1=$(received)
	awk -v b=$((b1 - b0)) -v t=$((t1 - t0)) 'BEGIN { printf "%d\n", b * 1e9 / t }'
}

# is_within PERCENT EXPECTED SEEN
is_within() {
	echo "# $3 where $2 were expected" >&3
	(($3 * 100 >= $2 * (100 - $1) && $3 * 100 <= $2 * (100 + $1)))
}

logged() { grep -qF "$1" "$WORK/err"; }

@test "a rate holds within 3 % over ten seconds, with 8 connections and lz4" {
	requires ss
	begin_push 96 --limit 4M --connections 8 --codec lz4
	sleep 1
	is_within 3 4194304 "$(rate_over 10)"
}

@test "a rate holds within 3 % over ten seconds, with one connection on a slow line" {
	requires ss
	begin_push 16 --limit 100K --connections 1
	sleep 1
	is_within 3 102400 "$(rate_over 10)"
}

@test "the rate of the hour is the one that holds" {
	requires ss
	local now from to
	now=$(date +%s)
	from=$(date -d "@$((now - 60))" +%H:%M)
	to=$(date -d "@$((now + 600))" +%H:%M)
	begin_push 64 --limit "16K,$from-$to=2M"
	sleep 1
	is_within 5 2097152 "$(rate_over 5)"
}

@test "limits change while the program runs, and a wrong file changes nothing" {
	requires ss
	echo 'limit = 1M' >"$WORK/limits"
	begin_push 160 --limits "$WORK/limits"
	sleep 1
	is_within 10 1048576 "$(rate_over 4)"

	echo 'limit = 4M' >"$WORK/limits"
	wait_until 10 logged 'limit: 4194304 bytes/s from now on'
	is_within 5 4194304 "$(rate_over 5)"

	printf 'limit = 4M\nspeed = 9M\n' >"$WORK/limits"
	wait_until 10 logged "line 2: unknown key 'speed'"
	is_within 5 4194304 "$(rate_over 4)"
	# the signal asks for another look at what has not changed
	kill -HUP "$SENDER_PID"
	wait_until 10 eval '(($(grep -c "unknown key" "$WORK/err") == 2))'

	# another file in its place
	printf 'limit = 2M\nnice = 9\n' >"$WORK/limits.new"
	mv "$WORK/limits.new" "$WORK/limits"
	wait_until 10 logged 'nice: 9 from now on'
	logged 'limit: 2097152 bytes/s from now on'
	is_within 5 2097152 "$(rate_over 5)"

	rm "$WORK/limits"
	wait_until 10 logged 'the values stay'
	kill -0 "$SENDER_PID"
	[[ $(grep -c 'from now on' "$WORK/err") -eq 3 ]]
}

@test "a file of limits that is wrong at the start is refused by its line" {
	make_disk "$WORK/source" 3
	make_target "$WORK/target" 3
	start_receiver "0=$WORK/target"
	pair 0
	printf '\ncpu = 1\n' >"$WORK/limits"
	run send push --invite "$WORK/invite" --disk "$WORK/source=0" --limits "$WORK/limits"
	echo "$output"
	[[ $status -eq 2 && $output == *"line 2"*"5 to 800"* ]]
}

# CPU time of the sender so far, in ticks of 1/100 s
cpu_ticks() { awk '{ sub(/.*\) /, ""); print $12 + $13 }' "/proc/$SENDER_PID/stat"; }

@test "a ceiling of the processor holds within a tenth over ten seconds" {
	[[ $(getconf CLK_TCK) -eq 100 ]] || skip "needs ticks of 1/100 s"
	begin_push 512 --cpu 20 --connections 4
	sleep 1
	local t0 c0 c percent
	t0=$(date +%s%N)
	c0=$(cpu_ticks)
	sleep 10
	c=$(($(cpu_ticks) - c0))
	percent=$((c * 1000000000 / ($(date +%s%N) - t0)))
	echo "# $percent % where 20 were allowed" >&3
	# the lower bound is for a machine that gives us less than we may take
	((percent <= 22 && percent >= 5))
	kill -0 "$SENDER_PID"
}

# The nice value of each thread, sorted and once.
nices() {
	local task
	for task in /proc/"$SENDER_PID"/task/*; do
		awk '{ sub(/.*\) /, ""); print $17 }' "$task/stat"
	done | sort -u
}
ionices() {
	local task
	for task in /proc/"$SENDER_PID"/task/*; do ionice -p "${task##*/}"; done | sort -u
}

@test "nice and I/O class are those of all threads, and may change" {
	requires ionice
	echo >"$WORK/limits"
	begin_push 64 --limit 1M --connections 4 --nice 5 --ionice idle --limits "$WORK/limits"
	wait_until 10 eval '(($(ls "/proc/$SENDER_PID/task" | wc -l) >= 5))'
	[[ $(nices) == 5 ]]
	[[ $(ionices) == idle ]]
	printf 'nice = 11\nionice = best-effort:6\n' >"$WORK/limits"
	wait_until 10 logged 'ionice: best-effort:6 from now on'
	[[ $(nices) == 11 ]]
	[[ $(ionices) == "best-effort: prio 6" ]]
}
