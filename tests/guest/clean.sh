# SPDX-License-Identifier: GPL-2.0-or-later
# Leaves the machine as it was at first: nothing mounted, no mapped device, empty devices, the module loaded anew.
# Prints how the kernel is tainted.
set -e
cd /
awk '$2 ~ "^/mnt/" && $2 != "/mnt/share" && $2 != "/mnt/lower" {print $2}' /proc/mounts | sort -r | xargs -r umount
# Nobody waits for a device that a failed test has suspended. One that cannot be resumed shows in the loop below.
dmsetup info -c --noheadings --separator ' ' -o name,suspended 2>/dev/null |
	awk '$2 == "Suspended" {print $1}' | xargs -r -n 1 dmsetup resume || true
tries=0
while dmsetup info -c --noheadings -o name 2>/dev/null | grep -q -v '^No devices'; do
	names=$(dmsetup info -c --noheadings -o name --sort open)
	for name in $names; do dmsetup remove "$name" 2>/tmp/remove.log || true; done
	tries=$((tries + 1))
	[ $tries -lt 8 ] || { echo "a mapped device cannot be removed: $(cat /tmp/remove.log)" >&2; exit 1; }
done
if [ -e /sys/module/dm_tiered ]; then rmmod dm_tiered; fi
# Slow tiers (tests/bench/rig.py) of a test that failed.
for slow in /sys/kernel/config/nullb/*/; do [ ! -d $slow ] || rmdir $slow; done
# What is built into the kernel is there too, without a state.
for module in dm_spindle null_blk; do [ ! -e /sys/module/$module/initstate ] || rmmod $module; done
[ ! -h /dev/slow ] || rm /dev/slow
for disk in /dev/vd?; do [ ! -b $disk ] || blkdiscard -f $disk; done
for pmem in /dev/pmem?; do
	[ ! -b $pmem ] || dd if=/dev/zero of=$pmem bs=64K count=1 oflag=direct conv=fsync status=none
done
rm -rf /tmp/* /var/lib/tiered
# As after a boot and prepare() of harness/pool.py.
modprobe dm-tiered
mkdir -p /mnt/test
cat /proc/sys/kernel/tainted
