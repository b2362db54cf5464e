# SPDX-License-Identifier: GPL-2.0-or-later
"""A private APT in the cache: the host's mirrors, keys and proxies, but none of its state; no root."""
from __future__ import annotations

import os
import subprocess
import sys
import urllib.parse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from images.distribution import Distribution
from images.host import Problem, cache_dir, digest, locked, run, say, write_file

_updated: set[tuple[str, ...]] = set()
# Hooks that the host's configuration may carry would act on the host's own state.
CONFIGURATION = """\
#clear APT::Update;
#clear APT::NeverAutoRemove;
#clear DPkg::Pre-Invoke;
#clear DPkg::Post-Invoke;
#clear DPkg::Pre-Install-Pkgs;
#clear APT::Architectures;
#clear APT::Default-Release;
APT::Architectures {{ "{arch}"; }};
APT::Install-Recommends "false";
APT::Install-Suggests "false";
APT::Get::Assume-Yes "true";
Acquire::Languages {{ "none"; }};
Acquire::PDiffs "false";
Acquire::Retries "3";
Dir::State "{home}/state";
Dir::State::lists "{home}/state/lists";
Dir::State::status "{home}/status";
Dir::Cache "{home}/cache";
Dir::Cache::pkgcache "{home}/cache/packages.bin";
Dir::Cache::srcpkgcache "{home}/cache/sources.bin";
Dir::Cache::archives "{home}/archives";
Dir::Etc::sourcelist "{home}/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::Log "{home}/log";
"""


@dataclass(frozen=True)
class Repository:
    """One line of a sources list."""
    uri: str
    suite: str
    component: str


def host_repositories() -> list[Repository]:
    """What the host's own APT is configured to read, as APT itself understands it."""
    text = run(["apt-get", "indextargets", "--format", "$(REPO_URI)|$(RELEASE)|$(COMPONENT)",
                "Identifier: Packages"])
    found = []
    for line in text.splitlines():
        fields = line.strip().split("|")
        if len(fields) == 3:
            found.append(Repository(*fields))
    return found


def choose_repositories(host: Sequence[Repository], distribution: Distribution,
                        suites: Sequence[str]) -> list[Repository]:
    """Where to take `suites` from: the host's entry for each; the release's mirror for what it lacks."""
    wanted = set(distribution.components)
    mirrors = [entry.uri for entry in host if entry.suite == distribution.codename]
    if not mirrors:
        raise Problem(f"The host's APT sources have no entry for {distribution.codename}, so there is no "
                      "mirror to fetch from: add one to /etc/apt/sources.list.")
    chosen: list[Repository] = []
    for suite in suites:
        entries = [entry for entry in host if entry.suite == suite and entry.component in wanted]
        if not entries and suite not in distribution.suites:
            entries = [Repository(mirrors[0], suite, component) for component in distribution.components]
        chosen += [entry for entry in entries if entry not in chosen]
    return chosen


def exact(archive: str) -> str:
    """`package=version` for the name of a package's file."""
    package, version, _ = archive.split("_", 2)
    return f"{package}={urllib.parse.unquote(version)}"


class Apt:
    """A private APT for some suites."""

    def __init__(self, distribution: Distribution, suites: Sequence[str]) -> None:
        self.distribution = distribution
        self.suites = tuple(suites)
        self.home = cache_dir() / "apt" / "+".join(suites)

    def _configure(self) -> None:
        for name in ("state/lists/partial", "cache", "archives/partial", "incoming", "log"):
            (self.home / name).mkdir(parents=True, exist_ok=True)
        lines = []
        for entry in choose_repositories(host_repositories(), self.distribution, self.suites):
            options = f"arch={self.distribution.arch} signed-by={self.distribution.keyring} target=Packages"
            lines.append(f"deb [{options}] {entry.uri} {entry.suite} {entry.component}\n")
        write_file(self.home / "sources.list", "".join(lines))
        write_file(self.home / "status", "")
        text = CONFIGURATION.format(arch=self.distribution.arch, home=self.home)
        if os.geteuid() == 0:
            # The user _apt, to which downloads would fall, cannot enter root's home.
            text += 'APT::Sandbox::User "root";\n'
        write_file(self.home / "apt.conf", text)

    def update(self) -> None:
        """Read the package lists anew, once in this process."""
        if self.suites in _updated:
            return
        with locked(f"apt-{digest(self.suites)}"):
            self._configure()
            say(f"reading the package lists of {' '.join(self.suites)}")
            self._get("update", "--error-on=any")
        _updated.add(self.suites)

    def show(self, package: str) -> str:
        """The candidate's control record, or nothing when there is no such package."""
        command = ["apt-cache", "-c", str(self.home / "apt.conf"), "show", "--no-all-versions", package]
        done = subprocess.run(command, text=True, capture_output=True, check=False,
                              env={**os.environ, "LC_ALL": "C"})
        return done.stdout if done.returncode == 0 else ""

    def closure(self, packages: Sequence[str]) -> list[Path]:
        """Fetch packages and all they depend on, as if for a machine with nothing installed."""
        return self._fetch("install", packages)

    def fetch(self, packages: Sequence[str]) -> list[Path]:
        """Fetch just these packages."""
        return self._fetch("download", packages)

    def versions(self, packages: Sequence[str]) -> list[str]:
        """The files of packages and of all they depend on, whose names hold their versions."""
        return sorted(self._sizes("install", packages))

    def _fetch(self, verb: str, packages: Sequence[str]) -> list[Path]:
        """Fetch what APT would for a verb; what an interrupted run fetched already is kept."""
        archives = self.home / "archives"
        with locked(f"apt-{digest(self.suites)}"):
            sizes = self._sizes(verb, packages)
            missing = [name for name in sizes if not (archives / name).is_file()]
            if missing:
                say(f"fetching {len(missing)} packages, {sum(sizes[name] for name in missing) / 1e6:.0f} MB")
                # APT writes under the final name at once; only what it verified leaves this folder.
                incoming = self.home / "incoming"
                self._get("download", *map(exact, missing), cwd=incoming)
                for name in missing:
                    (incoming / name).rename(archives / name)
        return [archives / name for name in sizes]

    def _sizes(self, verb: str, packages: Sequence[str]) -> dict[str, int]:
        """The files that a verb needs; an empty archive folder makes APT list those as well that it has."""
        empty = self.home / "empty"
        (empty / "partial").mkdir(parents=True, exist_ok=True)
        output = run(["apt-get", "-c", self.home / "apt.conf", "-qq", "--print-uris",
                      "-o", f"Dir::Cache::archives={empty}", verb, *packages], cwd=empty)
        words = [line.split() for line in output.splitlines() if line.startswith("'")]
        return {fields[1]: int(fields[2]) for fields in words}

    def _get(self, *arguments: str, cwd: Path | None = None) -> None:
        quiet = [] if sys.stderr.isatty() else ["-qq"]
        try:
            run(["apt-get", "-c", self.home / "apt.conf", *quiet, *arguments], cwd=cwd or self.home,
                show=True)
        except Problem as problem:
            raise Problem(f"Fetching from {' '.join(self.suites)} failed for the reason that APT gives "
                          "above: check the network and the host's APT sources, then run this "
                          "again.") from problem
