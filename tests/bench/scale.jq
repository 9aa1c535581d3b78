# SPDX-License-Identifier: GPL-3.0-or-later
# rows of scale -> table and verdicts
include "stats";

def mib: . / 1048576;
def name: if .kind == "disks" then "\(.disks) disks of \(.bytes | mib | round) MiB" else "\(.kind), \(.bytes | mib | round) MiB" end;
def per_gib: .wall * gib / (.bytes * .disks);

. as $all
| ($all | map(select(.not_run | not))) as $done
| ($done | group_by([.kind, .bytes, .disks])) as $cells
| head($section; $quick; $date; $commit; $machine; $size; $runs) + {
  tables: [{title: "Copy and proof by size and by disks, eight connections",
    columns: ["source", "in", "s per GiB (min-max)", "s", "receiver's highest memory MiB (min-max)", "same", "verified", "load"],
    rows: ([$cells[] | . as $r | .[0] as $c | [($c | name), $c.medium, (map(per_gib) | spread(2)), (map(.wall) | median | fixed(1)),
        (map(.peak / 1024) | spread(1)), (if ($r | all(.same)) then "yes" else "NO" end), (if ($r | all(.verified)) then "yes" else "NO" end),
        (map(.load) | median | fixed(1))]]
      + [$all[] | select(.not_run) | [name, "-", "not run: needs \(.not_run / gib | fixed(1)) GiB", "-", "-", "-", "-", "-"]])}],
  verdicts: ([verdict("every result equals the source, and is verified"; "\($done | map(select(.same and .verified)) | length) of \($done | length)"; "all";
        $done | all(.same and .verified)),
      (($done | map(.peak / 1024) | max) as $p | verdict("receiver's highest memory in every cell"; "\($p | fixed(1)) MiB"; "<= 96 MiB"; $p <= 96))]
    + [("sparse", "dense") as $k | ("memory", "disk") as $m
      | ([$cells[] | select(.[0].kind == $k and .[0].medium == $m)] | sort_by(.[0].bytes)) as $same | select($same | length > 1)
      | (($same[-1] | map(per_gib) | median) / ($same[0] | map(per_gib) | median)) as $q
      | timed_verdict($quick; "\($k) in \($m): seconds per GiB, \($same[-1][0].bytes | mib | round) MiB over \($same[0][0].bytes | mib | round) MiB"; $q | fixed(2); "<= 1.25"; $q <= 1.25)]
    + [$all[] | select(.not_run) | verdict(name; "needs \(.not_run / gib | fixed(1)) GiB"; "room"; null)]),
  raw: $all }
