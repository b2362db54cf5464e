# SPDX-License-Identifier: GPL-2.0-or-later
"""What the machine itself may do on a volume when memory is short: swap to it, and stack a loop device on it.

Freeing memory then takes writes of the volume, so a driver that waits for memory on the way would hang.
"""
from __future__ import annotations

import pytest
from qemu import VM

from tests.harness import fio, volume

HOG_MIB = 200  # more than the machine has for programs


@pytest.mark.vm(nvdimm="32M", disks="640M", mem="256M")
@pytest.mark.limit(90)
def test_swap_on_the_volume(vm: VM) -> None:
    v = volume.make(vm)
    vm.run(f"mkswap {v.path} && swapon {v.path}")
    vm.run(f"python3 /root/tests/hog.py {HOG_MIB}", timeout=60)
    swapped = vm.run("grep -E '^pswp(in|out) ' /proc/vmstat").stdout.split()
    assert int(swapped[1]) > 1000 and int(swapped[3]) > 1000, f"the machine hardly swapped: {swapped}"
    vm.run(f"swapoff {v.path}", timeout=60)
    v.close()
    v.check()


@pytest.mark.vm(nvdimm="32M", disks="640M", mem="256M")
@pytest.mark.limit(90)
@pytest.mark.parametrize("direct", ["on", "off"])
def test_loop_device_on_the_volume(vm: VM, direct: str) -> None:
    v = volume.make(vm)
    vm.run(f"mkfs.ext4 -q -F {v.path} && mount {v.path} /mnt/test && truncate -s 256M /mnt/test/image")
    vm.run("modprobe loop")
    loop = vm.run(f"losetup --find --show --direct-io={direct} /mnt/test/image").stdout.strip()
    # Through the page cache, more than there is memory: what is dirty must go down two devices to free any.
    fio.run(
        vm, loop, rw="randwrite", bs="64k", size="192M", io_size="64M", direct=0, verify="crc32c", iodepth=1
    )
    vm.run(f"losetup -d {loop} && umount /mnt/test && e2fsck -fn {v.path}")
    v.close()
    v.check()
