# SPDX-License-Identifier: GPL-2.0-or-later
"""What the host's distribution calls things: reads distributions.ini and resolves kernel packages."""
from __future__ import annotations

import configparser
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from images.host import Problem, run

DATA = Path(__file__).with_name("distributions.ini")
# The parts that a kernel's packages are split into; all else that they depend on is of no use here.
KERNEL_PART = re.compile(r"linux-(image|binary|modules|headers|kbuild)(-[a-z]+)*-[0-9]"
                         r"|linux-hwe-[0-9.]+-headers-[0-9]")
KERNEL_IMAGE = re.compile(r"linux-(?:image|binary)(?:-unsigned)?-([0-9].*)")


@dataclass(frozen=True)
class KernelSource:
    """How a kernel of ours is had on this distribution."""
    name: str
    suites: tuple[str, ...]
    packages: tuple[str, ...]
    toolroot: tuple[str, ...]
    source: str


@dataclass(frozen=True)
class Distribution:
    """A section of distributions.ini."""
    name: str
    arch: str
    codename: str
    suites: tuple[str, ...]
    components: tuple[str, ...]
    keyring: str
    host: tuple[str, ...]
    guest: tuple[str, ...]
    systemd: tuple[str, ...]
    kernels: tuple[KernelSource, ...]

    def kernel(self, name: str) -> KernelSource:
        """The kernel called `name`."""
        for source in self.kernels:
            if source.name == name:
                return source
        known = ", ".join(source.name for source in self.kernels)
        raise Problem(f"There is no kernel '{name}' on {self.name}: choose one of {known}.")


@dataclass(frozen=True)
class KernelPackages:
    """The packages that make a kernel: its release, its version and their exact names."""
    release: str
    version: str
    packages: tuple[str, ...]


def identity(os_release: str) -> str:
    """The section name for the text of an os-release file."""
    values = {}
    for line in os_release.splitlines():
        key, separator, value = line.partition("=")
        if separator:
            values[key.strip()] = "".join(shlex.split(value))
    return f"{values.get('ID', 'unknown')}-{values.get('VERSION_ID', 'unknown')}"


def parse(os_release: str, data: str, arch: str) -> Distribution:
    """The distribution that an os-release text names, out of the text of distributions.ini."""
    config = configparser.ConfigParser(interpolation=None, default_section="none")
    config.read_string(data)
    name = identity(os_release)
    if name not in config:
        known = ", ".join(section for section in config.sections() if " kernel " not in section)
        raise Problem(f"The distribution {name} is not known: use one of {known}, "
                      f"or add a section to {DATA}.")

    def words(section: str, key: str) -> tuple[str, ...]:
        return tuple(config.get(section, key, fallback="").replace("{arch}", arch).split())

    prefix = f"{name} kernel "
    kernels = tuple(
        KernelSource(section[len(prefix):], words(section, "suites"), words(section, "packages"),
                     words(section, "toolroot"), config.get(section, "source", fallback=""))
        for section in config.sections() if section.startswith(prefix))
    return Distribution(name, arch, config.get(name, "codename"), words(name, "suites"),
                        words(name, "components"), config.get(name, "keyring"), words(name, "host"),
                        words(name, "guest"), words(name, "systemd"), kernels)


def host() -> Distribution:
    """The distribution this host runs."""
    os_release = Path("/etc/os-release").read_text(encoding="utf-8")
    arch = run(["dpkg", "--print-architecture"]).strip()
    return parse(os_release, DATA.read_text(encoding="utf-8"), arch)


def fields(record: str) -> dict[str, str]:
    """The fields of a control record."""
    found: dict[str, str] = {}
    key = ""
    for line in record.splitlines():
        if line.startswith((" ", "\t")):
            found[key] = found.get(key, "") + "\n" + line.strip()
        elif ":" in line:
            key, _, value = line.partition(":")
            found[key] = value.strip()
        else:
            break
    return found


def depends(record: str) -> list[str]:
    """The first alternative of each package that a control record depends on."""
    entries = fields(record).get("Depends", "").split(",")
    return [re.split(r"[ (:|]", entry.strip(), maxsplit=1)[0] for entry in entries if entry.strip()]


def resolve(source: KernelSource, show: Callable[[str], str]) -> KernelPackages:
    """Follow a kernel's meta packages to the packages that hold it; `show` is `apt-cache show`."""
    found: dict[str, str] = {}
    queue = list(source.packages)
    while queue:
        package = queue.pop(0)
        if package in found:
            continue
        record = show(package)
        if not record:
            raise Problem(f"The package {package} of kernel {source.name} is not in "
                          f"{' '.join(source.suites)}: check the host's APT sources.")
        found[package] = record
        queue += [name for name in depends(record) if KERNEL_PART.match(name)]
    parts = [name for name in found if KERNEL_PART.match(name) and name not in source.packages]
    for name in parts:
        match = KERNEL_IMAGE.fullmatch(name)
        if match:
            return KernelPackages(match[1], fields(found[name]).get("Version", ""), tuple(sorted(parts)))
    raise Problem(f"None of {' '.join(parts) or 'the packages found'} holds kernel {source.name}'s image: "
                  f"correct its section in {DATA}.")
