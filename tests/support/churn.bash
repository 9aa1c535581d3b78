#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# churn.bash DIR LOG - writes below DIR until LOG.stop is there: creates, appends, renames, deletes, fsyncs
# churn.bash --check DIR LOG LINES - DIR as it was at some moment after the first LINES lines of LOG
#
# The content of a file follows from the number in its first line, so that any length of any file can
# be checked. "keepN" are never renamed or deleted; LOG has a line "N LEN" once LEN bytes of it were
# written, and "sync N LEN" once they were fsynced.
set -euo pipefail

content() { { yes "line of $1 $((($1 * 7919) % 65521))" || true; } | head -c "$2"; }

# grow FILE N FROM TO: bytes FROM to TO of content N
grow() { content "$2" "$4" | tail -c "+$(($3 + 1))" >>"$1"; }

write_one() {
	local n=$1 dir=$2 log=$3 len=$((($1 * 104729) % 700001 + 5000))
	mkdir -p "$dir/d$((n % 7))"
	grow "$dir/d$((n % 7))/keep$n" "$n" 0 "$((len / 2))"
	((n % 5)) || { sync "$dir/d$((n % 7))/keep$n"; echo "sync $n $((len / 2))" >>"$log"; }
	grow "$dir/d$((n % 7))/keep$n" "$n" "$((len / 2))" "$len"
	echo "$n $len" >>"$log"
	grow "$dir/d$((n % 7))/temp$n" "$n" 0 "$len"
	((n % 3)) || mv "$dir/d$((n % 7))/temp$n" "$dir/d$(((n + 1) % 7))/temp$n-moved" 2>/dev/null || true
	if ((n > 6)); then rm -f "$dir"/d?/temp$((n - 6)) "$dir"/d?/temp$((n - 6))-moved; fi
	((n % 11)) || { rm -f "$dir/big"; grow "$dir/big" "$n" 0 6000000; }
}

check_file() {
	local file=$1 n len
	len=$(stat -c %s "$file")
	((len)) || return 0
	n=$(head -1 "$file" | tr -d '\0' | sed -n 's/^line of \([0-9]*\).*/\1/p')
	[[ -n $n ]] && cmp -s "$file" <(content "$n" "$len") && return 0
	echo "wrong content: $file, $len bytes"
	return 1
}

check() {
	local dir=$1 log=$2 lines=$3 bad=0 count=0 file a b c n len have
	while IFS= read -r -d '' file; do
		check_file "$file" || bad=1
		count=$((count + 1))
	done < <(find "$dir" -type f -not -path '*/lost+found/*' -not -path '*/still/*' -print0)
	while read -r a b c; do
		if [[ $a == sync ]]; then n=$b len=$c; else n=$a len=$b; fi
		have=$(stat -c %s "$dir/d$((n % 7))/keep$n" 2>/dev/null || echo missing)
		if [[ $have == missing ]] || ((have < len)); then
			echo "keep$n: $have, $len were written"
			bad=1
		fi
	done < <(head -n "$lines" "$log")
	echo "$count files, $lines lines of the log"
	((count > 10 && lines > 10 && !bad))
}

if [[ $1 == --check ]]; then
	check "$2" "$3" "$4"
	exit
fi
dir=$1 log=$2 n=0
: >>"$log"
while [[ ! -e $log.stop ]]; do
	n=$((n + 1))
	# After so many there is enough on the disk.
	if ((n < 500)); then write_one "$n" "$dir" "$log"; else sleep 0.1; fi
done
