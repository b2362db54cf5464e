# SPDX-License-Identifier: GPL-2.0-or-later
"""Takes the kernel proper out of a bzImage, so that the host and not the emulated processor decompresses it.

QEMU starts such an ELF file by its PVH entry. Under TCG this takes 2.6 s off every boot of a kernel in xz.
"""
from __future__ import annotations

import bz2
import lzma
import shutil
import struct
import subprocess
import zlib
from pathlib import Path

from qemu.made_file import made

# Offsets in the boot header, see the kernel's Documentation/x86/boot.rst.
SETUP_SECTORS = 0x1F1
MAGIC = 0x202
PAYLOAD = 0x248
# The note that tells QEMU the 32-bit entry point: name "Xen", type XEN_ELFNOTE_PHYS32_ENTRY.
PVH_NOTES = tuple(struct.pack("<III4s", 4, size, 18, b"Xen\0") for size in (4, 8))


def _zstd(data: bytes) -> bytes:
    tool = shutil.which("zstd")
    if tool is None:
        return b""
    done = subprocess.run([tool, "-dcq"], input=data, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          check=False)
    return done.stdout  # what follows the stream makes zstd fail after it has written all of it


def _decompress(payload: bytes) -> bytes:
    if payload.startswith(b"\xfd7zXZ\0"):
        return lzma.LZMADecompressor().decompress(payload)
    if payload.startswith(b"\x28\xb5\x2f\xfd"):
        return _zstd(payload)
    if payload.startswith(b"\x1f\x8b"):
        return zlib.decompressobj(wbits=31).decompress(payload)
    if payload.startswith(b"BZh"):
        return bz2.BZ2Decompressor().decompress(payload)
    return b""


def extract(image: bytes) -> bytes | None:
    """The ELF kernel inside a bzImage; None when QEMU could not start it (unknown packing, no PVH entry)."""
    if image[MAGIC:MAGIC + 4] != b"HdrS":
        return None
    start, length = struct.unpack_from("<II", image, PAYLOAD)
    start += (image[SETUP_SECTORS] + 1) * 512
    kernel = _decompress(image[start:start + length])
    if kernel.startswith(b"\x7fELF") and any(note in kernel for note in PVH_NOTES):
        return kernel
    return None


def bootable(vmlinuz: Path, folder: Path) -> Path:
    """The fastest form of a kernel to boot: unpacked into `folder` once, or the bzImage itself."""
    stat = vmlinuz.stat()
    target = folder / f"{vmlinuz.name}-{stat.st_size:x}-{stat.st_mtime_ns:x}"
    if not target.exists():
        kernel = extract(vmlinuz.read_bytes())
        if kernel is None:
            return vmlinuz
        with made(target) as own:
            own.write_bytes(kernel)
    return target
