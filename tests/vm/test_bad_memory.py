# SPDX-License-Identifier: GPL-2.0-or-later
"""Bad blocks in the fast tier: each costs at most its own page; a lost page says so until it is rewritten."""
from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from qemu import VM

from tests.harness import lower, memory, volume
from tests.harness.settings import Settings
from tests.harness.volume import PAGE, Volume

MACHINE = pytest.mark.vm(nvdimm="16M", disks="96M")
DIRECT = "oflag=direct status=none"
PAGES = 64
SUPERBLOCK_SECTORS = (0, 8)


@pytest.fixture(autouse=True)
def _heal(vm: VM) -> Iterator[None]:
    yield
    if vm.alive:
        vm.run("dmsetup remove_all")
        memory.forget_bad_blocks(vm)


def _write_data(v: Volume) -> None:
    v.vm.run(f"dd if=/dev/urandom of=/tmp/data bs={PAGE} count={PAGES} status=none")
    v.vm.run(f"dd if=/tmp/data of={v.path} bs={PAGE} {DIRECT}")


def _dirty(vm: VM) -> Volume:
    """A closed volume whose first pages are dirty and never were at home; their contents are in /tmp/data."""
    v = Volume(vm).format()
    lower.leave_dirty(v, PAGES)
    v.open("--read-only")
    vm.run(f"dd if={v.path} of=/tmp/data bs={PAGE} count={PAGES} iflag=direct status=none")
    v.close()
    return v


def _fails(vm: VM, command: str) -> None:
    result = vm.run(command, check=False)
    assert result.status != 0, f"no error: {command}"
    assert "nput/output error" in result.stderr, result.stderr


def _readable(v: Volume, lost: set[int]) -> None:
    """Every page has its contents, but those that are lost, which are errors."""
    for page in sorted(lost):
        _fails(v.vm, f"dd if={v.path} of=/dev/null bs={PAGE} count=1 skip={page} iflag=direct status=none")
    for first, end in _runs(lost):
        v.vm.run(
            f"dd if={v.path} of=/tmp/read bs={PAGE} skip={first} count={end - first} iflag=direct "
            f"status=none; cmp -n {(end - first) * PAGE} -i 0:{first * PAGE} /tmp/read /tmp/data"
        )


def _runs(lost: set[int]) -> Iterator[tuple[int, int]]:
    first = 0
    for page in [*sorted(lost), PAGES]:
        if page > first:
            yield first, page
        first = page + 1


def _listed(v: Volume) -> set[int]:
    *pages, end = v.vm.run(f"dmsetup message {v.name} 0 lost").stdout.split()
    assert end == "-"
    return set(map(int, pages))


def _rewrite(v: Volume, page: int) -> None:
    v.vm.run(f"dd if=/tmp/data of={v.path} bs={PAGE} skip={page} seek={page} count=1 conv=notrunc {DIRECT}")


@MACHINE
def test_bad_clean_frame_is_read_from_home(vm: VM) -> None:
    v = volume.make(vm)
    v.set_options("admission all")
    _write_data(v)
    v.flush()
    where = memory.places(v)
    assert where[5].state == "clean"
    # The bad sector is neither the first that is read nor all of the frame.
    memory.spoil(v, where[5].data + 3)
    _readable(v, set())
    now = v.counters()
    assert now["media_errors"] == 1 and now["frames_lost"] == 0 and v.state() == "rw", now
    v.wait_for("frames_retired", 1)
    assert where[5].frame not in {place.frame for place in memory.places(v).values()}
    # A part of a page whose rest cannot be read from its frame is on the disk as well.
    memory.spoil(v, where[7].data)
    vm.run(f"dd if=/dev/zero of=/tmp/data bs=512 seek={7 * 8 + 4} count=1 conv=notrunc status=none")
    vm.run(f"dd if=/dev/zero of={v.path} bs=512 seek={7 * 8 + 4} count=1 {DIRECT}")
    _readable(v, set())
    v.close()
    v.open()
    _readable(v, set())
    assert v.counters()["frames_retired"] == 2
    v.close()
    v.check()


