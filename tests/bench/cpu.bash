# shellcheck shell=bash disable=SC2034,SC2154 # shared names: the list is in lib.bash
# SPDX-License-Identifier: GPL-3.0-or-later
# cpu - processor time of both ends against the sum of their parts, measured in the same rounds
#
# A copy without a final round first: conn, writer, keeper, launcher. Then the final round by itself,
# whose cost at the receiver is the verification.

# Which digests a mode costs: MODE:WIRE, with auto and fast named as the sender names them.
cpu_modes() {
	if ! ours_knows --digest fast; then
		echo sha256
	elif $quick; then
		echo auto
	else
		echo auto fast strong
	fi
}

cpu_run() { # IMAGE ROUND CODEC MODE
	local copy sync_cpu sender
	local -a digest=()
	[[ $4 == sha256 ]] || digest=(--digest "$4")
	fresh_target "$size"
	ours_serve "$size"
	timed ours_push --connections "$connections" --codec "$3" "${digest[@]}" || die "the copy failed"
	sender=$t_cpu
	local wall=$t_wall here=$load
	copy=$(ours_cpu)
	"$bin/sender/transit-send" sync --final --no-freeze --invite "$work/invite" --quiet --json \
		--disk "$source=0" "${digest[@]}" >"$work/sync.json" 2>"$work/push.log" ||
		{ cat "$work/push.log" "$work/sync.json" >&2; die "the final round failed"; }
	sync_cpu=$(ours_cpu)
	ended "$server"
	spoil cpu
	row --arg image "$1" --argjson round "$2" --arg codec "$3" --arg mode "$4" --argjson wall "$wall" \
		--argjson sender "$sender" --argjson receiver "$copy" --argjson after "$sync_cpu" --argjson load "$here" \
		--argjson same "$(same_content "$source" "$work/target")" \
		'{$image, $round, kind: "copy", $codec, $mode, $wall, $sender, $receiver, verification: ($after.all - $receiver.all), $same, $load}'
	note "$1 $2 $3 $4: receiver $(jq .all <<<"$copy") s, sender $sender s of CPU"
}

cpu_parts() { # IMAGE ROUND CODEC
	local parts
	fresh_target "$size"
	parts=$("$bin/tests/bench_parts" "$3" "$source" "$work/target" "$tls/server-cert.pem" "$tls/server-key.pem" "$connections")
	row --arg image "$1" --argjson round "$2" --arg codec "$3" --argjson parts "$parts" \
		'{$image, $round, kind: "parts", $codec, $parts}'
}

bench_cpu() {
	local image codec mode i
	have_memory $((2 * size)) || { not_run cpu $((2 * size)); return 0; }
	peers_prepare
	rows_begin cpu
	for image in mixed dense; do
		say "cpu: $image, $(human "$size")"
		source=$work/source
		make_image "$image" "$source" "$size"
		for ((i = 1; i <= runs; i++)); do
			for codec in $(ours_codecs); do
				cpu_parts "$image" "$i" "$codec"
				for mode in $(cpu_modes); do cpu_run "$image" "$i" "$codec" "$mode"; done
			done
		done
	done
	rm -f "$work/source" "$work/target"
	report cpu
}
