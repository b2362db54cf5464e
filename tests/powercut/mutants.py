# SPDX-License-Identifier: GPL-2.0-or-later
"""Faulty drivers, each the real source but for one replacement: a flush, a fence, an order or a step is gone.

The campaign must catch every one, which is what shows that it can see. The driver's own source knows nothing
of them, as it knows nothing of the model's (userspace/model/core_mutants.cmake). A replacement that does not
apply exactly once is an error: the list has to follow the source. Faults that cannot show in a run on x86 (a
step that the next locked instruction does as well) are left to the model.
"""
from __future__ import annotations

import shutil
from pathlib import Path

from tests.harness.replacement import Replacement, replace

DRIVER = Path(__file__).resolve().parents[2] / "driver"

Mutant = Replacement  # its file counts from the driver's folder

PUBLISH = (
    "\treflush_clear(words, clear);\n"
    "\ttiered_pm_fence();\n"
    "\n"
    "\tstore_word(words, frame, claim);\n"
    "\tflush_word(words, frame);\n"
    "\t/* The write that this claim stands for is acknowledged next. */\n"
    "\ttiered_pm_fence();\n"
)
CLEAR = "\tstore_word(words, frame, free);\n\tflush_word(words, frame);\n"
REPLACE = (
    "\ttiered_claim_publish(&frames->words, &stripe->clear, frame, claim);\n"
    "\tWRITE_ONCE(frames->referenced[frame], 1);\n"
)
FLUSH_HOME = "\tflushed = !tiered_homes_flush_now(&volume->homes);\n"
GROW = "\tr = write_other(volume);\n\tif (!r)\n\t\tr = write_other(volume);\n"
MARK_DIRTY = (
    "\tclaim.state = TIERED_CLAIM_DIRTY;\n"
    "\tstore_word(words, frame, claim);\n"
    "\tflush_word(words, frame);\n"
    "\t/* Whoever stores to the frame next may make that durable at once; no crash may find it under a clean "
    "claim. */\n"
    "\ttiered_pm_fence();\n"
)
WITHDRAW_CLEAN = "\twithdraw_range(&volume->frames, range, WITHDRAW_CLEAN);\n"

BLOCK_MUTANTS = (
    Mutant("publish-without-first-fence", "core/protocol.c", PUBLISH,
           PUBLISH.replace("\ttiered_pm_fence();\n\n", "\n", 1)),
    Mutant("publish-without-flush", "core/protocol.c", PUBLISH,
           PUBLISH.replace("\tflush_word(words, frame);\n", "")),
    Mutant("publish-without-last-fence", "core/protocol.c", PUBLISH,
           PUBLISH.replace("next. */\n\ttiered_pm_fence();\n", "next. */\n")),
    Mutant("publish-flushes-before-it-stores", "core/protocol.c", PUBLISH,
           PUBLISH.replace("\tstore_word(words, frame, claim);\n\tflush_word(words, frame);\n",
                           "\tflush_word(words, frame);\n\tstore_word(words, frame, claim);\n")),
    Mutant("publish-stores-before-the-fence", "core/protocol.c", PUBLISH,
           PUBLISH.replace("\tstore_word(words, frame, claim);\n", "").replace(
               "\treflush_clear", "\tstore_word(words, frame, claim);\n\treflush_clear")),
    Mutant("clear-without-flush", "core/protocol.c",
           CLEAR, "\tstore_word(words, frame, free);\n"),
    Mutant("clear-flushes-before-it-stores", "core/protocol.c",
           CLEAR, "\tflush_word(words, frame);\n\tstore_word(words, frame, free);\n"),
    Mutant("bypassing-writes-are-not-noted", "homes.c",
           "\tif (end != TIERED_WRITE_END_DURABLE)\n\t\ttiered_homes_wrote(homes, page, pages);\n", ""),
    Mutant("flush-of-the-shadow-alone", "core/protocol.c",
           "\ttiered_pm_flush(&words->primary[frame]);\n", ""),
    Mutant("torn-store", "core/shim.h", "\tWRITE_ONCE(*word, value);\n",
           "\tWRITE_ONCE(*(u32 *)word, (u32)le64_to_cpu(value));\n"
           "\tWRITE_ONCE(*((u32 *)word + 1), (u32)(le64_to_cpu(value) >> 32));\n"),
    Mutant("no-flush", "core/shim.h", "\tarch_wb_cache_pmem((void *)word, sizeof(*word));\n", ""),
    Mutant("fence-of-the-compiler-alone", "core/shim.h", "\tpmem_wmb();\n", "\tbarrier();\n"),
    Mutant("write-through-the-cache", "io.c",
           "\t\tmemcpy_flushcache(to, from, step);\n",
           "\t\tmemcpy(to, from, step);\n"),
    Mutant("rest-of-a-page-through-the-cache", "io.c",
           "\t\tmemcpy_flushcache(to, chunk, sizeof(chunk));\n",
           "\t\tmemcpy(to, chunk, sizeof(chunk));\n"),
    Mutant("fill-through-the-cache", "fill.c",
           "\tmemcpy_flushcache(tiered_frame_data(frames, frame), data, TIERED_FRAME_BYTES);\n",
           "\tmemcpy(tiered_frame_data(frames, frame), data, TIERED_FRAME_BYTES);\n"),
    Mutant("fill-of-an-unflushed-home", "fill.c",
           "\tif (!tiered_homes_settled(&volume->homes, page))\n"
           "\t\treturn TIERED_REASON_dropped_unflushed;\n", ""),
    Mutant("clear-before-publish", "frames.c",
           REPLACE, "\ttiered_claim_supersede(&frames->words, &stripe->clear, old);\n" + REPLACE),
    Mutant("version-stays", "frames.c", "\t\t.version = tiered_version_next(former.version),\n",
           "\t\t.version = former.version,\n"),
    Mutant("claim-stays-when-its-page-leaves", "frames.c",
           "\ttiered_claim_withdraw(&frames->words, &stripe->clear, frame);\n", ""),
    Mutant("clean-without-flush-of-the-home", "writeback.c",
           FLUSH_HOME, "\tflushed = true;\n"),
    Mutant("home-flushed-before-it-is-written", "writeback.c",
           "\twrite_batch(volume);\n" + FLUSH_HOME, FLUSH_HOME + "\twrite_batch(volume);\n"),
    Mutant("discard-withdraws-dirty-claims-first", "zero.c",
           WITHDRAW_CLEAN, WITHDRAW_CLEAN.replace("CLEAN", "ALL")),
    Mutant("discard-leaves-clean-claims", "zero.c",
           WITHDRAW_CLEAN, ""),
    Mutant("discard-without-flush-of-the-home", "zero.c", "\treturn r ? r : tiered_homes_flush_now(homes);\n",
           "\treturn r;\n"),
    Mutant("discard-leaves-dirty-claims", "zero.c",
           "\tif (!r)\n\t\twithdraw_range(&volume->frames, range, WITHDRAW_ALL);\n", ""),
    Mutant("flush-stays-above", "io.c", "\tif (!tiered_homes_need_flush(&volume->homes))\n", "\tif (true)\n"),
    Mutant("bypass-under-a-claim", "io.c",
           "\tmay = tiered_frames_lookup(frames, page) == TIERED_NO_FRAME &&", "\tmay ="),
    Mutant("growth-is-not-recorded", "media.c", GROW, "\tr = 0;\n"),
    Mutant("superblock-through-the-cache", "media.c",
           "\tmemcpy_flushcache(slot_address", "\tmemcpy(slot_address"),
)