@MACHINE
def test_bad_dirty_frame_is_lost_until_it_is_rewritten(vm: VM) -> None:
    v = _dirty(vm)
    where = memory.places(v)
    memory.spoil(v, where[5].data + 7, where[9].data)
    below = lower.below(v)
    below.open(v, "admission all")
    below.hold()
    _readable(v, {5, 9})
    assert v.counters()["frames_lost"] == 2 and v.state() == "degraded"
    assert _listed(v) == {5, 9}
    # A part of the page does not heal it, for its rest is lost.
    _fails(vm, f"dd if=/dev/zero of={v.path} bs=512 seek={5 * 8} count=1 {DIRECT}")
    below.fail()
    vm.run(f"dmsetup remove {v.name}")
    below.remove()
    # The memory answers again, but the contents are not what was there: the page stays lost.
    memory.forget_bad_blocks(vm)
    v.check(2)
    v.open()
    _readable(v, {5, 9})
    assert v.state() == "degraded"
    _rewrite(v, 5)
    vm.run(f"blkdiscard -o {9 * PAGE} -l {PAGE} {v.path}")
    vm.run(f"dd if=/dev/zero of=/tmp/data bs={PAGE} seek=9 count=1 conv=notrunc status=none")
    _readable(v, set())
    assert v.counters()["frames_lost"] == 0 and v.state() == "rw"
    v.wait_for("frames_retired", 2)
    v.close()
    v.open()
    _readable(v, set())
    assert v.counters()["frames_retired"] == 2
    v.close()
    v.check()


@MACHINE
def test_bad_frames_are_not_used(vm: VM) -> None:
    v = Volume(vm).format()
    # Some are known to be bad before the volume is opened, others become so while it is.
    memory.spoil(v, *range(4096, 8192, 512), count=512)
    v.open()
    v.set_options("admission all")
    assert v.counters()["frames_retired"] == 512
    memory.spoil(v, *range(8192, 12288, 512), count=512)
    vm.run("dd if=/dev/urandom of=/tmp/data bs=64K count=512 status=none")
    vm.run(f"dd if=/tmp/data of={v.path} bs=64K {DIRECT}")
    vm.run(f"cmp -n {32 << 20} /tmp/data {v.path}")
    assert v.counters()["media_errors"] == 0
    v.close()
    v.check()


