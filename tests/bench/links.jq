# SPDX-License-Identifier: GPL-3.0-or-later
# rows of links -> tables and verdicts
include "stats";

def cell: "\(.mbit) Mbit/s \(.rtt) ms \(.loss) %";
def percent: if . == null then null else . * 100 end;
def yes($rows): if ($rows | all(.same)) then "yes" else "NO" end;

. as $all
| ($all | map(select(.kind == "line")) | group_by([.mbit, .loss, .rtt])) as $lines
| ($all | map(select(.kind == "landed")) | group_by(.rtt)) as $landed
| ($all | map(select(.kind == "codec")) | group_by([.mbit, .rtt])) as $codecs
| [$codecs[] | .[0] as $c | . as $rows | ($rows | map(select(.name == "auto"))) as $auto
  | [$rows | map(select(.name != "auto")) | group_by(.name)[] | {name: .[0].name, wall: (map(.wall) | median), rows: .}] as $fixed
  | ($fixed | min_by(.wall)) as $best
  | {c: $c, rows: $rows, auto: $auto, fixed: $fixed, best: $best, ratio: ($auto | ratios($best.rows; .wall))}] as $choices
| head($section; $quick; $date; $commit; $machine; $size; $runs) + {
  tables: [
    {title: "Line use by transit-send push, data that does not compress (IP packets to the receiver, of what the line could carry)",
     columns: ["line, round trip, loss", "steady % (min-max)", "whole run % (min-max)", "s", "dropped by the queue", "lost", "MTU", "same", "load"],
     rows: [$lines[] | . as $r | .[0] as $c | [($c | cell), (map(.steady | percent) | spread(1)), (map(.whole | percent) | spread(1)),
       (map(.wall) | median | fixed(1)), (map(.dropped) | median | fixed(0)), (map(.lost) | median | fixed(0)), $c.mtu, yes($r),
       (map(.load) | median | fixed(1))]]},
    {title: "Disk data landed on a line of 12 Mbit/s, compressible data",
     columns: ["round trip", "Mbit of disk a second (min-max)", "s", "same", "load"],
     rows: [$landed[] | . as $r | ["\(.[0].rtt) ms", (map(.size * 8 / 1e6 / .wall) | spread(1)), (map(.wall) | median | fixed(1)), yes($r),
       (map(.load) | median | fixed(1))]]},
    {title: "The codec that is chosen against the best fixed one, mixed image, clean lines",
     columns: ["line, round trip", "auto / best (min-max)", "best", "auto s", "raw s", "lz4 s", "zstd s", "same", "load"],
     rows: [$choices[] | . as $x | (["\(.c.mbit) Mbit/s \(.c.rtt) ms", (.ratio | spread(2)), .best.name, (.auto | map(.wall) | median | fixed(2))])
       + [("raw", "lz4", "zstd") as $n | $x.fixed | map(select(.name == $n).wall) | first | fixed(2)]
       + [yes(.rows), (.rows | map(.load) | median | fixed(1))]]}],
  verdicts: ([verdict("every result equals the source"; "\($all | map(select(.same)) | length) of \($all | length)"; "all"; $all | all(.same))]
    + [$lines[] | .[0] as $c | select($c.loss == 0) | (map(.steady) | median) as $u
      | timed_verdict($quick; "\($c | cell): line use, steady part"; "\($u | percent | fixed(1)) %"; ">= 97 %"; $u >= 0.97)]
    + [$landed[] | .[0] as $c | (map(.size * 8 / 1e6 / .wall) | median) as $d
      | timed_verdict($quick; "12 Mbit/s \($c.rtt) ms: disk data landed"; "\($d | fixed(1)) Mbit/s"; "> 12"; $d > 12)]
    + [$choices[] | (.ratio | median) as $q
      | timed_verdict($quick; "\(.c.mbit) Mbit/s \(.c.rtt) ms: auto over the best fixed codec (\(.best.name))"; $q | fixed(2); "<= 1.10"; $q <= 1.1)]),
  raw: $all }
