# SPDX-License-Identifier: GPL-3.0-or-later
# rows of io -> table and verdicts
include "stats";

def per_gib: . * gib / $size;

. as $all
| ($all | map(select(.name == "uring"))) as $uring
| head($section; $quick; $date; $commit; $machine; $size; $runs) + {
  tables: [{title: "Loop device with direct I/O, mixed image, flush in the time",
    columns: ["receiver", "time / uring (min-max)", "s (min-max)", "sender CPU s/GiB", "receiver CPU s/GiB", "same", "load"],
    rows: [$all | group_by(.name)[] | . as $r | [.[0].name, (ratios($uring; .wall) | spread(2)), (map(.wall) | spread(2)),
      (map(.sender | per_gib) | median | fixed(2)), (map(.receiver | per_gib) | median | fixed(2)),
      (if ($r | all(.same)) then "yes" else "NO" end), (map(.load) | median | fixed(1))]]}],
  verdicts: [verdict("every result equals the source, with io_uring and with threads"; "\($all | map(select(.same)) | length) of \($all | length)"; "all"; $all | all(.same)),
    (timed_verdict($quick; "threads over io_uring"; ($all | map(select(.name == "threads")) | ratios($uring; .wall) | median | fixed(2)); "no bound"; true) | .verdict = "INFO"),
    (timed_verdict($quick; "nbdcopy over io_uring"; ($all | map(select(.name == "nbdcopy")) | ratios($uring; .wall) | median | fixed(2)); "no bound"; true) | .verdict = "INFO")],
  raw: $all }
