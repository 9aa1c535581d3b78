# shellcheck shell=bash disable=SC2034,SC2154 # shared names: the list is in lib.bash
# SPDX-License-Identifier: GPL-3.0-or-later
# ours.bash - receiverd and transit-send as the benchmarks run them

# What a fast line is given without being told, and what the parts are measured with.
connections=$(nproc)
((connections <= 8)) || connections=8

ours_codecs() {
	local word
	for word in raw lz4 zstd; do
		if ours_knows --codec "$word"; then echo "$word"; fi
	done
}

# Is this a value the sender takes? An unknown one ends with 2 before the invite is looked at.
ours_knows() {
	local text
	text=$("$bin/sender/transit-send" push --invite /nonexistent "$1" "$2" 2>&1 || true)
	[[ $text != *"$1 '$2'"* ]]
}

# ours_serve SIZE_UNUSED [OPTION...]: a receiver with a new state folder, paired for $work/target
ours_serve() {
	ours_receive "0=${ours_target:-$work/target}" "${@:2}"
	ours_ctl pair --disk 0 --out "$work/invite" >/dev/null
}

ours_receive() {
	local -a disks=()
	local a
	for a in "$@"; do
		if [[ $a =~ ^[0-9]+=/ ]]; then disks+=(--disk "$a"); else disks+=("$a"); fi
	done
	rm -rf "$work/state" "$work/invite" "$work/invite.state"
	mkdir -p "$work/state"
	"${ours_in[@]}" "$bin/receiver/receiverd" --state "$work/state" --listen "${ours_listen:-127.0.0.1:0}" \
		"${disks[@]}" 2>"$work/receiverd.log" &
	server=$!
	started "$server"
	wait_for 20 ours_is_up || { cat "$work/receiverd.log" >&2; die "receiverd did not start"; }
}

# Commands in front of receiver and sender (network namespaces), and where the receiver listens.
ours_in=()
ours_from=()
ours_listen=
ours_ctl() { "$bin/receiver/receiverctl" --socket "$work/state/control.sock" "$@"; }
ours_is_up() { [[ -s $work/state/listen ]] && ours_ctl status --json >/dev/null 2>&1; }

ours_push() {
	"${ours_from[@]}" "$bin/sender/transit-send" push --invite "$work/invite" --quiet --json --disk "$source=0" "$@" \
		>"$work/push.json" 2>"$work/push.log" || { cat "$work/push.log" "$work/push.json" >&2; return 1; }
}

# CPU seconds by role as JSON. A conn ends with its connection: its time is the launcher's of reaped
# children. Waits until all conns are reaped.
ours_cpu() {
	local own kids pid role seconds json
	wait_for 5 ours_no_conn || true
	read -r own kids < <(cpu_of "$server")
	json=$(jq -n --argjson own "$own" --argjson kids "$kids" '{launcher: $own, conn: $kids}')
	for pid in $(pgrep -P "$server"); do
		role=$(tr '\0' ' ' <"/proc/$pid/cmdline" | sed -n 's/.*--role \([a-z]*\).*/\1/p')
		read -r seconds _ < <(cpu_of "$pid")
		json=$(jq -c --arg role "${role:-other}" --argjson s "$seconds" '.[$role] = (.[$role] // 0) + $s' <<<"$json")
	done
	jq -c '.all = ([.[]] | add)' <<<"$json"
}

ours_no_conn() {
	local pid
	for pid in $(pgrep -P "$server"); do
		if tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -q -- '--role conn'; then return 1; fi
	done
	return 0
}

# Kilobytes of all roles now, as proportional set size.
ours_pss() {
	local pid
	for pid in "$server" $(pgrep -P "$server"); do
		cat "/proc/$pid/smaps_rollup" 2>/dev/null || true
	done | awk '/^Pss:/ { sum += $2 } END { print sum + 0 }'
}
