# SPDX-License-Identifier: GPL-2.0-or-later
"""Faults, each with the promise it breaks (driver/README.md numbers them) and the quickest test of it.

What a power cut would show is broken by the model (userspace/model) and the campaign (tests/powercut) in
their own lists; here stands what a running machine shows. A fault is of the kind that a change might bring: a
check, a step or a call is gone.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.harness.replacement import Replacement, replace

CHECKOUT = Path(__file__).resolve().parents[2]
LIST = "tests/breakage/faults.py"


@dataclass(frozen=True)
class Fault(Replacement):
    """A broken promise; `file` counts from the top of the checkout."""

    promise: str = ""
    test: str = ""
    outcome: str = "failed"  # or timeout, or lost
    says: str = ""  # a piece of the failure, so that no other one is taken for it

    @property
    def in_driver(self) -> bool:
        """Or else in tierctl."""
        return self.file.startswith("driver/")


def broken(text: str, fault: Fault) -> str:
    """The faulty text of the fault's file."""
    return replace(text, fault, fault.file, LIST)


def chosen(names: Sequence[str]) -> list[Fault]:
    """The faults of these names; all when there are none."""
    known = {fault.name: fault for fault in FAULTS}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(f"there is no fault called {', '.join(unknown)}; --list names them")
    return [known[name] for name in names] if names else list(FAULTS)


def _vm(module: str, test: str) -> str:
    return f"tests/vm/test_{module}.py::test_{test}"


