# SPDX-License-Identifier: GPL-2.0-or-later
"""The two kinds of guest: one whose first process is qemu's agent, and one with systemd and udev."""
from __future__ import annotations

from dataclasses import dataclass, field

from images.distribution import Distribution

# The modules of the initrd: those that the root image, the host's channels and the emulated devices need.
MODULES = ("virtio_pci", "virtio_scsi", "sd_mod", "squashfs", "overlay", "virtio_console", "virtio_blk",
           "virtio_rng", "9p", "9pnet_virtio", "nfit", "nd_pmem", "device_dax", "dm_mod")
BULKY = ("usr/share/doc", "usr/share/doc-base", "usr/share/man", "usr/share/info", "usr/share/locale",
         "usr/share/lintian", "usr/share/bug", "usr/share/bash-completion", "usr/share/zsh",
         "usr/share/applications", "usr/share/pixmaps", "usr/share/icons", "usr/share/menu")
PYTHON_TESTS = ("usr/lib/python3.11/test", "usr/lib/python3.12/test")
FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534::/nonexistent:/bin/false\n",
    "etc/group": "root:x:0:\ndisk:x:6:\ntty:x:5:\nnogroup:x:65534:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
    "etc/hosts": "127.0.0.1 localhost tiered\n::1 localhost\n",
    "etc/hostname": "tiered\n",
    "etc/fstab": "",
    "etc/profile": "PS1='vm# '\n",
}
# What maintainer scripts would have linked.
LINKS = {"usr/bin/sh": "dash", "etc/mtab": "/proc/self/mounts", "usr/bin/awk": "gawk", "var/run": "/run",
         "usr/bin/vi": "busybox", "usr/bin/less": "busybox"}

# Every process that systemd starts costs tenths of a second under emulation: what no test needs stays out.
MASKED_UNITS = (
    "apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer", "fstrim.timer",
    "systemd-tmpfiles-clean.timer", "xfs_scrub_all.timer", "e2scrub_reap.service", "fio.service",
    "ndctl-monitor.service", "daxdev-reconfigure@.service",
    "cryptsetup.target", "integritysetup.target", "veritysetup.target", "getty.target", "remote-fs.target",
    "dev-hugepages.mount", "dev-mqueue.mount", "sys-fs-fuse-connections.mount", "sys-kernel-config.mount",
    "sys-kernel-debug.mount", "sys-kernel-tracing.mount", "proc-sys-fs-binfmt_misc.automount",
    "kmod-static-nodes.service", "systemd-ask-password-console.path", "systemd-ask-password-wall.path",
    "systemd-binfmt.service", "systemd-firstboot.service", "systemd-hwdb-update.service",
    "systemd-journal-catalog-update.service", "systemd-journal-flush.service", "systemd-logind.service",
    "systemd-machine-id-commit.service", "systemd-pcrphase-sysinit.service", "systemd-pcrphase.service",
    "systemd-random-seed.service", "systemd-repart.service", "systemd-sysctl.service",
    "systemd-sysusers.service", "systemd-tmpfiles-setup.service", "systemd-tmpfiles-setup-dev.service",
    "systemd-update-utmp.service", "systemd-update-utmp-runlevel.service", "systemd-user-sessions.service",
    "systemd-initctl.socket", "systemd-journald-audit.socket", "ldconfig.service")
# Looking into the slots of every device for drivers is the rest of what makes a cold boot slow.
TRIGGER = """\
[Service]
ExecStart=
ExecStart=-udevadm trigger --type=devices --action=add --subsystem-match=block --subsystem-match=nd
"""
# Its shell would read the console, which is a file on the host; the agent runs in this state as well.
EMERGENCY = """\
[Unit]
Description=Nothing: the agent is the way into a guest whose boot went wrong
DefaultDependencies=no
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/true
"""
SYSTEMD_FILES = {
    **FILES,
    "etc/group": "".join(f"{name}:x:{number}:\n" for name, number in {
        "root": 0, "adm": 4, "tty": 5, "disk": 6, "lp": 7, "kmem": 15, "dialout": 20, "cdrom": 24, "tape": 26,
        "audio": 29, "video": 44, "input": 101, "sgx": 102, "kvm": 103, "render": 104, "systemd-journal": 105,
        "nogroup": 65534}.items()),
    # Constant, or systemd takes each boot for the machine's first.
    "etc/machine-id": "74696572656400000000000000000001\n",
    "etc/systemd/system/systemd-udev-trigger.service.d/few.conf": TRIGGER,
    "etc/systemd/system/emergency.service": EMERGENCY,
    "etc/systemd/system/rescue.service": EMERGENCY,
}
SYSTEMD_LINKS = {
    **LINKS,
    "etc/systemd/system/default.target": "/lib/systemd/system/multi-user.target",
    **{f"etc/systemd/system/{unit}": "/dev/null" for unit in MASKED_UNITS},
}


@dataclass(frozen=True)
class Variant:
    """What makes one kind of guest."""
    suffix: str
    systemd: bool
    modules: tuple[str, ...]
    dropped: tuple[str, ...]
    files: dict[str, str] = field(hash=False)
    links: dict[str, str] = field(hash=False)

    def packages(self, host: Distribution) -> tuple[str, ...]:
        """The packages of its user land."""
        return host.guest + host.systemd if self.systemd else host.guest


VARIANTS = {
    "agent": Variant("", False, MODULES, (
        *BULKY, "usr/lib/systemd", "usr/lib/udev", "etc/init.d", "etc/systemd", "etc/modprobe.d",
        "usr/lib/modprobe.d", *PYTHON_TESTS), FILES, LINKS),
    # Its root is kept on a disk, hence ext4. The generators left out would look for what is not there.
    "systemd": Variant("-systemd", True, (*MODULES, "crc32c_generic", "ext4"), (
        *BULKY, "etc/init.d", "etc/modprobe.d", "usr/lib/udev/hwdb.d", *PYTHON_TESTS,
        *(f"usr/lib/systemd/system-generators/systemd-{name}-generator" for name in (
            "cryptsetup", "debug", "getty", "gpt-auto", "hibernate-resume", "integritysetup", "rc-local",
            "run", "system-update", "sysv", "veritysetup"))), SYSTEMD_FILES, SYSTEMD_LINKS),
}
