#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2154 # dracut sets moddir and initdir
# A module of dracut that opens the volume that the root file system is on: volumes whose file in /etc/tiered.d says
# `open = initramfs`. Left out when there is none.

configuration=/usr/lib/tiered/initramfs-configuration

# called by dracut
check() {
	"$configuration" || return 1
	require_binaries tierctl dmsetup
}

# called by dracut
depends() {
	echo dm udev-rules
}

# called by dracut
installkernel() {
	# Not only what this host has loaded now: nobody has, where the image is made in a chroot.
	hostonly='' instmods dm-tiered dm-mod libnvdimm nfit nd_pmem nd_e820 virtio_pmem
}

# called by dracut
install() {
	inst_multiple tierctl
	inst_multiple -o halt # what rd.shell=0 calls, and systemd's own module leaves out
	inst_rules 59-tiered.rules
	"$configuration" "$initdir" || return 1
	# Opened as soon as the devices that are there have settled; the queue goes on until that is done ...
	inst_hook initqueue/settled 50 "$moddir/tiered-open.sh"
	inst_hook initqueue/finished 50 "$moddir/tiered-opened.sh"
	dracut_need_initqueue # or systemd leaves the queue out
	# ... and nothing is mounted without it, should the queue have lost its patience.
	inst_hook pre-mount 05 "$moddir/tiered-open.sh"
}
