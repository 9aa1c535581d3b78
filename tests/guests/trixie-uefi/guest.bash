# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154
#
# A current Debian server: GPT, UEFI, separate /boot, root on the last partition
# so that it can grow. The ESP has no EFI/BOOT: the server boots only by the entry
# in its firmware's variables, which do not come along when it moves.

guest_suite=trixie
guest_packages=$trixie_packages
guest_firmware=uefi
guest_disks=1
guest_old_disks="disk0,bus=ahci"
guest_old_nic=e1000
guest_old_interface=enp0s3
guest_mac=52:54:00:74:72:02
guest_unfixed=no-boot-device

guest_configure() {
	local root=$1
	cat >"$root/etc/fstab" <<-END
	UUID=$(uuid_of "$guest.root")	/	ext4	errors=remount-ro	0	1
	/dev/sda2	/boot	ext4	defaults	0	2
	/dev/sda1	/boot/efi	vfat	umask=0077	0	1
	/dev/sda3	none	swap	sw	0	0
	END
	grub_defaults "$root" "quiet" "console=tty0 console=ttyS0,115200n8"
	# Here the root goes by UUID; the other file systems keep their old names.
	sed -i '/GRUB_DISABLE_LINUX_UUID/d' "$root/etc/default/grub"
	cat >"$root/etc/systemd/network/10-lan.network" <<-'END'
	[Match]
	Name=enp0s3

	[Network]
	DHCP=ipv4
	LinkLocalAddressing=ipv6
	END
	# Two minutes of waiting for a network that is not there is the default.
	mkdir -p "$root/etc/systemd/system/systemd-networkd-wait-online.service.d"
	printf '[Service]\nExecStart=\nExecStart=/usr/lib/systemd/systemd-networkd-wait-online --timeout=60\n' \
		>"$root/etc/systemd/system/systemd-networkd-wait-online.service.d/timeout.conf"
	chroot "$root" systemctl enable systemd-networkd.service
	mkdir -p "$root/boot/efi"
	make_initramfs "$root" ahci sd_mod ext4 crc32c e1000
}

guest_images() {
	local root=$1 out=$2
	make_disk "$out/disk0.raw" 1792M <<-END
	label: gpt
	label-id: $(uuid_of "$guest.gpt")
	start=2048, size=64M, type=uefi, uuid=$(uuid_of "$guest.part1"), name=esp
	size=192M, type=linux, uuid=$(uuid_of "$guest.part2"), name=boot
	size=128M, type=swap, uuid=$(uuid_of "$guest.part3"), name=swap
	type=linux, uuid=$(uuid_of "$guest.part4"), name=root
	END
	mv "$root/boot" "$out/boot.tree"
	mkdir "$root/boot"
	fill_with "$out/disk0.raw" 1 mkfs.vfat -F 32 -i 7472616e -n ESP
	fill_ext4 "$out/disk0.raw" 2 "$(uuid_of "$guest.boot")" "$out/boot.tree"
	fill_with "$out/disk0.raw" 3 mkswap --uuid "$(uuid_of "$guest.swap")"
	fill_ext4 "$out/disk0.raw" 4 "$(uuid_of "$guest.root")" "$root"
	rm -rf "$out/boot.tree"
}

guest_lab() {
	cat <<-'END'
	mount -t ext4 /dev/sda4 /mnt
	mount -t ext4 /dev/sda2 /mnt/boot
	mount -t vfat /dev/sda1 /mnt/boot/efi
	for dir in dev proc sys; do mount --bind /$dir /mnt/$dir; done
	mount --bind /sys/firmware/efi/efivars /mnt/sys/firmware/efi/efivars
	export PATH=/usr/sbin:/usr/bin:/sbin:/bin
	# Newer GRUB packages write EFI/BOOT too unless told not to.
	only=
	! chroot /mnt grub-install --help | grep no-extra-removable >/dev/null || only=--no-extra-removable
	chroot /mnt grub-install --target=x86_64-efi --efi-directory=/boot/efi --bootloader-id=debian $only
	chroot /mnt update-grub
	[ ! -e /mnt/boot/efi/EFI/BOOT ]
	chroot /mnt efibootmgr -v
	umount /mnt/sys/firmware/efi/efivars
	for dir in dev proc sys boot/efi boot ""; do umount /mnt/$dir; done
	END
}
