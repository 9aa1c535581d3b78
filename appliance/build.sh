#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Builds the machine that bootfix runs in: a kernel and an initrd.
# The contract with whoever boots it is in appliance/README.md.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${TRANSIT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/transit}
# One fixed date for every file: the image must depend on its inputs only.
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-1700000000}
export LC_ALL=C TZ=UTC
umask 022
# Debian puts mke2fs, depmod and friends where an ordinary user's PATH ends.
PATH=$PATH:/usr/sbin:/sbin

# The busybox applets the appliance has, and no others: fewer names are fewer
# surprises for a program that looks something up in PATH.
applets_bin="ash awk basename cat chmod chown chroot cmp cp cut date dd df dirname
dmesg du echo env expr false find free grep gunzip gzip head hexdump id ip kill
ln ls lsmod md5sum mkdir mkfifo mknod mktemp mount mountpoint mv nproc od pidof
printf ps readlink realpath rm rmdir sed setsid sh sha256sum sleep sort stat
strings stty sync tail tar tee test timeout touch tr true truncate umount uname
uniq unshare wc which xargs xxd zcat"
applets_sbin="blockdev chroot halt insmod losetup lsmod mdev mkswap modprobe
pivot_root poweroff reboot rmmod swapoff swapon switch_root sysctl udhcpc"

usage() {
	cat <<-END
	usage: appliance/build.sh OUTDIR [--program PATH]...

	Writes OUTDIR/vmlinuz and OUTDIR/initrd.img. Every --program is put into
	/usr/bin with its shared libraries and may then be named by a job.

	TRANSIT_CACHE      where the kernel package is kept (now: $cache)
	SOURCE_DATE_EPOCH  the date of every file in the image
	END
}

die() {
	echo "appliance/build.sh: $*" >&2
	exit 1
}

# The rows of packages.list as "package file".
wanted_files() {
	awk '!/^#/ && NF { print $1, $2 }' "$here/packages.list"
}

