# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154
#
# An old Debian server: MBR, BIOS, one IDE disk that everything calls /dev/sda,
# a static address on the interface name of its old slot.

guest_suite=bookworm
guest_packages=$bookworm_packages
guest_firmware=bios
guest_disks=1
guest_old_disks="disk0,bus=ide"
guest_old_nic=e1000
guest_old_interface=ens3
guest_mac=52:54:00:74:72:01
guest_unfixed=no-root

guest_configure() {
	local root=$1
	cat >"$root/etc/fstab" <<-'END'
	# <file system> <mount point> <type> <options> <dump> <pass>
	/dev/sda1	/	ext4	errors=remount-ro	0	1
	/dev/sda2	none	swap	sw			0	0
	END
	grub_defaults "$root" "quiet" "console=tty0 console=ttyS0,115200n8"
	grub_install_device "$root" /dev/sda
	echo "RESUME=UUID=$(uuid_of "$guest.swap")" >"$root/etc/initramfs-tools/conf.d/resume"
	cat >"$root/etc/network/interfaces" <<-'END'
	auto lo
	iface lo inet loopback

	auto ens3
	iface ens3 inet static
		address 10.0.2.15/24
		gateway 10.0.2.2
	END
	make_initramfs "$root" ata_piix ahci sd_mod ext4 crc32c_generic e1000
}

guest_images() {
	local root=$1 out=$2
	make_disk "$out/disk0.raw" 1536M <<-'END'
	label: dos
	label-id: 0x7472616e
	start=2048, size=1280M, type=83, bootable
	size=200M, type=82
	END
	fill_ext4 "$out/disk0.raw" 1 "$(uuid_of "$guest.root")" "$root"
	fill_with "$out/disk0.raw" 2 mkswap --uuid "$(uuid_of "$guest.swap")"
}

guest_lab() {
	cat <<-'END'
	mount -t ext4 /dev/sda1 /mnt
	for dir in dev proc sys; do mount --bind /$dir /mnt/$dir; done
	export PATH=/usr/sbin:/usr/bin:/sbin:/bin
	chroot /mnt grub-install --target=i386-pc /dev/sda
	chroot /mnt update-grub
	grep -q 'root=/dev/sda1' /mnt/boot/grub/grub.cfg
	for dir in dev proc sys; do umount /mnt/$dir; done
	umount /mnt
	END
}
