#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# install.sh GROUP... - installs what packages.list names for the groups and is not there yet.
# Asks for root only when something is missing, so that a prepared machine needs none.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)

wanted() {
	local group package
	while read -r group package _; do
		[[ " $* " == *" $group "* ]] && echo "$package"
	done < <(grep -v '^#' "$here/packages.list")
	return 0
}

missing() {
	local package
	for package in $(wanted "$@"); do
		dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -x installed >/dev/null ||
			echo "$package"
	done
}

as_root() {
	if [[ $EUID -eq 0 ]]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		echo "install.sh: packages are missing and neither root nor sudo is here; run as root:" >&2
		echo "  $*" >&2
		exit 1
	fi
}

main() {
	local -a need
	[[ $# -gt 0 ]] || { echo "usage: install.sh GROUP... (build test machine guest bench)" >&2; exit 2; }
	command -v apt-get >/dev/null || { echo "install.sh: this is not Debian; install what scripts/packages.list names" >&2; exit 1; }
	mapfile -t need < <(missing "$@")
	[[ ${#need[@]} -gt 0 ]] || return 0
	echo "installing: ${need[*]}"
	as_root apt-get update -q >/dev/null
	as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${need[@]}" >/dev/null
}

main "$@"
