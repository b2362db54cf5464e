# SPDX-License-Identifier: GPL-2.0-or-later
"""The resolution of a distribution's names: pure functions of os-release and apt-cache texts."""
from __future__ import annotations

from collections.abc import Callable

import pytest

from images import apt, distribution
from images.apt import Repository
from images.distribution import DATA, Distribution, KernelPackages
from images.host import Problem

DEBIAN = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nNAME="Debian GNU/Linux"\nVERSION_ID="12"\nID=debian\n'
UBUNTU = 'PRETTY_NAME="Ubuntu 24.04.3 LTS"\nVERSION_ID="24.04"\nVERSION_CODENAME=noble\nID=ubuntu\n'


def known(os_release: str) -> Distribution:
    return distribution.parse(os_release, DATA.read_text(encoding="utf-8"), "amd64")


def shelf(records: dict[str, str]) -> Callable[[str], str]:
    """An apt-cache show whose packages have these dependencies."""
    def show(package: str) -> str:
        if package not in records:
            return ""
        return (f"Package: {package}\nVersion: 1-2\nDepends: {records[package]}\nDescription: a package\n"
                " Depends: linux-image-0 is prose here\n")
    return show


DEBIAN_SHELF = shelf({
    "linux-image-amd64": "linux-image-6.1.0-56-amd64 (= 6.1.192-2)",
    "linux-image-6.1.0-56-amd64": "kmod, initramfs-tools | linux-initramfs-tool",
    "linux-headers-amd64": "linux-headers-6.1.0-56-amd64 (= 6.1.192-2)",
    "linux-headers-6.1.0-56-amd64": "linux-headers-6.1.0-56-common (= 6.1.192-2), linux-kbuild-6.1, "
                                    "linux-compiler-gcc-12-x86 (>= 6.1.192-2)",
    "linux-headers-6.1.0-56-common": "", "linux-kbuild-6.1": "libc6 (>= 2.33)"})
SPLIT_SHELF = shelf({
    "linux-image-amd64": "linux-base-amd64 (= 1-2), linux-image-7.2+deb14-amd64 (= 1-2)",
    "linux-image-7.2+deb14-amd64": "dracut | initramfs-tools, linux-binary-7.2+deb14-amd64 (= 1-2), "
                                   "linux-modules-7.2+deb14-amd64 (= 1-2)",
    "linux-binary-7.2+deb14-amd64": "", "linux-modules-7.2+deb14-amd64": "kmod",
    "linux-headers-amd64": "linux-headers-7.2+deb14-amd64 (= 1-2)",
    "linux-headers-7.2+deb14-amd64": "gcc-16-for-host, linux-headers-7.2+deb14-common (= 1-2), "
                                     "linux-kbuild-7.2+deb14",
    "linux-headers-7.2+deb14-common": "", "linux-kbuild-7.2+deb14": "pahole, libc6 (>= 2.38)"})
UBUNTU_SHELF = shelf({
    "linux-image-generic": "linux-image-6.8.0-88-generic, linux-modules-extra-6.8.0-88-generic, "
                           "linux-firmware, intel-microcode",
    "linux-image-6.8.0-88-generic": "kmod, linux-modules-6.8.0-88-generic",
    "linux-modules-6.8.0-88-generic": "", "linux-modules-extra-6.8.0-88-generic": "wireless-regdb",
    "linux-headers-generic": "linux-headers-6.8.0-88-generic",
    "linux-headers-6.8.0-88-generic": "linux-headers-6.8.0-88, libc6 (>= 2.38), libelf1t64 (>= 0.144)",
    "linux-headers-6.8.0-88": "coreutils",
    "linux-image-generic-hwe-24.04": "linux-image-6.14.0-9-generic, linux-modules-extra-6.14.0-9-generic",
    "linux-image-6.14.0-9-generic": "linux-modules-6.14.0-9-generic", "linux-modules-6.14.0-9-generic": "",
    "linux-modules-extra-6.14.0-9-generic": "",
    "linux-headers-generic-hwe-24.04": "linux-headers-6.14.0-9-generic",
    "linux-headers-6.14.0-9-generic": "linux-hwe-6.14-headers-6.14.0-9",
    "linux-hwe-6.14-headers-6.14.0-9": ""})


