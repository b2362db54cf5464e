# SPDX-License-Identifier: GPL-2.0-or-later
"""QEMU's command line for a machine: a function of the machine and its files, a reason beside every flag."""
from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

from qemu import powerloss, process
from qemu.order import ordered_ids
from qemu.paths import Files
from qemu.sizes import GIB, MIB, parse_size, round_up
from qemu.spec import BACKEND_OPTIONS, DRIVE_OPTIONS, Disk, Nvdimm, Options, Spec

# Any constant will do: ids of namespaces and DIMMs that tools show then stay the same across boots.
NVDIMM_UUID = 0x7469657265644e560000000000000000
GUEST_PORT = "tiered.agent"
SHARE_TAG = "share"


def escape(value: object) -> str:
    """A value inside a list of options: QEMU reads a doubled comma as one comma."""
    return str(value).replace(",", ",,")


def _options(head: str, pairs: dict[str, object]) -> str:
    return ",".join([head, *(f"{name}={escape(value)}" for name, value in pairs.items())])


def build(spec: Spec, files: Files, accel: str, agent_fd: int, monitor_fd: int) -> list[str]:
    """The command line of `spec`'s machine under accelerator `accel`."""
    return [
        spec.qemu,
        *_machine(spec, accel),
        *_boot(spec, files, accel),
        *_channels(files, agent_fd, monitor_fd),
        *_root(spec, files),
        *_nvdimms(spec, files),
        *_disks(spec, files),
        *_share(spec),
        *_plugin(spec, files),
        *spec.arguments,
    ]


def _machine(spec: Spec, accel: str) -> Iterator[str]:
    persistence = f",nvdimm-persistence={spec.persistence}" if spec.persistence else ""
    yield from ("-name", "dm-tiered")
    yield from ("-no-user-config", "-nodefaults")  # the same machine on every host; no network card, no VGA
    yield from ("-display", "none")             # nobody looks; also keeps QEMU off X and Wayland
    yield from ("-machine", f"q35,nvdimm=on{persistence}")  # nvdimm=on makes the NFIT that libnvdimm reads
    # Decided in accel.py: QEMU's own fall-back is silent. A single thread orders all stores.
    yield from ("-accel", f"{accel},thread=single" if spec.powercut else accel)
    yield from ("-cpu", spec.cpu)               # max has clwb and clflushopt, which qemu64 lacks
    yield from ("-smp", str(spec.smp))
    yield from ("-m", _memory(spec))
    yield "-no-reboot"                          # a panic (panic=-1 reboots at once) becomes QEMU's end
    if spec.icount:
        yield from ("-icount", "shift=0,sleep=off")  # an instruction is a ns of guest time; idle is skipped
        yield from ("-rtc", "clock=vm")         # the guest's wall clock counts instructions too
    else:
        yield from ("-rtc", "base=utc")


def _memory(spec: Spec) -> str:
    """DRAM, and room in the address space for the NVDIMMs with one GiB each for alignment."""
    dram = parse_size(spec.mem)
    if not spec.nvdimms:
        return f"{dram // MIB}M"
    room = sum(round_up(nvdimm.file_size, GIB) + GIB for nvdimm in spec.nvdimms)
    return f"{dram // MIB}M,slots={len(spec.nvdimms)},maxmem={(round_up(dram, GIB) + room) // MIB}M"


def kernel_parameters(spec: Spec, accel: str) -> list[str]:
    """The guest kernel's command line."""
    parameters = [
        "console=ttyS0",            # the console is a file on the host
        "panic=-1", "oops=panic",   # an oops loses the VM at once instead of leaving it half alive
        "mitigations=off",          # nothing to protect in a throw-away guest; they cost under emulation
        "cryptomgr.notests",        # self-tests of ciphers nobody uses: 0.3 s of the boot
    ]
    if accel == "tcg":
        parameters += [
            # Else the clock's watchdog falls back to the HPET, a device access for each reading.
            "tsc=reliable", "clocksource=tsc",
            # A busy host delays the timer's test, which then panics ("IO-APIC + timer doesn't work").
            "no_timer_check",
            # An emulated processor stands still while the host is busy; that is no stall of the guest's.
            "rcupdate.rcu_cpu_stall_timeout=300", "watchdog_thresh=60",
        ]
    return [*parameters, *spec.append.split()]


def _boot(spec: Spec, files: Files, accel: str) -> Iterator[str]:
    yield from ("-kernel", str(files.kernel))
    yield from ("-initrd", str(files.initrd))
    yield from ("-append", " ".join(kernel_parameters(spec, accel)))


