# SPDX-License-Identifier: GPL-3.0-or-later
# one section's JSON -> a part of docs/benchmark-results.md
def line: "| " + (map(tostring | gsub("\\|"; "\\|")) | join(" | ")) + " |";

"",
"## \(.section)",
"",
"\(.date), commit \(.commit), \(.runs) runs; \(.machine.cpu), \(.machine.cores) cores, \(.machine.memory / 1073741824 | round) GiB, Linux \(.machine.kernel | split("-")[0]); images of \(.size / 1048576 | round) MiB.",
(.tables[] | "", "**\(.title)**", "", (.columns | line), (.columns | map("---") | line), (.rows[] | line)),
"",
(["verdict", "what", "value", "bound"] | line), (["---", "---", "---", "---"] | line),
(.verdicts[] | [.verdict, .what, .value, .bound] | line)
