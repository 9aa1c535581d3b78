# shellcheck shell=bash disable=SC2034,SC2154 # shared names: the list is in lib.bash
# SPDX-License-Identifier: GPL-3.0-or-later
# lib.bash - what the sections of scripts/bench.sh share: a place in memory, processes that are ended,
# clocks, rows, tables. A section appends one JSON object a run with row(), and turns all of them into
# tables and verdicts with report(); no figure is written by hand anywhere.
#
# Globals: top (the repository), bin (build/release), out, runs, size (bytes), quick (true/false),
# work (a folder in memory), rows (the file row() appends to), load (at the begin of the last run).

bench_pids=()
bench_mounts=()
bench_loops=()
bench_spaces=()
bench_folders=()

say() { printf '\n== %s\n' "$*" >&2; }
note() { printf '   %s\n' "$*" >&2; }
die() {
	echo "bench.sh: $*" >&2
	exit 1
}

# ---- what is made is taken away, whatever happens ----

bench_begin() {
	work=$(mktemp -d "${TRANSIT_BENCH_MEMORY:-/dev/shm}/transit-bench.XXXXXX")
	bench_folders+=("$work")
	mkdir -p "$out"
	trap bench_end EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP PIPE
}

bench_end() {
	local x
	for x in "${bench_pids[@]}"; do end_process "$x"; done
	for x in "${bench_mounts[@]}"; do umount "$x" 2>/dev/null || true; done
	for x in "${bench_loops[@]}"; do losetup -d "$x" 2>/dev/null || true; done
	for x in "${bench_spaces[@]}"; do ip netns del "$x" 2>/dev/null || true; done
	for x in "${bench_folders[@]}"; do rm -rf "$x"; done
	bench_pids=() bench_mounts=() bench_loops=() bench_spaces=() bench_folders=()
}

# Ends one process of ours and waits for it, at most five seconds politely.
end_process() {
	local pid=$1 i
	kill -TERM "$pid" 2>/dev/null || { wait "$pid" 2>/dev/null || true; return 0; }
	for ((i = 0; i < 100; i++)); do
		kill -0 "$pid" 2>/dev/null || break
		sleep 0.05
	done
	kill -KILL "$pid" 2>/dev/null || true
	wait "$pid" 2>/dev/null || true
}

started() { bench_pids+=("$1"); }

ended() {
	local x
	local -a left=()
	end_process "$1"
	for x in "${bench_pids[@]}"; do [[ $x == "$1" ]] || left+=("$x"); done
	bench_pids=("${left[@]}")
}

# wait_for SECONDS COMMAND...: polls fifty times a second
wait_for() {
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		((SECONDS < end)) || { echo "bench.sh: timed out waiting for: $*" >&2; return 1; }
		sleep 0.02
	done
}

listens() { [[ -n $(ss -ltnH "sport = :$1") ]]; }

# A port nobody listens on; whoever takes it next loses nothing but this run.
free_port() {
	local port
	while :; do
		port=$((20000 + RANDOM % 12000))
		listens "$port" || break
	done
	echo "$port"
}

# ---- clocks ----

now() { echo "$EPOCHREALTIME"; }
minus() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.6f", a - b }'; }
loadavg() { cut -d' ' -f1 /proc/loadavg; }

# timed COMMAND...: sets t_wall and t_cpu (user and system of what it started), seconds. In this shell,
# not in one below it: the command may set variables and wait for what was started before.
timed() {
	local from cpu code=0
	load=$(loadavg)
	cpu=$(children_cpu)
	from=$EPOCHREALTIME
	"$@" || code=$?
	t_wall=$(minus "$EPOCHREALTIME" "$from")
	t_cpu=$(minus "$(children_cpu)" "$cpu")
	return "$code"
}

children_cpu() {
	sed 's/.*) //' "/proc/$$/stat" | awk -v hz="$(getconf CLK_TCK)" '{ printf "%.2f", ($14 + $15) / hz }'
}

# CPU seconds of one process: itself, then of the children it has reaped.
cpu_of() {
	sed 's/.*) //' "/proc/$1/stat" 2>/dev/null |
		awk -v hz="$(getconf CLK_TCK)" '{ printf "%.2f %.2f\n", ($12 + $13) / hz, ($14 + $15) / hz }'
}

# CPU seconds of a process, of all below it, and of those they have reaped.
tree_cpu() {
	local pid sum=0 own kids
	for pid in "$1" $(tree_of "$1"); do
		read -r own kids < <(cpu_of "$pid") || continue
		sum=$(awk -v a="$sum" -v b="$own" -v c="$kids" 'BEGIN { print a + b + c }')
	done
	echo "$sum"
}