def _channels(files: Files, agent_fd: int, monitor_fd: int) -> Iterator[str]:
    # append=on: the log goes on when the same VM boots again after a power cut.
    yield from ("-chardev", _options("file", {"id": "console", "path": files.console, "append": "on"}))
    yield from ("-serial", "chardev:console")
    # Sockets that are connected before QEMU starts: no path to clean up, nothing to wait for, and QEMU's end
    # is the end of the stream.
    yield from ("-chardev", f"socket,id=agent,fd={agent_fd}")
    yield from ("-device", "virtio-serial-pci")
    yield from ("-device", f"virtserialport,chardev=agent,name={GUEST_PORT}")
    yield from ("-chardev", f"socket,id=monitor,fd={monitor_fd}")
    yield from ("-mon", "chardev=monitor,mode=control")


def _root(spec: Spec, files: Files) -> Iterator[str]:
    """The root image is a SCSI disk, so that /dev/vda is the first --disk; so is the one for what a
    guest with systemd writes to its root; the image is the read-only one of them."""
    yield from ("-device", "virtio-scsi-pci")
    yield from ("-drive", _options("if=none,id=root,format=raw,readonly=on", {
        "file": files.root,
        "file.locking": "off",  # read-only and shared by all VMs
    }))
    yield from ("-device", "scsi-hd,drive=root")
    if spec.init == "systemd":
        yield from ("-drive", _options("if=none,id=kept,format=raw,cache=unsafe", {"file": files.kept_root}))
        yield from ("-device", "scsi-hd,drive=kept")


def _nvdimms(spec: Spec, files: Files) -> Iterator[str]:
    for number, (nvdimm, name) in enumerate(zip(spec.nvdimms, ordered_ids(len(spec.nvdimms)))):
        backend, device = _backend_and_device(nvdimm)
        yield from ("-object", _options(f"memory-backend-file,id=memory{number}", {
            "share": "on",      # stores reach the file, and survive QEMU's end in the host's page cache
            "mem-path": files.nvdimm(number),
            "size": nvdimm.file_size,
            **backend,
        }))
        yield from ("-device", _options(f"nvdimm,id={name},memdev=memory{number}", {
            "slot": number,     # the handle, by which labels know their DIMM, must not depend on the id
            "uuid": UUID(int=NVDIMM_UUID + number),
            "label-size": nvdimm.label_size,
            **_address(spec, number),
            **device,
        }))


def _address(spec: Spec, number: int) -> dict[str, object]:
    """The plugin has to know where the NVDIMM is that it watches."""
    return {"addr": f"{powerloss.base_address(spec.mem):#x}"} if spec.powercut and number == 0 else {}


def _backend_and_device(nvdimm: Nvdimm) -> tuple[dict[str, str], dict[str, str]]:
    others = tuple(pair for pair in nvdimm.options if pair[0] != "label-size")
    return _partition(others, BACKEND_OPTIONS)


def _partition(options: Options, first: frozenset[str]) -> tuple[dict[str, str], dict[str, str]]:
    return ({name: value for name, value in options if name in first},
            {name: value for name, value in options if name not in first})


def _disks(spec: Spec, files: Files) -> Iterator[str]:
    for number, disk in enumerate(spec.disks):
        drive, device = _partition(disk.options, DRIVE_OPTIONS)
        yield from ("-drive", _options(f"if=none,id=disk{number},format=raw", {
            "file": files.disk(number),
            # Writes go to the host's page cache at once, so killing QEMU loses none of them; a guest's FLUSH
            # is an fdatasync of the file, so flushes cost something and survive the host as well.
            "cache": "writeback",
            "discard": "unmap",             # a discard punches a hole, which reads as zeros
            "detect-zeroes": "off",         # a write of zeros stays a write
            "werror": "report",             # a full host disk is an I/O error, not a VM that stands still
            "rerror": "report",
            **_throttle(disk),
            **drive,
        }))
        yield from ("-device", _options("virtio-blk-pci", {
            "drive": f"disk{number}",
            "serial": f"disk{number}",      # tells disks apart in the guest whatever their order
            **device,
        }))


def _throttle(disk: Disk) -> dict[str, object]:
    limits: dict[str, object] = {}
    if disk.iops:
        limits["throttling.iops-total"] = disk.iops
    if disk.bps:
        limits["throttling.bps-total"] = parse_size(disk.bps)
    return limits


def _share(spec: Spec) -> Iterator[str]:
    if spec.share is None:
        return
    yield from ("-fsdev", _options("local,id=share", {
        "path": spec.share.resolve(),
        "security_model": "none",   # files belong to who runs QEMU; needs no privilege on the host
        "multidevs": "remap",       # a folder with mounts below it must not show the same inode twice
    }))
    yield from ("-device", f"virtio-9p-pci,fsdev=share,mount_tag={SHARE_TAG}")


def _plugin(spec: Spec, files: Files) -> Iterator[str]:
    if not spec.powercut:
        return
    options = powerloss.arguments(powerloss.parse(spec.powercut), process.version(spec.qemu), files.nvdimm(0),
                                  powerloss.base_address(spec.mem))
    path = options.pop("file")
    yield from ("-plugin", _options(escape(path), options))
