# SPDX-License-Identifier: GPL-3.0-or-later
# rows of peers.bash -> tables and verdicts
include "stats";

def is_peer: .name as $n | ["nbdcopy", "qemu_img", "dd_ssh", "dd_lz4_tls", "rsync"] | index($n) != null;
def words: {nbdcopy: "nbdcopy, nbdkit, TLS", qemu_img: "qemu-img, qemu-nbd, TLS", dd_ssh: "dd | ssh | dd",
  dd_lz4_tls: "dd | lz4 | TLS | lz4 | dd", rsync: "rsync --inplace -W, ssh", ours: "transit-send push",
  ours_fast: "  --digest fast", ours_raw: "  --codec raw", ours_lz4: "  --codec lz4", ours_zstd: "  --codec zstd",
  ours_proof: "transit-send push --once"};
def title($rows): words[$rows[0].name] + (if $rows[0].options then ($rows[0].options | if . == "" then "" else ", \(.)" end) else "" end);
def by_name: group_by(.name) | sort_by(map(.round) | length) ;
def per_gib($size): if . == null then null else . * gib / $size end;

# What both processors had to do at least for copy and proof, by the parts of the same rounds: the
# cheaper of raw and lz4; halved, because there are two cores.
def proof_seconds: .seconds | (.read + .zero_test + .digest_fast + .digest_strong + .pack + .tls_send)
  + (.tls_receive + .expand + .digest_fast + .write + .zero) + (.reread + .digest_strong);
def bound($cores): [group_by(.parts.codec)[] | [.[] | .parts | proof_seconds] | median] | min / $cores;

def copy_table($rows; $size):
  ($rows | map(select(.name == "ours"))) as $ours
  | {columns: ["copy", "time / ours (min-max)", "s (min-max)", "sender CPU s/GiB", "receiver CPU s/GiB", "wire MB", "same", "load"],
     rows: [$rows | map(select(.name != "parts" and .name != "ours_proof")) | group_by(.name)[]
       | {r: ., q: ratios($ours; .wall)} | {r, q, key: (.q | median)}] | sort_by(.key)
       | map([ .r as $r | .q as $q | ($r | title($r)), ($q | spread(2)), ($r | map(.wall) | spread(2)),
         ($r | map(.sender | per_gib($size)) | median | fixed(2)), ($r | map(.receiver | per_gib($size)) | median | fixed(2)),
         ($r | map(.bytes_wire) | median | if . then . / 1e6 else . end | fixed(0)),
         (if ($r | all(.same)) then "yes" else "NO" end), ($r | map(.load) | median | fixed(1))])};

def proofs($rows; f): $rows | map(select(is_peer) | .wall += f);
def proof_table($rows; $size; $bound):
  ($rows | map(select(.name == "ours_proof"))) as $ours
  | {columns: ["copy and proof", "time / ours (min-max)", "s (min-max)", "same", "load"],
     rows: (([ (proofs($rows; .sha256sum) | group_by(.name)[] | {r: ., w: (title(.) + ", sha256sum")}),
              (proofs($rows; .openssl) | group_by(.name)[] | {r: ., w: (title(.) + ", openssl dgst")}),
              {r: $ours, w: "transit-send push --once"} ]
       | map(.q = (.r | ratios($ours; .wall))) | sort_by(.q | median)
       | map([.w, (.q | spread(2)), (.r | map(.wall) | spread(2)), (if (.r | all(.same)) then "yes" else "NO" end),
          (.r | map(.load) | median | fixed(1))]))
       + [["bound: parts / cores", ($bound / ($ours | map(.wall) | median) | fixed(2)), ($bound | fixed(2)), "-", "-"]])};

def best_ratio($peers; $ours): [$peers | group_by(.name)[] | ratios($ours; .wall) | median] | min;

. as $all
| ($all | group_by(.image) | map({image: .[0].image, rows: .})) as $images
| head($section; $quick; $date; $commit; $machine; $size; $runs) + {
  tables: [$images[] | .image as $image | .rows as $rows
    | ($rows | map(select(.name == "parts")) | bound($machine.cores)) as $bound
    | (copy_table($rows; $size) + {title: "\($image) image, copy without proof"}),
      (proof_table($rows; $size; $bound) + {title: "\($image) image, with proof: signed SHA-256 manifest and full re-read against digests of both ends at once"})],
  verdicts: [$images[] | .image as $image | .rows as $rows
    | ($rows | map(select(.name == "ours"))) as $ours | ($rows | map(select(.name == "ours_proof"))) as $proof
    | ($rows | map(select(is_peer)) | best_ratio(.; $ours)) as $copy
    | best_ratio(proofs($rows; .sha256sum); $proof) as $sum
    | best_ratio(proofs($rows; .openssl); $proof) as $openssl
    | ($rows | map(select(.name == "parts")) | bound($machine.cores)) as $bound
    | verdict("\($image): every result equals the source"; "\($rows | map(select(.same == true)) | length) of \($rows | map(select(.name != "parts")) | length)";
        "all"; $rows | map(select(.name != "parts")) | all(.same)),
      verdict("\($image): ours said verified in every run with proof"; "\($proof | map(select(.verified)) | length) of \($proof | length)"; "all"; $proof | all(.verified)),
      timed_verdict($quick; "\($image): best peer's time over ours"; $copy | fixed(2); "> 1.00"; $copy > 1),
      timed_verdict($quick; "\($image): the same with proof (sha256sum)"; $sum | fixed(2); ">= 1.30"; $sum >= 1.3),
      (timed_verdict($quick; "\($image): the same with proof (openssl dgst), for information"; $openssl | fixed(2); "no bound"; true) | .verdict = "INFO"),
      (verdict("\($image): time with proof over the bound of \($machine.cores) cores"; ($proof | map(.wall) | median) / $bound | fixed(2); "no bound"; true) | .verdict = "INFO")],
  raw: $all }
