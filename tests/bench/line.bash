# shellcheck shell=bash disable=SC2034,SC2154 # shared names: the list is in lib.bash
# SPDX-License-Identifier: GPL-3.0-or-later
# line.bash - two network namespaces and tests/bench/wire.c between them
#
# The addresses are of the range that is kept for documentation, and exist in these namespaces only.

line_a=192.0.2.1
line_b=192.0.2.2

line_possible() {
	[[ $EUID -eq 0 && -c /dev/net/tun ]] && ip netns list >/dev/null 2>&1
}

# line_up MBIT RTT_MS LOSS_PERCENT: sets space_a, space_b, line_rate (bits), line_mtu, line_log
line_up() {
	local delay=$(($2 * 500)) loss queue i
	line_rate=$(($1 * 1000000))
	line_mtu=1500
	(($1 < 1000)) || line_mtu=9000
	loss=$(awk -v l="$3" 'BEGIN { printf "%d", l * 10000 }')
	queue=$((line_rate / 80)) # 100 ms
	((queue > 65536)) || queue=65536
	space_a=transit-$$-a
	space_b=transit-$$-b
	for i in "$space_a" "$space_b"; do
		ip netns add "$i"
		bench_spaces+=("$i")
		ip -n "$i" link set lo up
	done
	line_log=$work/line.log
	rm -f "$line_log"
	"$bin/tests/bench_wire" "$space_a" "$space_b" "$line_rate" "$delay" "$loss" "$line_mtu" "$queue" 7 >"$line_log" &
	line_pid=$!
	started "$line_pid"
	wait_for 10 grep -qs up "$line_log"
	ip -n "$space_a" addr add "$line_a/30" dev wire0
	ip -n "$space_b" addr add "$line_b/30" dev wire0
	ip -n "$space_a" link set wire0 up
	ip -n "$space_b" link set wire0 up
	ours_in=(ip netns exec "$space_b")
	ours_from=(ip netns exec "$space_a")
	ours_listen=$line_b:0
}

line_down() {
	ended "$line_pid"
	ip netns del "$space_a"
	ip netns del "$space_b"
	bench_spaces=()
	ours_in=()
	ours_from=()
	ours_listen=
}

# line_use FROM TO: of the line's capacity between two wall clock times (s): how much of it packets to
# the receiver took. Bytes are IP packets, headers and retransmissions included.
line_use() {
	awk -v from="$1" -v to="$2" -v rate="$line_rate" '
		$1 == "up" { next }
		{ t = $1 / 1000; b = $2 }
		t <= from || !n { t0 = t; b0 = b; n = 1; t1 = t; b1 = b }
		t <= to { t1 = t; b1 = b }
		END { if (t1 > t0) printf "%.4f", (b1 - b0) * 8 / (rate * (t1 - t0)); else printf "null" }' "$line_log"
}

line_losses() { awk 'NF == 7 { d = $3; l = $4 } END { printf "{\"dropped\": %d, \"lost\": %d}", d, l }' "$line_log"; }