# A missing tool must be named by the package that has it: "e2fsck: not found"
# from the middle of a build helps nobody.
check_host() {
	local package file missing=()
	while read -r package file; do
		[[ $file = - || -e $file ]] || missing+=("$package")
	done < <(wanted_files)
	command -v cpio >/dev/null || missing+=(cpio)
	command -v depmod >/dev/null || missing+=(kmod)
	command -v zstd >/dev/null || missing+=(zstd)
	command -v apt-get >/dev/null || die "apt-get is needed to fetch the kernel: build on Debian"
	((${#missing[@]} == 0)) ||
		die "missing here: apt-get install $(printf '%s\n' "${missing[@]}" | sort -u | tr '\n' ' ')"
}

# linux-image-amd64 only points at the current kernel; this is where it points.
kernel_package() {
	apt-cache depends linux-image-amd64 2>/dev/null |
		awk '$1 == "Depends:" && $2 ~ /^linux-image-[0-9]/ { print $2; exit }'
}

# Downloads and unpacks the kernel once; the newest cached one serves when the
# package lists are empty, so that a build works without a network.
fetch_kernel() {
	local package tree
	mkdir -p "$cache/kernel"
	package=$(kernel_package)
	if [[ -z $package ]]; then
		tree=$(find "$cache/kernel" -mindepth 1 -maxdepth 1 -type d -name 'linux-image-*' | sort -V | tail -n 1)
		[[ -n $tree ]] || die "apt knows no linux-image-amd64: apt-get update"
		echo "$tree"
		return
	fi
	tree=$cache/kernel/$package
	if [[ ! -e $tree/.complete ]]; then
		rm -rf "$tree" "$tree.new"
		mkdir "$tree.new"
		(cd "$tree.new" && apt-get download -q "$package" >&2) ||
			die "cannot download $package: apt-get update"
		dpkg-deb -x "$tree.new/$package"_*.deb "$tree.new"
		rm "$tree.new/$package"_*.deb
		depmod -b "$tree.new" "$(ls "$tree.new/lib/modules")"
		touch "$tree.new/.complete"
		mv "$tree.new" "$tree"
	fi
	echo "$tree"
}

# Every shared object a program loads, the loader itself included. A static
# program has none; ldd says so by failing.
libraries_of() {
	ldd "$1" 2>/dev/null | awk '$2 == "=>" && $3 ~ /^\// { print $3 } $1 ~ /^\// { print $1 }' || true
	if ldd "$1" 2>/dev/null | grep 'not found' >/dev/null; then
		die "$1: $(ldd "$1" | grep 'not found' | head -n 1)"
	fi
}

# /bin, /sbin and /lib are links into /usr inside the image, so a path found
# anywhere on the host has one place there.
place_of() {
	case $1 in
	/usr/*) echo "$1" ;;
	/bin/* | /sbin/* | /lib/* | /lib64/*) echo "/usr$1" ;;
	*) echo "/usr/lib/$(basename "$1")" ;;
	esac
}

# Lists "source destination" for all that comes from the host.
list_host_files() {
	local package file program
	{
		while read -r package file; do
			[[ $file != - ]] || continue
			echo "$file $(place_of "$file")"
			libraries_of "$file" | while read -r lib; do echo "$lib $(place_of "$lib")"; done
		done < <(wanted_files)
		for program in "$@"; do
			echo "$program /usr/bin/$(basename "$program")"
			libraries_of "$program" | while read -r lib; do echo "$lib $(place_of "$lib")"; done
		done
	} | sort -u
}

# The files of the wanted modules and of all they need. A name that this kernel
# has built in yields no file; a name it does not know at all is an error.
list_modules() {
	local tree=$1 version=$2 name
	awk '!/^#/ && NF { print $1 }' "$here/modules.list" | while read -r name; do
		modprobe -d "$tree" -S "$version" --show-depends "$name" ||
			die "modules.list: $version has no module $name"
	done | awk '$1 == "insmod" { print $2 }' | sort -u
}

# What the image depends on, as one digest.
digest_inputs() {
	local tree=$1
	shift
	{
		echo "$tree $SOURCE_DATE_EPOCH"
		find "$here/overlay" "$here/build.sh" "$here/modules.list" "$here/packages.list" -type f -print0 |
			sort -z | xargs -0 sha256sum
		list_host_files "$@" | tee /dev/fd/3 | awk '{ print $1 }' | sort -u | xargs sha256sum
	} 3>&1 | sha256sum | cut -d' ' -f1
}

copy_host_files() {
	local root=$1 source destination
	shift
	list_host_files "$@" | while read -r source destination; do
		mkdir -p "$root$(dirname "$destination")"
		cp -L "$source" "$root$destination"
		chmod 755 "$root$destination"
	done
}

link_applets() {
	local root=$1 name
	mkdir -p "$root/usr/bin" "$root/usr/sbin"
	for name in $applets_bin; do
		[[ -e $root/usr/bin/$name || -e $root/usr/sbin/$name ]] || ln -s busybox "$root/usr/bin/$name"
	done
	for name in $applets_sbin; do
		[[ -e $root/usr/bin/$name || -e $root/usr/sbin/$name ]] || ln -s ../bin/busybox "$root/usr/sbin/$name"
	done
}

copy_modules() {
	local root=$1 tree=$2 version=$3 file index
	list_modules "$tree" "$version" | while read -r file; do
		file=${file#"$tree"}
		mkdir -p "$root/usr$(dirname "$file")"
		cp "$tree$file" "$root/usr$file"
	done
	for index in modules.order modules.builtin modules.builtin.modinfo; do
		cp "$tree/lib/modules/$version/$index" "$root/usr/lib/modules/$version/"
	done
	depmod -b "$root/usr" "$version" 2>/dev/null || depmod -b "$root" "$version"
	# busybox reads the text indexes; the binary ones are for kmod.
	rm -f "$root/usr/lib/modules/$version"/modules.*.bin
}

make_tree() {
	local root=$1 tree=$2 version=$3 name program
	shift 3
	mkdir -p "$root"/{dev,proc,sys,run,tmp,state,mnt,root,etc} "$root"/usr/{bin,sbin,lib,lib64}
	for name in bin sbin lib lib64; do ln -s "usr/$name" "$root/$name"; done
	copy_host_files "$root" "$@"
	link_applets "$root"
	copy_modules "$root" "$tree" "$version"
	cp -R "$here/overlay/." "$root/"
	mkdir -p "$root/usr/lib/transit"
	for program in "$@"; do basename "$program"; done | sort -u >"$root/usr/lib/transit/programs"
	echo 'root:x:0:0:root:/root:/bin/sh' >"$root/etc/passwd"
	echo 'root:x:0:' >"$root/etc/group"
	# The modes of a checkout depend on who made it; those of the image must not.
	chmod -R u=rwX,go=rX "$root"
}

# Sorted names, numbered inodes, owner 0 and one date: two builds from the same
# inputs give the same bytes, whoever builds and whenever.
pack() {
	local root=$1 out=$2
	find "$root" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
	(cd "$root" && find . -mindepth 1 -print0 | sort -z |
		cpio --null --create --format=newc --reproducible --owner=+0:+0 --quiet) | compress >"$out"
}

# Chosen by measurement, see README.md. Another archive may be put before it, and
# unlike lz4's, zstd's end is known, so one may be put behind it too.
compress() {
	zstd -q -12 -c -
}

main() {
	local out programs=() tree version stamp work program
	(($# > 0)) || { usage >&2; exit 2; }
	out=$1
	shift
	case $out in --help | -h) usage; exit 0 ;; -*) usage >&2; exit 2 ;; esac
	while (($# > 0)); do
		[[ $1 = --program && $# -ge 2 ]] || { usage >&2; exit 2; }
		program=$(realpath -e "$2") || die "$2: no such program"
		programs+=("$program")
		shift 2
	done
	check_host
	tree=$(fetch_kernel)
	version=$(ls "$tree/lib/modules")
	mkdir -p "$out"
	stamp=$(digest_inputs "$tree" "${programs[@]}")
	if [[ -e $out/initrd.img && -e $out/vmlinuz && $(cat "$out/.inputs" 2>/dev/null) = "$stamp" ]]; then
		echo "appliance: up to date in $out"
		return
	fi
	work=$(mktemp -d)
	# The path is set now, the variable is gone when the trap runs.
	# shellcheck disable=SC2064
	trap "rm -rf '$work'" EXIT
	make_tree "$work/root" "$tree" "$version" "${programs[@]}"
	pack "$work/root" "$out/initrd.img.new"
	cp "$tree/boot/vmlinuz-$version" "$out/vmlinuz.new"
	mv "$out/vmlinuz.new" "$out/vmlinuz"
	mv "$out/initrd.img.new" "$out/initrd.img"
	# For who adds modules of the same kernel, see README.md.
	echo "$tree" >"$out/.kernel"
	echo "$stamp" >"$out/.inputs"
	printf 'appliance: %s, kernel %s KiB, initrd %s KiB (%s KiB unpacked)\n' "$version" \
		$(($(stat -c %s "$out/vmlinuz") / 1024)) $(($(stat -c %s "$out/initrd.img") / 1024)) \
		"$(du -sk "$work/root" | cut -f1)"
}

main "$@"
