#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Proves that a guest is a fair test: healthy on its old hardware, and failing on
# virtio in the way its file says. A guest that boots anyway tests nothing.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/support/qemu.bash
. "$here/../support/qemu.bash"
# shellcheck source=tests/support/guest.bash
. "$here/../support/guest.bash"

timeout=${TRANSIT_BOOT_TIMEOUT:-600}

die() {
	echo "FAIL: $*" >&2
	exit 1
}

check_old() {
	local dir=$1 json
	guest_hardware "$dir" old
	guest_boot "${guest_args[@]}" --timeout "$timeout" --log "$dir/old.log" \
		--until "$(guest_marker probe)" --until "$(guest_marker login)" \
		--fail-on "$(guest_marker panic)|$(guest_marker emergency)" ||
		die "on its old hardware: code $?, after $GUEST_SECONDS s, see $dir/old.log"
	json=$(guest_probe "$dir/old.log")
	guest_healthy "$dir" "$json" || die "on its old hardware it is not healthy"
	echo "ok: old hardware, $GUEST_SECONDS s, root $(jq -r .root <<<"$json")" \
		"by $(jq -r '.root_drivers | join(" ")' <<<"$json"), SELinux $(jq -r .selinux <<<"$json")"
}

check_unfixed() {
	local dir=$1 hardware=$2 marker
	marker=$(guest_value "$dir" unfixed)
	guest_hardware "$dir" "$hardware"
	guest_expect_failure "$marker" "${guest_args[@]}" --timeout "$timeout" --log "$dir/$hardware.log" ||
		die "on $hardware, unfixed: code $? instead of $marker, after $GUEST_SECONDS s, see $dir/$hardware.log"
	echo "ok: $hardware, unfixed, fails as expected after $GUEST_SECONDS s: $marker: $GUEST_MATCH"
}

(($# >= 2)) || { echo "usage: tests/guests/check.sh NAME OUTDIR [HARDWARE...]  (default: virtio-blk)" >&2; exit 2; }
name=$1 dir=$2
shift 2
(($# > 0)) || set -- virtio-blk
"$here/build.sh" "$name" "$dir"
guest_args=()
check_old "$dir/$name"
for hardware; do check_unfixed "$dir/$name" "$hardware"; done
