#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# bench.sh [SECTION...] [--runs N] [--size S] [--quick] [--out DIR] - installs what is needed, builds
# the release preset, measures, prints tables and writes DIR/SECTION.json (DIR: build/bench).
# Sections: peers cpu wire-check links second scale io; all of them unless named. --quick: minutes, small sizes, bounds that
# noise can break are not judged. --doc: measures nothing, writes docs/benchmark-results.md from
# the JSON that is there (none of a quick run). See docs/benchmarks.md.
# Exit: 0 every bound held, 1 one did not or something failed, 2 usage.
set -euo pipefail
export LC_ALL=C

cd "$(dirname "$0")/.."
top=$PWD
bin=${BUILD:-$top/build/release}
out=$top/build/bench
all_sections=(peers cpu wire-check links second scale io)
sections=()
runs=
size=
quick=false
doc=false

# shellcheck source=tests/bench/lib.bash
source tests/bench/lib.bash
# shellcheck source=tests/bench/ours.bash
source tests/bench/ours.bash
# shellcheck source=tests/bench/line.bash
source tests/bench/line.bash
for part in peers cpu links second scale io; do
	# shellcheck disable=SC1090 # one of the list
	source "tests/bench/$part.bash"
done

usage() {
	sed -n '3,9s/^# //p' "$0"
	exit "$1"
}

parse() {
	while [[ $# -gt 0 ]]; do
		case $1 in
		--runs) runs=${2:?--runs needs a number} && shift ;;
		--size) size=$(bytes "${2:?--size needs a size}") && shift ;;
		--out) out=$(realpath -m -- "${2:?--out needs a folder}") && shift ;;
		--quick) quick=true ;;
		--doc) doc=true ;;
		-h | --help) usage 0 ;;
		-*) usage 2 >&2 ;;
		*)
			[[ " ${all_sections[*]} " == *" $1 "* ]] || { echo "bench.sh: no section '$1'" >&2; exit 2; }
			sections+=("$1")
			;;
		esac
		shift
	done
	[[ ${#sections[@]} -gt 0 ]] || sections=("${all_sections[@]}")
	if $quick; then : "${runs:=2}" "${size:=$((256 << 20))}"; else : "${runs:=5}" "${size:=$((4 << 30))}"; fi
	[[ $runs =~ ^[1-9][0-9]*$ ]] || { echo "bench.sh: --runs '$runs'" >&2; exit 2; }
}

# A build folder that is given is used as it is: a test has built it already.
prepare() {
	[[ -z ${BUILD:-} ]] || return 0
	./scripts/install.sh build test bench
	mkdir -p build
	cmake --preset release >build/configure-release.log || { cat build/configure-release.log; die "cmake failed"; }
	cmake --build --preset release --target bench -- -j "$(nproc)" >build/bench-build.log ||
		{ cat build/bench-build.log; die "the build failed"; }
}

# What does not fit is said, and never counts as passed.
not_run() { echo "NOT RUN  $1: needs $(human "$2") of ${3:-memory}, and some to spare"; }

write_doc() {
	local section json n=0
	for section in "${all_sections[@]}"; do
		json=$out/${section//-/_}.json
		[[ -s $json ]] || continue
		if jq -e .quick "$json" >/dev/null; then
			echo "bench.sh: $json is of a quick run and is left out" >&2
			continue
		fi
		((n++)) || cat <<-'END'
			# Benchmark results

			Written by `scripts/bench.sh --doc` from what it measured; not edited by hand. What the columns
			mean, and the limits of the method: [benchmarks](benchmarks.md).
		END
		jq -r -f tests/bench/doc.jq "$json"
	done
	((n)) || { rm -f "$top/docs/benchmark-results.md.new"; die "no results in $out"; }
}

summary() {
	local section json bad=0
	for section in "${sections[@]}"; do
		json=$out/${section//-/_}.json
		[[ -s $json ]] || continue
		jq -e 'all(.verdicts[]; .verdict != "FAIL")' "$json" >/dev/null || bad=1
	done
	return "$bad"
}

main() {
	parse "$@"
	if $doc; then
		write_doc >"$top/docs/benchmark-results.md.new"
		mv "$top/docs/benchmark-results.md.new" "$top/docs/benchmark-results.md"
		return 0
	fi
	prepare
	bench_begin
	local section
	for section in "${sections[@]}"; do
		rm -f "$out/${section//-/_}.json"
		"bench_${section//-/_}"
	done
	summary
}

main "$@"