# These show where the volume is used as memory.
MEMORY_MUTANTS = (
    # A dirty claim that comes later within the fault would not show: its program goes on behind the fault.
    Mutant("entry-for-a-load-takes-stores", "mappings.c",
           "store ? vm_get_page_prot(vma->vm_flags) : vma->vm_page_prot",
           "vm_get_page_prot(vma->vm_flags)"),
    Mutant("stores-under-a-clean-claim", "frames.c",
           "\ttiered_claim_mark_dirty(&frames->words, frame, claim);\n", ""),
    # Its fence alone would not be missed: SRCU has one before the fault returns.
    Mutant("dirty-claim-without-its-flush", "core/protocol.c",
           MARK_DIRTY, MARK_DIRTY.replace("\tflush_word(words, frame);\n", "")),
    Mutant("lines-stay-in-the-cache", "mappings.c",
           "\tif (tiered_frame_word(frames, frame) & TIERED_FRAME_STORED)\n"
           "\t\tflush_frame(frames, frame);\n",
           "\tif (false)\n\t\tflush_frame(frames, frame);\n"),
    Mutant("restored-is-ignored", "writeback.c",
           "\t} else if (!entry->written || word & TIERED_FRAME_RESTORED) {\n",
           "\t} else if (!entry->written) {\n"),
    Mutant("msync-writes-nothing-back", "mappings.c",
           "\tif (!(tiered_mappings_marks(volume, page) & TIERED_FRAME_STORED))\n\t\treturn;\n",
           "\treturn;\n"),
    Mutant("suspend-leaves-lines-in-the-cache", "mappings.c",
           "\t\t\tunmark(volume, tiered_frame_page(word));\n",
           "\t\t\ttiered_frames_unmapped(frames, frame);\n"),
    Mutant("touched-page-of-an-unflushed-home-is-clean", "touch.c",
           "\t\t\t  tiered_homes_settled(&volume->homes, page) ? TIERED_CLAIM_CLEAN "
           ": TIERED_CLAIM_DIRTY);\n",
           "\t\t\t  TIERED_CLAIM_CLEAN);\n"),
)

MUTANTS = BLOCK_MUTANTS + MEMORY_MUTANTS


def mutate(text: str, mutant: Mutant) -> str:
    """The faulty text of the mutant's file."""
    return replace(text, mutant, f"driver/{mutant.file}", "tests/powercut/mutants.py")


def make_source(mutant: Mutant, target: Path) -> Path:
    """A copy of the driver's source with the fault in it."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(DRIVER, target)
    path = target / mutant.file
    path.write_text(mutate(path.read_text(encoding="utf-8"), mutant), encoding="utf-8")
    return target
