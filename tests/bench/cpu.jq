# SPDX-License-Identifier: GPL-3.0-or-later
# rows of cpu.bash -> tables and verdicts
include "stats";

# mode: which digest each side computes. auto leaves SHA-256 to the final round on a line as fast as this.
def digest($mode): if $mode == "auto" or $mode == "fast" then .digest_fast else .digest_strong end;
def receiver_sum($mode): .tls_receive + .expand + digest($mode) + .write + .zero;
def sender_sum($mode): .read + .zero_test + digest($mode) + .pack + .tls_send;

def gibs: . * gib / $size | fixed(3);
def parts_of($all; $c): $all | map(select(.kind == "parts" and .image == $c.image and .codec == $c.codec));
# one copy over the sum of the parts of its round
def over($parts; $mode; f; g): [.[] as $r | ($parts[] | select(.round == $r.round) | .parts.seconds) as $p
  | ($r | f) / ($p | g)];

. as $all
| ($all | map(select(.kind == "copy")) | group_by([.image, .codec, .mode])) as $cells
| [$cells[] | .[0] as $c | parts_of($all; $c) as $p
  | {c: $c, rows: ., parts: [$p[].parts.seconds],
     receiver: over($p; $c.mode; .receiver.all; receiver_sum($c.mode)),
     sender: over($p; $c.mode; .sender; sender_sum($c.mode)),
     verification: over($p; $c.mode; .verification; .reread + .digest_strong)}] as $cells
| head($section; $quick; $date; $commit; $machine; $size; $runs) + {
  tables: [
    {title: "Receiver, CPU seconds per GiB of source, copy without verification",
     columns: ["image, codec, digest", "copy / parts (min-max)", "copy", "parts", "conn", "writer", "keeper", "rest", "same", "load"],
     rows: [$cells[] | .c as $c | .rows as $r | ["\($c.image) \($c.codec) \($c.mode)", (.receiver | spread(2)),
       ($r | map(.receiver.all) | median | gibs), (.parts | map(receiver_sum($c.mode)) | median | gibs),
       ($r | map(.receiver.conn) | median | gibs), ($r | map(.receiver.writer) | median | gibs),
       ($r | map(.receiver.keeper) | median | gibs),
       ($r | map(.receiver | .all - .conn - .writer - .keeper) | median | gibs),
       (if ($r | all(.same)) then "yes" else "NO" end), ($r | map(.load) | median | fixed(1))]]},
    {title: "Its parts, CPU seconds per GiB of source",
     columns: ["image, codec, digest", "TLS receive", "expand", "digest", "write", "zero", "verification: re-read", "SHA-256", "verification / parts (min-max)"],
     rows: [$cells[] | .c as $c | .parts as $p | ["\($c.image) \($c.codec) \($c.mode)",
       ($p | map(.tls_receive) | median | gibs), ($p | map(.expand) | median | gibs),
       ($p | map(digest($c.mode)) | median | gibs), ($p | map(.write) | median | gibs), ($p | map(.zero) | median | gibs),
       ($p | map(.reread) | median | gibs), ($p | map(.digest_strong) | median | gibs), (.verification | spread(2))]]},
    {title: "Sender, CPU seconds per GiB of source",
     columns: ["image, codec, digest", "copy / parts (min-max)", "copy", "parts", "read", "zero test", "digests", "pack", "TLS send"],
     rows: [$cells[] | .c as $c | .rows as $r | .parts as $p | ["\($c.image) \($c.codec) \($c.mode)", (.sender | spread(2)),
       ($r | map(.sender) | median | gibs), ($p | map(sender_sum($c.mode)) | median | gibs),
       ($p | map(.read) | median | gibs), ($p | map(.zero_test) | median | gibs), ($p | map(digest($c.mode)) | median | gibs),
       ($p | map(.pack) | median | gibs), ($p | map(.tls_send) | median | gibs)]]}],
  verdicts: ([verdict("every result equals the source"; "\([$cells[].rows[] | select(.same)] | length) of \([$cells[].rows[]] | length)";
      "all"; [$cells[].rows[]] | all(.same))]
    + [$cells[] | .c as $c | timed_verdict($quick; "receiver CPU, \($c.image) \($c.codec) \($c.mode), over the sum of its parts";
      .receiver | median | fixed(2); "<= 1.25"; (.receiver | median) <= 1.25)]),
  raw: $all }
