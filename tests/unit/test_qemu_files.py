# SPDX-License-Identifier: GPL-2.0-or-later
"""The files of a virtual machine: labels, state, temporary folders, the kernel taken out of its image."""
from __future__ import annotations

import gzip
import lzma
import os
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from qemu import bzimage, run, scratch
from qemu.backing import State
from qemu.errors import UsageError
from qemu.labels import empty_area, fletcher64, geometry
from qemu.machine import TAIL_LINES, excerpt
from qemu.made_file import made
from qemu.sizes import KIB, MIB
from qemu.spec import Disk, Nvdimm, Spec

SPEC = Spec(nvdimms=(Nvdimm("64M"),), disks=(Disk("1M"),))


def test_label_checksum_is_the_kernels() -> None:
    """An index block that a kernel wrote."""
    block = (b"NAMESPACE_INDEX\0" + struct.pack("<4xIQQQQIHHQ", 2, 0, 256, 256, 512, 1020, 1, 1, 0)
             + b"\xfd" + b"\xff" * 127).ljust(256, b"\0")
    assert fletcher64(block) == 0xEB63458AD7313E07


@pytest.mark.parametrize(("area", "index", "slots"), [(128 * KIB, 256, 1020), (2 * MIB, 2304, 16348)])
def test_label_geometry_is_the_kernels(area: int, index: int, slots: int) -> None:
    assert geometry(area) == (index, slots)


def test_empty_labels() -> None:
    first, second = empty_area(128 * KIB)[:256], empty_area(128 * KIB)[256:]
    for number, (block, sequence) in enumerate(((first, 3), (second, 2))):
        fields = struct.unpack_from("<16s4sIQQQQIHHQ", block)
        assert fields[:4] == (b"NAMESPACE_INDEX\0", bytes(4), sequence, 256 * number)
        assert fletcher64(block[:64] + bytes(8) + block[72:]) == fields[-1]


def test_state_is_made_sparse_and_kept(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "state"
    state = State(folder, SPEC)
    nvdimm = folder / "nvdimm0.img"
    assert nvdimm.stat().st_size == 80 * MIB + 128 * KIB and nvdimm.stat().st_blocks < 1000
    assert nvdimm.read_bytes()[80 * MIB:].startswith(b"NAMESPACE_INDEX")
    (folder / "disk0.img").write_bytes(b"kept".ljust(MIB, b"\0"))
    state.close()
    State(folder, SPEC).close()
    assert (folder / "disk0.img").read_bytes().startswith(b"kept")


def test_state_serves_one_vm_at_a_time(tmp_path: Path) -> None:
    state = State(tmp_path, SPEC)
    with pytest.raises(UsageError, match="in use by another VM"):
        State(tmp_path, SPEC)
    state.close()
    State(tmp_path, SPEC).close()


def test_state_of_another_machine_is_refused_and_left_alone(tmp_path: Path) -> None:
    State(tmp_path, SPEC).close()
    with pytest.raises(UsageError, match="nvdimm0 in .* was made with"):
        State(tmp_path, Spec(nvdimms=(Nvdimm("66M"),)))
    State(tmp_path, SPEC).close()


def test_state_grows_by_new_devices(tmp_path: Path) -> None:
    State(tmp_path, SPEC).close()
    (tmp_path / "disk0.img").write_bytes(b"kept".ljust(MIB, b"\0"))
    State(tmp_path, Spec(disks=(Disk("1M"), Disk("2M")))).close()
    assert (tmp_path / "disk0.img").read_bytes().startswith(b"kept")
    assert (tmp_path / "disk1.img").stat().st_size == 2 * MIB


def test_state_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot be used"):
        State(tmp_path / "file", SPEC)


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def _age(folder: Path) -> None:
    old = time.time() - 2 * scratch.YOUNG_SECONDS
    os.utime(folder, (old, old))


def test_scratch_folders_of_the_dead_are_swept(temporary: Path) -> None:
    alive = scratch.Scratch()
    _age(alive.path)
    program = "from qemu.scratch import Scratch; import os; print(Scratch().path, flush=True); os._exit(9)"
    done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, check=False,
                          env={**os.environ, "TMPDIR": str(temporary)})
    dead = Path(done.stdout.strip())
    foreign = temporary / f"{scratch.PREFIX}without-lock"
    foreign.mkdir()
    for folder in (dead, foreign):
        assert folder.is_dir()
        _age(folder)
    another = scratch.Scratch()
    assert not dead.exists() and alive.path.exists() and foreign.exists()
    for one in (alive, another):
        one.remove()
        assert not one.path.exists()


def _image(payload: bytes) -> bytes:
    """A bzImage as far as its header is read."""
    setup = bytearray(3 * 512)
    setup[bzimage.SETUP_SECTORS] = 2
    setup[bzimage.MAGIC:bzimage.MAGIC + 4] = b"HdrS"
    struct.pack_into("<II", setup, bzimage.PAYLOAD, 16, len(payload))
    return bytes(setup) + bytes(16) + payload + b"rest"


KERNEL = b"\x7fELF" + os.urandom(100) + bzimage.PVH_NOTES[1] + os.urandom(100)


@pytest.mark.parametrize("packed", [lzma.compress(KERNEL), gzip.compress(KERNEL)])
def test_kernel_is_taken_out_of_its_image(packed: bytes, tmp_path: Path) -> None:
    image = tmp_path / "vmlinuz"
    image.write_bytes(_image(packed + struct.pack("<I", len(KERNEL))))
    kernel = bzimage.bootable(image, tmp_path / "cache")
    assert kernel.read_bytes() == KERNEL
    assert bzimage.bootable(image, tmp_path / "cache") == kernel
    assert list((tmp_path / "cache").iterdir()) == [kernel]


@pytest.mark.parametrize("content", [b"", b"short", _image(b"unknown packing"),
                                     _image(lzma.compress(b"\x7fELF no note"))])
def test_image_that_cannot_be_unpacked_is_booted_as_it_is(content: bytes, tmp_path: Path) -> None:
    image = tmp_path / "vmlinuz"
    image.write_bytes(content)
    assert bzimage.bootable(image, tmp_path / "cache") == image


def test_excerpt_shows_the_trouble_and_not_the_end_of_its_trace() -> None:
    quiet = [f"[ {number}.0] line {number}" for number in range(300)]
    assert excerpt("\n".join(quiet)) == quiet[-TAIL_LINES:]
    trace = ["BUG: kernel NULL pointer", *(f" frame{number}" for number in range(60)), "Kernel panic"]
    shown = excerpt("\n".join(quiet + trace))
    assert trace[0] in shown and len(shown) == TAIL_LINES and quiet[-1] in shown
    assert excerpt("") == []


def test_result_needs_a_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--result .* cannot be written"):
        run.once(SPEC, ["true"], run.Limits(), tmp_path / "no" / "result.json", None, True)


def test_threads_may_make_the_same_file(tmp_path: Path) -> None:
    """Each has begun before one ends, as where two machines of a campaign boot first of all."""
    target = tmp_path / "new" / "file"
    both = threading.Barrier(2)
    failed = []

    def make() -> None:
        try:
            with made(target) as own:
                own.write_text("whole", encoding="utf-8")
                both.wait(timeout=60)
        except OSError as error:
            failed.append(error)

    threads = [threading.Thread(target=make) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert [file.name for file in target.parent.iterdir()] == ["file"] and target.read_text() == "whole"


def test_what_is_not_made_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="no more"), made(tmp_path / "file") as own:
        own.write_text("half", encoding="utf-8")
        raise OSError("no more")
    assert not list(tmp_path.iterdir())
