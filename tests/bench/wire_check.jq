# SPDX-License-Identifier: GPL-3.0-or-later
# rows of wire-check -> table and verdicts
include "stats";

# TCP's own share of a full packet: 20 bytes of IP, 20 of TCP, 12 of time stamps.
def of_line: .rate * .mtu / (.mtu - 52) / (.mbit * 1e6);

. as $all
| ($all | group_by([.mbit, .rtt])) as $cells
| head($section; $quick; $date; $commit; $machine; $size; $runs) + {
  tables: [{title: "The line by itself: one plain TCP connection, headers added; round trip when idle",
    columns: ["line", "MTU", "of the rate (min-max)", "round trip ms (min-max)", "line's CPU, of a core", "load"],
    rows: [$cells[] | .[0] as $c | ["\($c.mbit) Mbit/s \($c.rtt) ms", $c.mtu, (map(of_line) | spread(3)), (map(.trip) | spread(2)),
      (map(.cpu / .seconds) | median | fixed(2)), (map(.load) | median | fixed(1))]]}],
  verdicts: [$cells[] | .[0] as $c | (map(of_line) | median) as $r | (map(.trip) | median) as $t
    | timed_verdict($quick; "\($c.mbit) Mbit/s \($c.rtt) ms: rate reached"; $r | fixed(3); "0.98 to 1.02"; $r >= 0.98 and $r <= 1.02),
      timed_verdict($quick; "\($c.mbit) Mbit/s \($c.rtt) ms: round trip"; $t | fixed(2); "within 1 ms"; ($t - $c.rtt | fabs) <= 1)],
  raw: $all }