tree_of() {
	local pid
	for pid in $(pgrep -P "$1"); do
		echo "$pid"
		tree_of "$pid"
	done
}

# ---- sources and targets ----

bytes() { numfmt --from=iec "${1%B}"; }
human() { numfmt --to=iec-i --suffix=B "$1"; }

# have_memory BYTES: may that much be put into memory, with a tenth and a GiB to spare?
have_memory() {
	local kib room
	kib=$(awk '/^MemAvailable:/ { print $2 }' /proc/meminfo)
	room=$(df -B1 --output=avail "$work" | tail -1)
	((kib * 1024 > $1 + $1 / 10 + (1 << 30) && room > $1))
}

# disk_begin BYTES: a folder on a disk with that much room: disk_work
disk_begin() {
	local room
	if [[ -z ${disk_work:-} ]]; then
		mkdir -p "${TRANSIT_BENCH_DIR:-$top/build}"
		disk_work=$(mktemp -d "${TRANSIT_BENCH_DIR:-$top/build}/bench-disk.XXXXXX")
		bench_folders+=("$disk_work")
	fi
	room=$(df -B1 --output=avail "$disk_work" | tail -1)
	((room > $1 + (2 << 30)))
}

make_image() { "$bin/tests/bench_image" make "$@" || die "cannot make the $1 image"; }

# The same for every peer: a file whose pages are there already, since a page of a virtual machine
# that is touched for the first time costs many times one that was used before.
fresh_target() {
	rm -f "$work/target"
	dd if=/dev/zero of="$work/target" bs=1M count="$((($1 + 1048575) / 1048576))" status=none
	truncate -s "$1" "$work/target"
}

# A byte of the result is turned when asked for: a benchmark that cannot see a wrong copy is worth
# nothing, and tests/cli/bench.bats looks whether it can.
spoil() {
	[[ ${TRANSIT_BENCH_SPOIL:-} == "$1" ]] || return 0
	printf '\xa5\x5a\xa5' | dd of="$work/target" bs=1 seek=12345 conv=notrunc status=none
}

same_content() { if cmp -s "$1" "$2"; then echo true; else echo false; fi; }

# ---- rows and reports ----

rows_begin() {
	rows=$out/$1.rows
	: >"$rows"
}

row() { jq -cn "$@" >>"$rows"; }

machine_json() {
	jq -n --arg cpu "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1)" \
		--arg kernel "$(uname -r)" --argjson cores "$(nproc)" \
		--argjson memory "$(awk '/^MemTotal:/ { print $2 * 1024 }' /proc/meminfo)" \
		'{cpu: $cpu, cores: $cores, memory: $memory, kernel: $kernel}'
}

# report SECTION: rows -> out/SECTION.json by tests/bench/SECTION.jq, printed as tables
report() {
	local section=$1
	jq -s -L "$top/tests/bench" --argjson quick "$quick" --arg section "$section" \
		--arg date "$(date -u +%FT%TZ)" --argjson machine "$(machine_json)" \
		--arg commit "$(git -C "$top" rev-parse --short HEAD 2>/dev/null || echo unknown)" \
		--argjson size "$size" --argjson runs "$runs" \
		-f "$top/tests/bench/$section.jq" "$rows" >"$out/$section.json" ||
		die "the report of $section failed"
	rm -f "$rows"
	print_report "$out/$section.json"
}

align() {
	awk -F'\t' '{ for (i = 1; i <= NF; i++) { c[NR, i] = $i; if (length($i) > w[i]) w[i] = length($i) } n[NR] = NF }
		END { for (r = 1; r <= NR; r++) { line = ""; for (i = 1; i <= n[r]; i++)
			line = line (i == 1 ? sprintf("%-*s", w[i], c[r, i]) : sprintf("  %*s", w[i], c[r, i]));
			sub(/ +$/, "", line); print line } }'
}

print_report() {
	local json=$1 i n
	n=$(jq '.tables | length' "$json")
	for ((i = 0; i < n; i++)); do
		echo
		jq -r ".tables[$i].title" "$json"
		jq -r ".tables[$i] | (.columns, .rows[]) | map(tostring) | @tsv" "$json" | align
	done
	echo
	jq -r '.verdicts[] | "\(.verdict)  \(.what): \(.value) (\(.bound))"' "$json"
}