@MACHINE
@pytest.mark.limit(30)
def test_who_waits_for_a_frame_when_all_are_bad_is_told(vm: VM) -> None:
    v = Volume(vm).format()
    below = lower.below(v)
    below.open(v, "admission all")
    below.fail_writes()  # or what is dirty goes home before its memory is bad
    _write_data(v)
    place = memory.places(v)[0]
    frames = v.counters()["frames_total"]
    first = place.data - place.frame * PAGE // 512
    memory.spoil(v, *range(first, first + frames * PAGE // 512, 512), count=512)
    for page in range(PAGES):
        _fails(vm, f"dd if={v.path} of=/dev/null bs={PAGE} count=1 skip={page} iflag=direct status=none")
    assert v.counters()["frames_lost"] == PAGES
    below.work()
    # A lost page heals when it is overwritten, which takes a frame. Beside the fast tier there is room.
    _fails(vm, f"timeout 30 dd if=/dev/zero of={v.path} bs={PAGE} count=1 {DIRECT}")
    vm.run(f"dd if=/tmp/data of={v.path} bs={PAGE} seek={PAGES} count=1 {DIRECT}")
    vm.run(f"cmp -n {PAGE} -i {PAGES * PAGE}:0 {v.path} /tmp/data")
    vm.run(f"dmsetup remove {v.name}")
    below.remove()


@MACHINE
def test_bad_blocks_that_nobody_read_are_not_forgotten(vm: VM) -> None:
    """Once bad blocks are repaired their contents are anything, and no error tells."""
    v = _dirty(vm)
    where = memory.places(v)
    memory.spoil(v, where[5].data)
    v.check(2)
    v.open()
    assert _listed(v) == {5}
    memory.spoil(v, where[9].data)
    v.close()
    memory.forget_bad_blocks(vm)
    for page in (5, 9):
        vm.run(f"dd if=/dev/zero of={v.fast} bs=512 seek={where[page].data} count=8 {DIRECT}")
    v.open()
    lost = _listed(v)
    # Page 9 may have gone home before it was found.
    assert 5 in lost and lost <= {5, 9}
    _readable(v, lost)
    v.close()


@MACHINE
def test_words_that_go_bad_before_a_volume_is_written_refuse_it(vm: VM) -> None:
    v = _dirty(vm)
    where = memory.places(v)
    v.open("--read-only")
    memory.spoil(v, where[0].word)
    mark = vm.log_mark()
    table = f"0 {96 * 2048} tiered {v.fast} 1 {v.capacity}"
    vm.run(f"dmsetup load v0 --table '{table}' && ! dmsetup resume v0")
    assert "went bad since the volume was opened; close it and open it again" in vm.log_since(mark)
    vm.run("dmsetup remove v0")
    v.open()
    _readable(v, {page for page, place in where.items() if place.word == where[0].word})
    v.close()


@MACHINE
def test_bad_words_of_free_frames_are_no_news_twice(vm: VM) -> None:
    v = _dirty(vm)
    where = memory.places(v)
    used = {place.word for place in where.values()}
    first = where[0].word - where[0].frame // 64  # of the table
    memory.spoil(v, next(sector for sector in range(first, first + 60) if sector not in used))
    mark = vm.log_mark()
    for _ in range(2):
        v.open()
        assert v.counters()["frames_retired"] == 64 and not v.status()["needs_check"]
        _readable(v, set())
        v.close()
    assert "is damaged" not in vm.log_since(mark)
    v.check()


@MACHINE
def test_bad_words_cost_what_was_dirty(vm: VM) -> None:
    v = _dirty(vm)
    where = memory.places(v)
    sector = where[0].word
    lost = {page for page, place in where.items() if place.word == sector}
    memory.spoil(v, sector)
    v.open()
    _readable(v, lost)
    assert v.counters()["frames_lost"] == len(lost) and v.state() == "degraded"
    assert _listed(v) == lost
    assert v.status()["needs_check"]
    v.close()
    # They stay lost while the sector is bad, and while it is not: wiped words say nothing.
    for healthy in (False, True):
        if healthy:
            memory.forget_bad_blocks(vm)
            vm.run(f"dd if=/dev/zero of={v.fast} bs=512 seek={sector} count=1 {DIRECT}")
        v.open()
        _readable(v, lost)
        v.close()
    v.open()
    for page in lost:
        _rewrite(v, page)
    _readable(v, set())
    assert v.counters()["frames_lost"] == 0 and v.state() == "rw"
    v.close()
    v.open()
    _readable(v, set())
    v.close()


@MACHINE
def test_what_damaged_words_lost_is_noted_in_them(vm: VM) -> None:
    """Else only the shadows would know, and when those go bad nobody does."""
    v = _dirty(vm)
    where = memory.places(v)
    lost = {page for page, place in where.items() if place.word == where[0].word}
    vm.run(f"dd if=/dev/urandom of={v.fast} bs=512 seek={where[0].word} count=1 {DIRECT}")
    v.open()
    assert _listed(v) == lost
    v.close()
    memory.spoil(v, where[0].shadow)
    v.open()
    _readable(v, lost)
    v.close()


@MACHINE
def test_bad_shadow_words_cost_nothing(vm: VM) -> None:
    v = _dirty(vm)
    where = memory.places(v)
    memory.spoil(v, where[0].shadow)
    for _ in range(2):
        v.open()
        _readable(v, set())
        assert v.state() == "rw"
        v.close()
    v.open()
    _write_data(v)
    v.flush()
    _readable(v, set())
    v.close()
    memory.forget_bad_blocks(vm)
    v.check(0, 1)


@MACHINE
def test_bad_superblock_leaves_the_other(vm: VM) -> None:
    v = _dirty(vm)
    for sector in SUPERBLOCK_SECTORS:
        memory.spoil(v, sector)
        v.open()
        _readable(v, set())
        v.close()
        memory.forget_bad_blocks(vm)
    memory.spoil(v, *SUPERBLOCK_SECTORS)
    mark = vm.log_mark()
    table = f"0 {96 * 2048} tiered {v.fast} 1 {v.capacity}"
    assert vm.run(f"dmsetup create v0 --table '{table}'", check=False).status
    assert "superblock on" in vm.log_since(mark)


@MACHINE
def test_word_and_shadow_both_bad_refuse_the_volume(vm: VM) -> None:
    v = _dirty(vm)
    where = memory.places(v)
    memory.spoil(v, where[0].word, where[0].shadow)
    mark = vm.log_mark()
    assert vm.run("tierctl open v0", check=False).status
    assert "what is lost cannot be told; run `tierctl check`" in vm.log_since(mark)


@MACHINE
@pytest.mark.limit(60)
def test_any_byte_of_metadata(vm: VM, rng: random.Random, settings: Settings) -> None:
    v = _dirty(vm)
    count = settings.amount(10, 300)
    arguments = f"{v.fast} {v.capacity} {PAGES} {count} {rng.randrange(1 << 30)}"
    result = vm.run(f"python3 /root/tests/corrupt.py {arguments}", timeout=60 + settings.amount(0, 600))
    refused, lost = map(int, result.stdout.split())
    assert refused == 0 and lost <= count, (refused, lost)
    v.open()
    _readable(v, set())
    v.close()


@MACHINE
def test_read_only_fast_device_is_opened_for_reading(vm: VM) -> None:
    v = _dirty(vm)
    vm.run(f"blockdev --setro {v.fast}")
    mark = vm.log_mark()
    assert vm.run("tierctl open v0", check=False).status
    assert "is read-only (an unarmed NVDIMM?)" in vm.log_since(mark)
    v.open("--read-only")
    _readable(v, set())
    assert v.state() == "ro"
    v.close()
    vm.run(f"blockdev --setrw {v.fast}")