FAULTS = (
    # ---- a page and its frame
    Fault("partial-write-forgets-the-rest", "driver/io.c",
          "\treturn copy_frame_part(frames->fast, to, from, offset_bytes) &&\n",
          "\treturn true || copy_frame_part(frames->fast, to, from, offset_bytes) ||\n",
          "5", _vm("data_paths", "small_writes_and_reads_against_a_model"),
          says="against_model.py"),
    Fault("writes-wait-for-ever-for-bad-memory", "driver/writeback.c",
          "\t\tWRITE_ONCE(writeback->vain_attempt, writeback->attempts);\n", "\t\t;\n",
          "full", _vm("bad_memory", "who_waits_for_a_frame_when_all_are_bad_is_told"), "timeout",
          says="took longer than"),
    # ---- flushes and errors of the disk
    Fault("failed-flush-is-forgotten", "driver/homes.h",
          "\tif (likely(!tiered_homes_flush_failed(homes)))\n\t\treturn false;\n",
          "\tif (true)\n\t\treturn false;\n",
          "8", _vm("errors", "failed_flush_stays_failed_until_one_succeeds"),
          says="no error: dd"),
    Fault("failed-flush-of-our-own-is-kept-secret", "driver/homes.c",
          "\t\t\tlatch_failure(homes, TIERED_OWED_FLUSH);\n", "\t\t\t;\n",
          "8", _vm("errors", "flush_of_our_own_that_failed_is_told_to_the_next_sync"),
          says="grep -q degraded"),
    Fault("failed-bypass-is-no-error", "driver/io.c",
          "\tcase TIERED_IO_WRITE:\n\t\ttiered_latency_end_home(",
          "\tcase TIERED_IO_WRITE:\n\t\t*status = BLK_STS_OK;\n\t\ttiered_latency_end_home(",
          "16", _vm("errors", "write_error_around_the_fast_tier_is_reported"),
          says="no error: dd"),
    Fault("page-is-clean-though-its-home-failed", "driver/writeback.c",
          "\t\tentry[i].written = !bio->bi_status;\n", "\t\tentry[i].written = true;\n",
          "16", _vm("errors", "dirty_pages_wait_for_the_disk[fail]"),
          says="0 == 512"),
    Fault("write-through-ends-before-its-home", "driver/through.c",
          "\tbio->bi_status = written ? BLK_STS_OK : BLK_STS_IOERR;\n", "\tbio->bi_status = BLK_STS_OK;\n",
          "16", _vm("writethrough", "failing_disk_is_reported_and_nothing_is_dropped"),
          says="status=0"),
    Fault("write-through-does-not-wait", "driver/io.c",
          "\t\tif (volume->options.writethrough) {\n", "\t\tif (false) {\n",
          "through", _vm("writethrough", "write_waits_for_its_home"),
          says="ended before its home had it"),
    Fault("failed-discard-withdraws-claims", "driver/zero.c",
          "\tif (!r)\n\t\twithdraw_range(&volume->frames, range, WITHDRAW_ALL);\n",
          "\twithdraw_range(&volume->frames, range, WITHDRAW_ALL);\n\tr = 0;\n",
          "9", _vm("errors", "discard_on_a_failing_disk_changes_nothing_it_cannot"),
          says="BLKDISCARD ioctl failed"),
    Fault("write-zeroes-rounds-to-pages", "driver/zero.c",
          "\t\treturn BLK_STS_NOTSUPP;\n", "\t\t;\n",
          "9", _vm("data_paths", "write_zeroes_is_exact"),
          says="/tmp/model differ"),
    # ---- bad memory
    Fault("bad-dirty-page-is-read-from-home", "driver/bad.c",
          "\tif (tiered_frame_state(word) == TIERED_CLAIM_CLEAN) {\n", "\tif (true) {\n",
          "13", _vm("bad_memory", "bad_blocks_that_nobody_read_are_not_forgotten"),
          says="set() == {5}"),
    Fault("bad-frame-is-used-again", "driver/frames.c",
          "\tif (unlikely(frames->frame[frame].word & TIERED_FRAME_BAD)) {\n", "\tif (false) {\n",
          "13", _vm("bad_memory", "bad_clean_frame_is_read_from_home"),
          says="frames_retired is 0"),
    Fault("bad-blocks-are-handed-out", "driver/frames.c",
          "\twhile ((frame = take_free(frames, may_use_reserve)) != TIERED_NO_FRAME && "
          "tiered_frame_is_bad(frames, frame)) {\n",
          "\twhile ((frame = take_free(frames, may_use_reserve)) != TIERED_NO_FRAME && false) {\n",
          "13", _vm("bad_memory", "bad_frames_are_not_used"),
          says="Input/output error"),
    Fault("lost-pages-of-damaged-words-are-not-marked", "driver/words.c",
          "\tif (unsettled->damaged)\n\t\tmark_lost(frames);\n", "",
          "13", _vm("bad_memory", "what_damaged_words_lost_is_noted_in_them"),
          says="cannot be told"),
    Fault("unknown-words-open-all-the-same", "driver/words.c",
          "\tif (loading.faults)\n", "\tif (false)\n",
          "14", _vm("bad_memory", "word_and_shadow_both_bad_refuse_the_volume"),
          says="opened /dev/mapper/v0"),
    Fault("superblock-is-believed-about-its-size", "driver/core/superblock.c",
          "\tif (le64_to_cpu(sb->tiers[0].size_sectors) < sectors)\n", "\tif (false)\n",
          "14", _vm("bad_tables", "superblocks_with_impossible_contents"),
          says="not said once: larger than its capacity tier"),
    Fault("read-only-volume-is-written", "driver/io.c",
          "\tif (volume->options.read_only || tiered_homes_refuse_write(&volume->homes))\n"
          "\t\treturn end_with(bio, BLK_STS_IOERR);\nagain:\n",
          "\tif (tiered_homes_refuse_write(&volume->homes))\n"
          "\t\treturn end_with(bio, BLK_STS_IOERR);\nagain:\n",
          "14", _vm("bad_tables", "read_only"),
          says="was allowed: dd"),
    # ---- the disk, and who owns what
    Fault("foreign-disk-is-taken", "driver/recognise.c",
          "\tif (sample == SAMPLE_OTHER)\n", "\tif (false)\n",
          "15", _vm("disk_changes", "disk_written_without_the_volume_is_refused"),
          says="opened /dev/mapper/v0"),
    Fault("copy-of-a-fast-tier-is-taken", "driver/volume.c",
          "\t\tif (other != volume && other->has_uuid &&", "\t\tif (false && other->has_uuid &&",
          "15", _vm("disk_changes", "copy_of_the_fast_tier_is_refused_while_the_volume_is_open"),
          says="is open already"),
    Fault("device-has-two-owners", "driver/volume.c",
          "\t\tif (volume->owner != owner) {\n", "\t\tif (false) {\n",
          "15", _vm("bad_tables", "two_volumes_on_one_device"),
          says="not said once: in use by another"),
    Fault("reload-makes-a-volume-of-its-own", "driver/volume.c",
          "\t\treturn volume;\n\t}\n\treturn NULL;\n", "\t\treturn NULL;\n\t}\n\treturn NULL;\n",
          "15", _vm("tables", "table_line_recreates_the_volume"),
          says="resume ioctl on v0"),
    Fault("zoned-disk-is-taken", "driver/target.c",
          "\tif (bdev_is_zoned(t->home->bdev)) {\n", "\tif (false) {\n",
          "16", _vm("bad_tables", "zoned_disk_is_refused"),
          says="not said once: zoned"),
    Fault("disk-with-protection-information-is-taken", "driver/target.c",
          "\tif (bdev_get_integrity(t->home->bdev)) {\n", "\tif (false) {\n",
          "16", _vm("bad_tables", "disk_with_protection_information_is_refused"),
          says="was taken"),
    Fault("fast-device-without-dax-is-taken", "userspace/tierctl/format.cpp",
          "    if (!ns || ns->mode == nd_mode::fsdax)\n", "    if (!ns || ns->mode != nd_mode::devdax)\n",
          "16", _vm("bad_tables", "namespace_without_dax[raw]")),
    Fault("asynchronous-memory-is-taken", "driver/fast.c",
          "\tif (!dax_synchronous(dev->dax_dev)) {\n", "\tif (false) {\n",
          "16", _vm("limits", "memory_that_needs_the_host_to_flush_is_refused"),
          says="status=0"),
    # ---- growing
    Fault("growth-is-in-one-superblock", "driver/media.c",
          "\tr = write_other(volume);\n\tif (!r)\n\t\tr = write_other(volume);\n",
          "\tr = write_other(volume);\n",
          "growing", _vm("disk_changes", "either_superblock_knows_a_grown_volume"),
          says="cannot be told"),
    Fault("superblock-left-behind-stays-behind", "driver/media.c",
          "\tint r = volume->media.other_behind ? write_other(volume) : 0;\n", "\tint r = 0;\n",
          "growing", _vm("bad_tables", "superblock_left_behind_is_brought_up"),
          says="cannot be told"),
    Fault("grown-part-never-becomes-resident", "driver/media.c",
          "\t\tvolume->frames.words.pages = tiered_volume_pages(sectors);\n", "",
          "growing", _vm("disk_changes", "volume_grows_with_its_disk[0]"),
          says="goes around the fast tier"),
    Fault("growth-without-flush", "driver/volume.c",
          "\tr = tiered_homes_flush_now(&volume->homes);\n\tif (r)\n\t\treturn TIERED_REFUSE(volume, r, "
          "\"the volume cannot grow:",
          "\tr = 0;\n\tif (r)\n\t\treturn TIERED_REFUSE(volume, r, \"the volume cannot grow:",
          "growing", _vm("disk_changes", "disk_that_takes_no_flush_lets_no_volume_grow"),
          says="{reload}"),
    # ---- a fast tier that goes, or is missing
    Fault("home-is-written-while-the-fast-tier-is-gone", "driver/io.c",
          "\tif (bio_op(bio) != REQ_OP_READ || bio->bi_opf & REQ_PREFLUSH)\n\t\treturn end_with(",
          "\tif (bio->bi_opf & REQ_PREFLUSH)\n\t\treturn end_with(",
          "gone", _vm("fast_tier_gone", "what_is_whole_on_the_disk_is_read_and_the_rest_is_an_error"),
          says="no error: dd"),
    Fault("dirty-page-is-read-from-home-while-the-fast-tier-is-gone", "driver/io.c",
          "\t\twhole = tiered_frame_state(tiered_frame_word(frames, frame)) == TIERED_CLAIM_CLEAN;\n",
          "\t\twhole = true;\n",
          "gone", _vm("fast_tier_gone", "what_is_whole_on_the_disk_is_read_and_the_rest_is_an_error"),
          says="no error: dd"),
    Fault("memory-is-touched-after-it-went", "driver/fast.h",
          "\t*id = dax_read_lock();\n", "\t*id = dax_read_lock();\n\treturn true;\n",
          "18", _vm("fast_tier_gone", "what_is_whole_on_the_disk_is_read_and_the_rest_is_an_error"), "lost"),
    Fault("disk-alone-is-written-unasked", "driver/target.c",
          " || (!t->fast && !t->options.nothing_dirty))\n", ")\n",
          "missing", _vm("fast_tier_missing", "table_without_fast_device"),
          says="read_onl"),
    Fault("record-says-whole-while-open", "userspace/tierctl/records.cpp",
          "volume.sb, volume.fast_path, homes_state::in_use));\n",
          "volume.sb, volume.fast_path, homes_state::whole));\n",
          "missing", _vm("fast_tier_missing", "volume_that_lacks_pages_says_how_many"),
          says="nobody knows which pages"),
    Fault("record-forgets-what-is-missing", "userspace/tierctl/records.cpp",
          "missing_pages ? homes_state::lacking : homes_state::whole, missing_pages);\n",
          "homes_state::whole, missing_pages);\n",
          "missing", _vm("fast_tier_missing", "volume_that_lacks_pages_says_how_many"),
          says="as far as tierctl knows it holds everything"),
    # ---- limits, and what is seen of a volume
    Fault("nowait-is-not-offered", "driver/target.c",
          "\t.features = DM_TARGET_NOWAIT | DM_TARGET_SINGLETON,\n", "\t.features = DM_TARGET_SINGLETON,\n",
          "19", _vm("data_paths", "nowait_answers_or_says_again[read]"),
          says="Operation not supported"),
    Fault("limits-are-the-disks", "driver/target.c",
          "\tlimits->physical_block_size = max_t(unsigned int, limits->physical_block_size, "
          "TIERED_FRAME_BYTES);\n", "",
          "19", _vm("limits", "limits_are_those_of_pages"),
          says="physical_block_size"),
    Fault("discards-are-not-capped", "driver/target.c",
          "\t\tlimits->max_discard_sectors = DISCARD_SECTORS_MAX;\n"
          "\t\tlimits->max_hw_discard_sectors = DISCARD_SECTORS_MAX;\n", "",
          "19", _vm("limits", "limits_are_those_of_pages"),
          says="discard_max"),
    Fault("state-changes-in-silence", "driver/volume.c",
          "\tdm_table_event(active->table);\n", "",
          "events", _vm("fast_tier_gone", "state_changes_raise_events"), "timeout",
          says="dmsetup wait"),
    Fault("heat-counts-frames-at-rest", "driver/heat.c",
          "\tif (tiered_frame_state(*word) == TIERED_CLAIM_FREE || "
          "tiered_frames_lookup(frames, page) != frame)\n",
          "\tif (tiered_frame_state(*word) == TIERED_CLAIM_FREE)\n",
          "seen", _vm("visibility", "heat_counts_pages_and_not_frames_at_rest"),
          says="512"),
    Fault("heat-forgets-what-is-dirty", "driver/heat.c",
          "\theat->dirty += tiered_frame_state(word) == TIERED_CLAIM_DIRTY;\n", "",
          "seen", _vm("visibility", "heat_counts_pages_and_not_frames_at_rest"),
          says="256, 0"),
    Fault("dropped-fill-gives-no-reason", "driver/fill.c",
          "\ttiered_why(volume, page, r);\n", "",
          "seen", _vm("visibility", "why_tells_the_last_decision_of_an_extent"),
          says="not enough values to unpack"),
    Fault("sample-lacks-hits", "driver/io.c",
          "\t\tsample_request(volume, bio, bytes, false);\n\t\tif (volume->thrift.policy)\n",
          "\t\tif (volume->thrift.policy)\n",
          "advised", _vm("advice", "sample_tells_what_other_sizes_would_do"),
          says="'tierctl advise v0' ended with status 1"),
    # ---- cost
    Fault("every-request-takes-200-instructions-more", "driver/io.c",
          "\tr = map_any(volume, bio);\n",
          "\tfor (r = 0; r < 100; r++)\n\t\tbarrier();\n\tr = map_any(volume, bio);\n",
          "cost", _vm("gate", "figures_are_those_that_were_recorded"),
          says="A 4 KiB read hit takes"),
    # ---- memory
    Fault("stores-leave-pages-clean", "driver/mappings.c",
          "\tif (store && tiered_frame_state(tiered_frame_word(frames, *frame)) == TIERED_CLAIM_CLEAN)\n"
          "\t\ttiered_frames_dirty(frames, stripe, *frame);\n", "",
          "memory", _vm("memory", "what_was_stored_is_in_the_volume_when_it_is_closed"),
          says="frames_dirty"),
    Fault("mapped-pages-are-overwritten", "driver/io.c",
          "\tif (resident && unlikely(tiered_frame_word(frames, old) & TIERED_FRAME_MAPPED))\n"
          "\t\treturn TIERED_WRITE_WAIT;\n", "",
          "memory", _vm("memory", "memory_and_blocks_agree[small]"),
          says="workers failed"),
    Fault("mapped-pages-leave-with-their-mappings", "driver/mappings.c",
          "\tunmap(mappings, page, 1);\n", "",
          "memory", _vm("memory", "memory_and_blocks_agree[small]"),
          says="workers failed"),
    Fault("discards-pass-mappings-by", "driver/zero.c",
          "\ttiered_mappings_leave(volume, range->first, range->end);\n", "",
          "memory", _vm("memory", "memory_and_blocks_agree[small]"),
          says="workers failed"),
    Fault("suspended-volumes-serve-faults", "driver/volume.c",
          "\ttiered_memory_stop(volume);\n", "",
          "memory", _vm("memory", "faults_wait_for_a_suspended_volume"),
          says="assert"),
    Fault("stores-since-a-write-back-are-forgotten", "driver/writeback.c",
          " || word & TIERED_FRAME_RESTORED) {\n", ") {\n",
          "memory", _vm("memory", "memory_and_blocks_agree[small]"),
          says="workers failed"),
    Fault("written-pages-stay-clean", "driver/calls.c",
          "\tobstacle = tiered_mappings_mark(volume, transfer->page, true, &frame);\n",
          "\tobstacle = tiered_mappings_mark(volume, transfer->page, false, &frame);\n",
          "memory", _vm("memory_calls", "what_was_written_is_dirty_and_stays"),
          says="writeback_bytes"),
    Fault("written-pages-stay-marked", "driver/calls.c",
          "\tu64 ours = (TIERED_FRAME_MAPPED | TIERED_FRAME_STORED) & ~before;\n", "\tu64 ours = 0;\n",
          "memory", _vm("memory_calls", "what_was_written_is_dirty_and_stays"),
          says="'parked': 1"),
    Fault("debuggers-write-what-programs-may-not", "driver/calls.c",
          "\tif (write && !(vma->vm_flags & VM_WRITE))\n", "\tif (false)\n",
          "memory", _vm("memory_calls", "calls[debug]"),
          says="a write to a mapping for reading: went well"),
    Fault("memory-alone-serves-blocks", "driver/target.c",
          "\tif (unlikely(t->options.memory_only))\n", "\tif (false)\n",
          "memory", _vm("memory_calls", "memory_alone"),
          says="of=/dev/null"),
    # ---- pins
    Fault("pinned-pages-are-evicted", "driver/reclaim.c",
          " &&\n\t\t!tiered_pinned(volume, tiered_frame_page(word));\n", ";\n",
          "pinned", _vm("pins", "pins_stay_under_pressure_and_go_when_they_are_unpinned[all]"),
          says="6291456"),
    Fault("streams-pass-pinned-pages-by", "driver/io.c",
          "\t\tif ((pages && tiered_pinned(volume, part->page + pages)) ||\n\t\t    !",
          "\t\tif (!",
          "pinned", _vm("pins", "whole_pages_that_are_pinned_are_taken_whatever_the_admission"),
          says="pinned pages went to the disk"),
    Fault("pins-may-take-every-frame", "driver/pins.c",
          "\tif (set->pages > limit)\n", "\tif (false)\n",
          "pinned", _vm("pins", "what_cannot_be_pinned"),
          says="was done: tierctl pin"),
    Fault("filler-outlives-the-suspend", "driver/volume.c",
          "\ttiered_pins_stop(volume);\n", "",
          "pinned", _vm("pins", "filling_stops_with_the_volume_and_goes_on_with_it"),
          says="while the volume is suspended"),
    Fault("discarded-pins-stay-away", "driver/zero.c",
          "\ttiered_pins_poke(volume);\n", "",
          "pinned", _vm("pins", "discard_bad_memory_and_reloads_take_no_pin"),
          says="have not been more"),
    Fault("pins-end-with-the-volume", "userspace/tierctl/records.cpp",
          ".pins = pins_recorded(sb.uuid())", ".pins = {}",
          "pinned", _vm("pins", "pins_come_back_after_closing_and_after_a_power_cut"),
          says="assert"),
)
