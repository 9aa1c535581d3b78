# SPDX-License-Identifier: GPL-3.0-or-later
# The planners that edit files of the guest.
target_sources(bootfix_core PRIVATE
  steps/cloudinit.c steps/cmdline.c steps/console.c steps/crypttab.c steps/debconf.c steps/fstab.c
  steps/leftovers.c steps/leftovers_lvm.c steps/leftovers_mdadm.c steps/leftovers_modprobe.c
  steps/network.c steps/selinux.c steps/spec.c steps/tools.c steps/virtio.c steps/virtio_keep.c)
