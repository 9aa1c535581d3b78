#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Builds a guest: the disks of a server on its old hardware, as the end-to-end
# tests move it. README.md says what each guest is and what it tests.
# The guest_* variables come from the guest's own file.
# shellcheck disable=SC2154
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$here/../.." && pwd)
cache=${TRANSIT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/transit}
export LC_ALL=C TZ=UTC
umask 022
PATH=$PATH:/usr/sbin:/sbin

# Used by the files sourced below and by the guests' own.
# shellcheck disable=SC2034
lab_home=$here lab_image=$cache/lab
# shellcheck disable=SC2034
bookworm_packages=linux-image-amd64,initramfs-tools,zstd,grub-pc,systemd-sysv,udev,dbus,ifupdown,isc-dhcp-client,iproute2,procps,attr,e2fsprogs,login
# shellcheck disable=SC2034
trixie_packages=linux-image-amd64,initramfs-tools,zstd,grub-efi-amd64,efibootmgr,systemd-sysv,udev,dbus,iproute2,procps,attr,e2fsprogs,dosfstools,login

# shellcheck source=tests/guests/root.bash
. "$here/root.bash"
# shellcheck source=tests/guests/image.bash
. "$here/image.bash"
# shellcheck source=tests/support/guest-lab.bash
. "$top/tests/support/guest-lab.bash"

usage() {
	echo "usage: tests/guests/build.sh NAME OUTDIR"
	echo "NAME is one of: $(names)"
	echo "Writes OUTDIR/NAME/disk0.raw..., guest.env; with UEFI also vars.fd. Needs root."
}

die() {
	echo "tests/guests/build.sh: $*" >&2
	exit 1
}

names() {
	(cd "$here" && printf '%s\n' */guest.bash) | sed 's|/.*||' | tr '\n' ' '
}

check_host() {
	local pair missing=()
	for pair in mmdebstrap:mmdebstrap sfdisk:fdisk mke2fs:e2fsprogs mkfs.vfat:dosfstools jq:jq \
		setfattr:attr cpio:cpio qemu-system-x86_64:qemu-system-x86 \
		openssl:openssl; do
		command -v "${pair%:*}" >/dev/null || missing+=("${pair#*:}")
	done
	[[ -e /usr/share/OVMF/OVMF_CODE_4M.fd ]] || missing+=(ovmf)
	((${#missing[@]} == 0)) || die "missing here: apt-get install ${missing[*]}"
	[[ $(id -u) = 0 ]] || die "needs root: it unpacks a system and runs its tools in a chroot"
}

# Everything a guest's image depends on, except the state of the mirror.
digest_inputs() {
	{
		echo "$mirror"
		find "$here" "$top/tests/support/guest-lab.bash" -type f ! -name '*.md' ! -name 'guest.bash' \
			! -name '*.bats' ! -name check.sh -print0 | sort -z | xargs -0 sha256sum
		sha256sum "$here/$guest/guest.bash"
	} | sha256sum | cut -d' ' -f1
}

# /etc/default/grub as such servers have it: root by its kernel name.
grub_defaults() {
	cat >"$1/etc/default/grub" <<-END
	GRUB_DEFAULT=0
	GRUB_TIMEOUT=1
	GRUB_DISTRIBUTOR=Debian
	GRUB_CMDLINE_LINUX_DEFAULT="$2"
	GRUB_CMDLINE_LINUX="$3"
	GRUB_DISABLE_LINUX_UUID=true
	GRUB_DISABLE_OS_PROBER=true
	END
}

# Where the next upgrade of the package grub-pc will write its loader.
grub_install_device() {
	printf 'grub-pc grub-pc/install_devices multiselect %s\ngrub-pc grub-pc/install_devices_empty boolean false\n' "$2" |
		chroot "$1" debconf-set-selections
}

write_env() {
	cat >"$1/guest.env" <<-END
	# SPDX-License-Identifier: GPL-3.0-or-later
	name=$guest
	firmware=$guest_firmware
	disks=$guest_disks
	old_disks="$guest_old_disks"
	old_nic=$guest_old_nic
	old_interface=$guest_old_interface
	mac=$guest_mac
	unfixed=$guest_unfixed
	marker=$guest_marker_digest
	data_marker=$guest_data_marker
	END
}

# The loader is installed by the guest's own programs, in a machine of its own.
install_loader() {
	local out=$1 work=$2 vars=- disks=() modules=()
	"$top/appliance/build.sh" "$lab_image" >&2
	guest_lab >"$work/lab-script"
	if [[ $guest_firmware = uefi ]]; then
		vars=$out/vars.fd
		cp /usr/share/OVMF/OVMF_VARS_4M.fd "$vars"
		modules+=("$(find "$(cat "$lab_image/.kernel")" -name 'efivarfs.ko*')")
	fi
	for ((i = 0; i < guest_disks; i++)); do disks+=("$out/disk$i.raw"); done
	lab_run "$work/lab-script" "$out/lab.log" "$vars" "${modules[@]}" -- "${disks[@]}" ||
		{ tail -n 30 "$out/lab.log" >&2 && die "$guest: the boot loader was not installed, see $out/lab.log"; }
}

build() {
	local out=$1 work=$2 root=$2/root base start=$SECONDS
	base=$(base_tarball "$guest_suite" "$guest_packages")
	echo "$guest: packages after $((SECONDS - start)) s"
	mkdir "$root"
	tar -C "$root" --xattrs --xattrs-include='*' --numeric-owner -xpf "$base"
	configure_common "$root" "$guest"
	guest_configure "$root"
	guest_marker_digest=$("$here/overlay/usr/local/sbin/transit-marker" "$root/srv/marker")
	echo "$guest: configured after $((SECONDS - start)) s"
	guest_images "$root" "$out"
	rm -rf "$root"
	echo "$guest: images after $((SECONDS - start)) s"
	install_loader "$out" "$work"
	write_env "$out"
	echo "$guest: done after $((SECONDS - start)) s, $(du -ch "$out"/disk?.raw | tail -n 1 | cut -f1) on disk"
}

main() {
	local out work stamp
	[[ ${1:-} != --help ]] || { usage; exit 0; }
	(($# == 2)) || { usage >&2; exit 2; }
	guest=$1
	[[ -e $here/$guest/guest.bash ]] || { usage >&2; exit 2; }
	out=$(realpath -m "$2")/$guest
	check_host
	# shellcheck disable=SC2034
	guest_data_marker=''
	# shellcheck disable=SC1090
	. "$here/$guest/guest.bash"
	stamp=$(digest_inputs)
	if [[ $(cat "$out/.inputs" 2>/dev/null) = "$stamp" ]]; then
		echo "$guest: up to date in $out"
		return
	fi
	mkdir -p "$out"
	rm -f "$out"/.inputs "$out"/disk?.raw "$out"/guest.env "$out"/vars.fd
	mkdir -p "$cache"
	work=$(mktemp -d "$cache/guest.XXXXXX")
	# The path is set now, the variable is gone when the trap runs.
	# shellcheck disable=SC2064
	trap "umount '$work/root/proc' 2>/dev/null || true; rm -rf '$work'" EXIT
	build "$out" "$work"
	echo "$stamp" >"$out/.inputs"
}

main "$@"
