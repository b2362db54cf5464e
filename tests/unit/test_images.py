# SPDX-License-Identifier: GPL-2.0-or-later
"""The services of the images package that need neither network nor virtual machine."""
from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from images import apt, distribution, host, module, modules
from images.cpio import Archive
from images.host import Problem
from images.variants import VARIANTS

DATA = distribution.DATA.read_text(encoding="utf-8")
KNOWN = distribution.parse("ID=debian\nVERSION_ID=12\n", DATA, "amd64")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TIERED_CACHE", str(tmp_path / "cache"))
    return host.cache_dir()


def fill(text: str) -> dict[str, str]:
    return {"text": text}


def test_archive_unpacks(tmp_path: Path) -> None:
    archive = Archive()
    archive.file("a/b/tool", b"content", 0o755)
    archive.link("a/link", "b/tool")
    subprocess.run(["cpio", "-id", "--quiet"], input=archive.bytes(), cwd=tmp_path, check=True)
    assert (tmp_path / "a/link").read_bytes() == b"content"
    assert (tmp_path / "a/b/tool").stat().st_mode & 0o777 == 0o755


def test_archives_can_follow_each_other() -> None:
    archive = Archive()
    archive.file("name", b"x")
    assert len(archive.bytes()) % 512 == 0


def test_directory_is_made_once_and_anew_for_another_recipe(cache: Path) -> None:
    calls: list[Path] = []

    def count(path: Path) -> dict[str, str]:
        calls.append(path)
        return {"number": str(len(calls))}
    assert host.make_directory(cache / "thing", "one", count)["number"] == "1"
    assert host.make_directory(cache / "thing", "one", count)["number"] == "1"
    assert host.make_directory(cache / "thing", "two", count)["number"] == "2"


def test_interrupted_work_is_not_taken_for_finished(cache: Path) -> None:
    def interrupted(path: Path) -> dict[str, str]:
        (path / "half").write_text("x", encoding="utf-8")
        raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt):
        host.make_directory(cache / "thing", "key", interrupted)
    assert host.read_stamp(cache / "thing") == {}
    host.make_directory(cache / "thing", "key", lambda path: fill("whole"))
    assert not (cache / "thing" / "half").exists()


def test_two_at_once_do_the_work_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waiting = threading.Event()
    monkeypatch.setattr(host, "say", lambda text: waiting.set() if "waiting for" in text else None)
    inside = threading.Event()
    proceed = threading.Event()
    calls = []

    def slow(path: Path) -> dict[str, str]:
        calls.append(path)
        inside.set()
        assert proceed.wait(10)
        return {}
    first = threading.Thread(target=host.make_directory, args=(cache / "thing", "key", slow))
    second = threading.Thread(target=host.make_directory, args=(cache / "thing", "key", slow))
    first.start()
    assert inside.wait(10)
    second.start()
    assert waiting.wait(10)
    proceed.set()
    first.join(10)
    second.join(10)
    assert len(calls) == 1


def test_interrupted_download_is_no_package(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    private = apt.Apt(KNOWN, ["suite"])
    for name in ("archives", "incoming"):
        (private.home / name).mkdir(parents=True)
    monkeypatch.setattr(private, "_sizes", lambda verb, packages: {"tool_1_amd64.deb": 10})

    def killed(*arguments: str, cwd: Path) -> None:
        (cwd / "tool_1_amd64.deb").write_text("half", encoding="utf-8")
        raise KeyboardInterrupt

    def verified(*arguments: str, cwd: Path) -> None:
        assert arguments == ("download", "tool=1")
        (cwd / "tool_1_amd64.deb").write_text("whole", encoding="utf-8")
    monkeypatch.setattr(private, "_get", killed)
    with pytest.raises(KeyboardInterrupt):
        private.fetch(["tool"])
    monkeypatch.setattr(private, "_get", verified)
    assert [path.read_text(encoding="utf-8") for path in private.fetch(["tool"])] == ["whole"]


def test_needed_modules(tmp_path: Path) -> None:
    (tmp_path / "modules.dep").write_text(
        "k/dm-mod.ko: k/dax.ko\nk/dax.ko:\nk/far.ko:\nk/virtio-rng.ko: k/virtio.ko k/ring.ko\n"
        "k/virtio.ko: k/ring.ko\nk/ring.ko:\n", encoding="utf-8")
    (tmp_path / "modules.builtin").write_text("kernel/fs/squashfs/squashfs.ko\n", encoding="utf-8")
    assert modules.needs(tmp_path, ["dm_mod", "squashfs", "virtio_rng"]) == {
        "k/dm-mod.ko": ["k/dax.ko"], "k/dax.ko": [], "k/virtio-rng.ko": ["k/virtio.ko", "k/ring.ko"],
        "k/virtio.ko": ["k/ring.ko"], "k/ring.ko": []}
    with pytest.raises(Problem, match="has no module nfit"):
        modules.needs(tmp_path, ["nfit"])


def test_driver_sources(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="Kbuild"):
        module.sources(tmp_path)
    (tmp_path / "core").mkdir()
    for name in ("Kbuild", "main.c", "core/format.h", "README.md", "main.o"):
        (tmp_path / name).write_text("", encoding="utf-8")
    assert [path.name for path in module.sources(tmp_path)] == ["Kbuild", "format.h", "main.c"]


def test_only_the_guest_with_systemd_has_systemd() -> None:
    agent, systemd = VARIANTS["agent"], VARIANTS["systemd"]
    assert agent.packages(KNOWN) == KNOWN.guest
    assert set(KNOWN.guest) < set(systemd.packages(KNOWN))
    assert "usr/lib/systemd" in agent.dropped and "usr/lib/systemd" not in systemd.dropped
    assert len({variant.suffix for variant in VARIANTS.values()}) == len(VARIANTS), "each has its own place"


def test_testbed_builds_where_it_is_told_to(tmp_path: Path) -> None:
    said = subprocess.run([sys.executable, "-c", "import images; print(images.BUILD)"], check=True, text=True,
                          cwd=host.CHECKOUT, env={**os.environ, "TIERED_BUILD": str(tmp_path)},
                          stdout=subprocess.PIPE).stdout
    assert said.strip() == str(tmp_path)


def test_lock_of_a_build_is_not_in_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run with another cache waits for the one that builds in the same folder."""
    entered = threading.Event()

    def other() -> None:
        with host.locked("guest", tmp_path):
            entered.set()

    with host.locked("guest", tmp_path):
        monkeypatch.setenv("TIERED_CACHE", str(tmp_path / "another"))
        waiting = threading.Thread(target=other)
        waiting.start()
        assert not entered.wait(0.2)
    waiting.join(timeout=60)
    assert entered.is_set()
