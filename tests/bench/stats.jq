# SPDX-License-Identifier: GPL-3.0-or-later
# stats.jq - medians, spreads, columns of text, verdicts; included by each section's report

def median: map(select(. != null)) | sort | length as $n
  | if $n == 0 then null elif $n % 2 == 1 then .[($n / 2) | floor] else (.[$n / 2 - 1] + .[$n / 2]) / 2 end;
def least: map(select(. != null)) | min;
def most: map(select(. != null)) | max;

# 1.234 as text with a fixed number of places; "-" where there is nothing
def fixed($places):
  if . == null then "-"
  else (. * pow(10; $places) | round) as $n
    | (if $n < 0 then "-" else "" end) as $sign | ($n | fabs | tostring) as $digits
    | if $places == 0 then $sign + $digits
      else ("0" * ([0, $places + 1 - ($digits | length)] | max) // "") + $digits
        | $sign + .[:(length - $places)] + "." + .[(length - $places):] end
  end;

# "1.23 (1.20-1.31)" of a list
def spread($places): if (map(select(. != null)) | length) == 0 then "-"
  else "\(median | fixed($places)) (\(least | fixed($places))-\(most | fixed($places)))" end;

def gib: 1073741824;

# Each value over the other side's value of the same round: what drifts, drifts for both.
def ratios($over; f): [.[] as $r | ($over[] | select(.round == $r.round)) as $o
  | select(($r | f) != null and ($o | f) != null and ($o | f) > 0) | ($r | f) / ($o | f)];

def verdict($what; $value; $bound; $ok): {what: $what, value: $value, bound: $bound,
  verdict: (if $ok == null then "NOT RUN" elif $ok then "PASS" else "FAIL" end)};
# The same for a bound that noise can break: a quick run does not judge it.
def timed_verdict($quick; $what; $value; $bound; $ok): verdict($what; $value; $bound; $ok)
  | if $quick then .verdict = "QUICK, NOT JUDGED" else . end;

def head($section; $quick; $date; $commit; $machine; $size; $runs): {section: $section, quick: $quick,
  date: $date, commit: $commit, machine: $machine, size: $size, runs: $runs};
