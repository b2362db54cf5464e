# SPDX-License-Identifier: GPL-2.0-or-later
"""Names for QEMU's NVDIMMs that keep them in order in the guest.

QEMU lists NVDIMMs in its NFIT table, and so the guest numbers its /dev/pmemN, in the order of the hash table
that holds its devices by id, not in the order of the command line. The ids made here fall into ascending
places of that table (GLib's: hash times 11, modulo a prime) at each of its sizes. The guest's init checks.
"""
from __future__ import annotations

# GLib's moduli for tables of 8, 16 and 32 places; eight NVDIMMs or fewer never need more.
PRIMES = (7, 13, 31)


def _hash(text: str) -> int:
    """GLib's g_str_hash."""
    value = 5381
    for byte in text.encode():
        value = (value * 33 + byte) & 0xFFFFFFFF
    return value


def places(name: str) -> tuple[int, ...]:
    """The place of `name` in an empty table of each size."""
    return tuple((_hash(name) * 11 & 0xFFFFFFFF) % prime for prime in PRIMES)


def ordered_ids(count: int) -> list[str]:
    """One id for each of `count` NVDIMMs."""
    # A table of 8 places grows before it holds 8 entries.
    relevant = [at for at, prime in enumerate(PRIMES) if prime >= count]
    ids: list[str] = []
    for number in range(count):
        want = {at: number * PRIMES[at] // count for at in relevant}
        ids.append(next(name for name in (f"nvdimm{number}-{salt}" for salt in range(1 << 20))
                        if all(places(name)[at] == place for at, place in want.items())))
    return ids
