# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# The guests' root trees: packages by mmdebstrap, then the settings of a server
# that nobody ever thought of moving. Sourced by build.sh.
: "${here:?}" "${cache:?}"

# Empty: mmdebstrap's own choice for the suite, with its security updates.
mirror=${TRANSIT_MIRROR:-}

# Driver families that no guest here has a use for. They are two thirds of the
# kernel package, and every one of them would be moved in every test.
unused_modules="drivers/gpu drivers/media drivers/net/wireless drivers/infiniband
drivers/staging drivers/iio drivers/isdn drivers/usb/gadget drivers/hwmon
drivers/input/touchscreen drivers/bluetooth drivers/comedi drivers/mtd
drivers/firewire drivers/video sound net/bluetooth net/mac80211 net/wireless
fs/ocfs2 fs/ceph fs/gfs2"

_base_options() {
	local dir
	for dir in $unused_modules; do
		echo "--dpkgopt=path-exclude=*/lib/modules/*/kernel/$dir/*"
	done
	for dir in doc man info locale; do
		echo "--dpkgopt=path-exclude=/usr/share/$dir/*"
	done
}

# The packages of one suite, unconfigured for any machine: cached, because the
# packages change less often than what the tests want of a guest.
base_tarball() {
	local suite=$1 packages=$2 options tarball
	mapfile -t options < <(_base_options)
	tarball=$cache/base/$suite-$(printf '%s\n' "$mirror" "$packages" "${options[@]}" | sha256sum | head -c 12).tar
	if [[ ! -e $tarball ]]; then
		mkdir -p "$cache/base"
		# The hook is for mmdebstrap's shell, where $1 is the new root.
		# shellcheck disable=SC2016
		# The initramfs is made later, when the guest's settings are in place.
		INITRD=No mmdebstrap --quiet --variant=apt --aptopt='Apt::Install-Recommends "false"' \
			"${options[@]}" --include="$packages" \
			--essential-hook='echo grub-pc grub-pc/install_devices_empty boolean true | chroot "$1" debconf-set-selections' \
			"$suite" "${tarball%.tar}.new.tar" ${mirror:+"$mirror"} >&2
		mv "${tarball%.tar}.new.tar" "$tarball"
	fi
	echo "$tarball"
}

# A fixed number for a name, so that a rebuilt guest has the UUIDs it had.
uuid_of() {
	sha256sum <<<"$1" | sed -E 's/^(.{8})(.{4}).(.{3}).(.{3})(.{12}).*$/\1-\2-5\3-8\4-\5/'
}

# Files of every size and shape that a copy could get wrong.
make_marker() {
	local dir=$1 i
	mkdir -p "$dir"/{empty,many,'odd names',deep/a/b/c/d/e}
	for i in $(seq 1 300); do
		head -c $((i * i % 70000)) < <(yes "marker line $i") >"$dir/many/file-$i"
	done
	: >"$dir/empty/zero-bytes"
	head -c 3000000 < <(yes "large and compressible") >"$dir/large"
	openssl enc -aes-128-ctr -nosalt -K 00112233445566778899aabbccddeeff -iv 0 \
		-in "$dir/large" -out "$dir/random" 2>/dev/null
	truncate -s 5000000 "$dir/sparse"
	printf end >>"$dir/sparse"
	for i in ' leading space' 'new'$'\n''line' 'tab'$'\t' '-dash' 'quote"s' "it's" 'ümläut' $'\xff\xfe'; do
		echo "$i" >"$dir/odd names/$i"
	done
	for i in 1 2 3; do ln "$dir/many/file-$i" "$dir/deep/a/b/c/d/e/link-$i"; done
	ln -s ../many/file-9 "$dir/deep/relative"
	ln -s /nowhere/at/all "$dir/deep/dangling"
	mkfifo "$dir/deep/fifo"
	chmod 4711 "$dir/many/file-20"
	chmod 000 "$dir/many/file-21"
	chown 1234:4321 "$dir/many/file-22"
	setfattr -n user.transit -v 'an attribute' "$dir/many/file-23"
	setfattr -n user.binary -v 0x00ff10 "$dir/large"
	# Whole seconds: mke2fs -d keeps no more.
	find "$dir" -exec touch -h -d '2024-02-29 12:34:56 UTC' {} +
}

# What every guest has, whatever its disks look like.
configure_common() {
	local root=$1 name=$2
	cp -R --preserve=mode "$here/overlay/." "$root/"
	echo "$name" >"$root/etc/hostname"
	printf '127.0.0.1 localhost\n127.0.1.1 %s\n' "$name" >"$root/etc/hosts"
	uuid_of "$name.machine" | tr -d - >"$root/etc/machine-id"
	# Not by chpasswd: a minimal system need not have it.
	sed -i "s|^root:[^:]*:|root:$(openssl passwd -6 -salt transit transit):|" "$root/etc/shadow"
	make_marker "$root/srv/marker"
	mkdir -p "$root/etc/systemd/system/multi-user.target.wants"
	ln -sf ../transit-probe.service "$root/etc/systemd/system/multi-user.target.wants/"
	ln -sf ../transit-job.service "$root/etc/systemd/system/multi-user.target.wants/"
	# They would look for a mirror that a test guest cannot reach, and fail.
	for timer in apt-daily apt-daily-upgrade; do
		ln -sf /dev/null "$root/etc/systemd/system/$timer.timer"
	done
}

# The initramfs of a machine that was tuned for its own hardware: what it does
# not list is not in it, and virtio is not listed. Made natively here; inside an
# emulated guest this takes minutes.
make_initramfs() {
	local root=$1 version
	shift
	sed -i 's/^MODULES=.*/MODULES=list/' "$root/etc/initramfs-tools/initramfs.conf"
	printf '%s\n' "$@" >>"$root/etc/initramfs-tools/modules"
	mount -t proc proc "$root/proc"
	for version in "$root"/boot/vmlinuz-*; do
		chroot "$root" update-initramfs -c -k "${version##*/vmlinuz-}" >&2 || { umount "$root/proc" && return 1; }
	done
	umount "$root/proc"
	if chroot "$root" lsinitramfs "/boot/initrd.img-$(ls "$root/lib/modules")" | grep virtio >/dev/null; then
		echo "make_initramfs: virtio is in the initramfs, this is no test" >&2
		return 1
	fi
}
