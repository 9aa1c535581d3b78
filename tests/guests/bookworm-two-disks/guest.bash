# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154
#
# An old Debian server with a data disk. The system disk is on AHCI; the data
# disk is on IDE, whose driver is not in the initramfs, so that it is found last
# and is /dev/sdb at every boot. Suspends to /dev/sda2, by name, from inside the
# initramfs; debconf knows the system disk by its old model and serial.

guest_suite=bookworm
guest_packages=$bookworm_packages
guest_firmware=bios
guest_disks=2
guest_old_disks="disk0,bus=ahci disk1,bus=ide"
guest_old_nic=e1000
guest_old_interface=ens3
guest_mac=52:54:00:74:72:03
guest_unfixed=no-root

guest_configure() {
	local root=$1
	cat >"$root/etc/fstab" <<-'END'
	/dev/sda1	/		ext4	errors=remount-ro	0	1
	/dev/sda2	none		swap	sw			0	0
	/dev/sdb1	/srv/data	ext4	defaults,noatime	0	2
	END
	grub_defaults "$root" "quiet" "console=ttyS0,115200n8"
	grub_install_device "$root" /dev/disk/by-id/ata-QEMU_HARDDISK_disk0
	echo 'RESUME=/dev/sda2' >"$root/etc/initramfs-tools/conf.d/resume"
	cat >"$root/etc/network/interfaces" <<-'END'
	auto lo
	iface lo inet loopback

	auto ens3
	iface ens3 inet dhcp
	END
	mkdir -p "$root/srv/data"
	make_initramfs "$root" ahci sd_mod ext4 crc32c_generic e1000
}

guest_images() {
	local root=$1 out=$2 data
	make_disk "$out/disk0.raw" 1536M <<-'END'
	label: dos
	label-id: 0x7472616f
	start=2048, size=1280M, type=83, bootable
	size=200M, type=82
	END
	fill_ext4 "$out/disk0.raw" 1 "$(uuid_of "$guest.root")" "$root"
	fill_with "$out/disk0.raw" 2 mkswap --uuid "$(uuid_of "$guest.swap")"
	data=$(mktemp -d "$out/data.XXXX")
	chmod 755 "$data"
	make_marker "$data/marker"
	guest_data_marker=$("$here/overlay/usr/local/sbin/transit-marker" "$data/marker")
	make_disk "$out/disk1.raw" 256M <<-'END'
	label: dos
	label-id: 0x74726170
	start=2048, type=83
	END
	fill_ext4 "$out/disk1.raw" 1 "$(uuid_of "$guest.data")" "$data"
	rm -rf "$data"
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
