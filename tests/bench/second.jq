# SPDX-License-Identifier: GPL-3.0-or-later
# rows of second -> table and verdicts
include "stats";

. as $all
| ($all | group_by(.medium)) as $cells
| head($section; $quick; $date; $commit; $machine; $size; $runs) + {
  tables: [{title: "Second round, one block in a hundred changed",
    columns: ["source in", "wire bytes / changed blocks (min-max)", "time / reading once (min-max)", "s", "reading s", "changed MB", "wire MB", "same", "load"],
    rows: [$cells[] | . as $r | [.[0].medium, (map(.bytes_wire / .changed) | spread(3)), (map(.wall / .reading) | spread(2)),
      (map(.wall) | median | fixed(2)), (map(.reading) | median | fixed(2)), (map(.changed / 1e6) | median | fixed(1)),
      (map(.bytes_wire / 1e6) | median | fixed(1)), (if ($r | all(.same)) then "yes" else "NO" end), (map(.load) | median | fixed(1))]]}],
  verdicts: ([verdict("every result equals the source"; "\($all | map(select(.same)) | length) of \($all | length)"; "all"; $all | all(.same))]
    + [$cells[] | .[0].medium as $m | (map(.bytes_wire / .changed) | median) as $b | (map(.wall / .reading) | median) as $t
      | verdict("source in \($m): wire bytes over changed blocks"; $b | fixed(3); "<= 1.1"; $b <= 1.1),
        timed_verdict($quick; "source in \($m): time over reading the source once"; $t | fixed(2); "<= 1.15"; $t <= 1.15)]),
  raw: $all }