@pytest.mark.parametrize(("os_release", "kernel", "show", "expected"), [
    (DEBIAN, "6.1", DEBIAN_SHELF, KernelPackages("6.1.0-56-amd64", "1-2", (
        "linux-headers-6.1.0-56-amd64", "linux-headers-6.1.0-56-common", "linux-image-6.1.0-56-amd64",
        "linux-kbuild-6.1"))),
    (DEBIAN, "7.2", SPLIT_SHELF, KernelPackages("7.2+deb14-amd64", "1-2", (
        "linux-binary-7.2+deb14-amd64", "linux-headers-7.2+deb14-amd64", "linux-headers-7.2+deb14-common",
        "linux-image-7.2+deb14-amd64", "linux-kbuild-7.2+deb14", "linux-modules-7.2+deb14-amd64"))),
    (UBUNTU, "6.1", UBUNTU_SHELF, KernelPackages("6.8.0-88-generic", "1-2", (
        "linux-headers-6.8.0-88", "linux-headers-6.8.0-88-generic", "linux-image-6.8.0-88-generic",
        "linux-modules-6.8.0-88-generic", "linux-modules-extra-6.8.0-88-generic"))),
    (UBUNTU, "6.12", UBUNTU_SHELF, KernelPackages("6.14.0-9-generic", "1-2", (
        "linux-headers-6.14.0-9-generic", "linux-hwe-6.14-headers-6.14.0-9", "linux-image-6.14.0-9-generic",
        "linux-modules-6.14.0-9-generic", "linux-modules-extra-6.14.0-9-generic"))),
], ids=["debian-6.1", "debian-7.2-split", "ubuntu-6.1", "ubuntu-hwe"])
def test_kernel_packages(os_release: str, kernel: str, show: Callable[[str], str],
                         expected: KernelPackages) -> None:
    assert distribution.resolve(known(os_release).kernel(kernel), show) == expected


@pytest.mark.parametrize("os_release", [DEBIAN, UBUNTU])
def test_both_name_the_same_tools(os_release: str) -> None:
    section = known(os_release)
    assert {"qemu-system-x86", "squashfs-tools", "kmod", "python3-pytest"} <= set(section.host)
    assert {"systemd", "systemd-sysv", "udev"} <= set(section.systemd) - set(section.guest)
    assert {"busybox-static", "ndctl", "dmsetup", "fio", "bcache-tools"} <= set(section.guest)
    assert not any("{" in word for source in section.kernels for word in source.packages)


def test_unknown_names_are_told() -> None:
    with pytest.raises(Problem, match="debian-12, ubuntu-24.04"):
        known("ID=plan9\nVERSION_ID=4\n")
    with pytest.raises(Problem, match="choose one of 6.1, 6.12"):
        known(DEBIAN).kernel("5.10")
    with pytest.raises(Problem, match="linux-image-amd64 of kernel 6.1 is not in bookworm"):
        distribution.resolve(known(DEBIAN).kernel("6.1"), shelf({}))


def test_repositories_are_the_hosts() -> None:
    host = [Repository("http://m/debian/", "bookworm", "main"),
            Repository("http://m/debian/", "bookworm", "contrib"),
            Repository("http://m/debian-security/", "bookworm-security", "main"),
            Repository("https://elsewhere/node", "nodistro", "main")]
    section = known(DEBIAN)
    assert apt.choose_repositories(host, section, section.suites) == [host[0], host[2]]
    assert apt.choose_repositories(host, section, ["sid"]) == [Repository("http://m/debian/", "sid", "main")]
    with pytest.raises(Problem, match="no entry for bookworm"):
        apt.choose_repositories(host[2:], section, section.suites)


def test_archive_names_give_exact_versions() -> None:
    assert apt.exact("gawk_1%3a5.2.1-2_amd64.deb") == "gawk=1:5.2.1-2"
