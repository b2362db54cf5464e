// SPDX-License-Identifier: GPL-2.0-or-later
// The list of faults and the one that is chosen.
#include "mutants.h"

#include <array>

namespace model {

namespace {

Mutant chosen = Mutant::nothing;

constexpr std::array names{
    MutantName{Mutant::evict_unindexes_first, "evict-unindexes-first",
               "evict leaves the index and the lock before the clear is fenced"},
    MutantName{Mutant::recycle_without_settle, "recycle-without-settle",
               "limbo frames are reused without tiered_claims_settle()"},
    MutantName{Mutant::recycle_ignores_readers, "recycle-ignores-readers",
               "a frame is reused while a write-back copies from it"},
    MutantName{Mutant::fill_ignores_events, "fill-ignores-events",
               "a fill does not ask whether the page was written since its read began"},
    MutantName{Mutant::fill_ignores_unflushed, "fill-ignores-unflushed",
               "a fill does not ask whether the home was flushed since its last write"},
    MutantName{Mutant::mark_clean_without_holder_check, "mark-clean-without-holder-check",
               "a write-back does not ask whether its frame still holds the page"},
    MutantName{Mutant::version_not_bumped, "version-not-bumped", "an overwrite keeps the version"},
    MutantName{Mutant::discard_clears_dirty_first, "discard-clears-dirty-first",
               "a discard withdraws a dirty claim before it zeroes the home"},
    MutantName{Mutant::discard_zeroes_under_clean, "discard-zeroes-under-clean",
               "a discard zeroes the home while a clean claim stands"},
    MutantName{Mutant::discard_without_disk_flush, "discard-without-disk-flush",
               "a discard does not flush the zeroed home"},
    MutantName{Mutant::discard_ignores_home_writes, "discard-ignores-home-writes",
               "a discard writes a home that another write is on its way to"},
    MutantName{Mutant::writeback_without_disk_flush, "writeback-without-disk-flush",
               "a write-back marks clean before the disk was flushed"},
    MutantName{Mutant::writeback_ignores_home_writes, "writeback-ignores-home-writes",
               "a write-back writes a home that another write is on its way to"},
    MutantName{Mutant::bypass_of_resident_page, "bypass-of-resident-page",
               "a write bypasses a page that a frame holds"},
    MutantName{Mutant::flush_forgets_early, "flush-forgets-early",
               "a FLUSH forgets the unflushed writes when it starts"},
    MutantName{Mutant::old_frame_freed_before_publish, "old-frame-freed-before-publish",
               "an overwrite clears the old claim before the new one is durable"},
    MutantName{Mutant::data_stored_after_publish, "data-stored-after-publish",
               "a write publishes its claim before it stores the data"},
    MutantName{Mutant::load_keeps_losers, "load-keeps-losers",
               "the load leaves losing claims on media"},
    MutantName{Mutant::load_clears_losers_first, "load-clears-losers-first",
               "the load clears losers before the winners' shadows are right"},
    MutantName{Mutant::load_clears_without_fence, "load-clears-without-fence",
               "the load clears losing claims and does not fence"},
    MutantName{Mutant::load_keeps_old_shadows, "load-keeps-old-shadows",
               "the load leaves shadows that differ from their primaries"},
    MutantName{Mutant::load_without_disk_flush, "load-without-disk-flush",
               "the load does not flush what the disk still had in its cache"},
    MutantName{Mutant::close_forgets_clears, "close-forgets-clears",
               "closing does not complete the clears that the stripes remember"},
    MutantName{Mutant::load_forgets_the_lost, "load-forgets-the-lost",
               "the load does not mark what is lost for a damaged word"},
    MutantName{Mutant::load_keeps_damaged_losers, "load-keeps-damaged-losers",
               "the load leaves the shadow of a damaged word by which nothing is lost"},
    MutantName{Mutant::load_frees_bad_words, "load-frees-bad-words",
               "the load gives out free frames whose words are bad"},
    MutantName{Mutant::bad_dirty_page_is_dropped, "bad-dirty-page-is-dropped",
               "a bad frame's page is read from home though it was dirty"},
    MutantName{Mutant::lost_page_is_marked_clean, "lost-page-is-marked-clean",
               "a write-back marks its frame clean though it went bad meanwhile"},
    MutantName{Mutant::retire_before_settle, "retire-before-settle",
               "a frame is retired before its clear is durable"},
    MutantName{Mutant::return_without_flush, "return-without-flush",
               "the load of a fast tier that came back does not flush its words"},
    MutantName{Mutant::gone_bypasses, "gone-bypasses",
               "a write goes to the home of a page though the fast tier with its claim is gone"},
    MutantName{Mutant::gone_discards, "gone-discards",
               "a discard zeroes homes though the fast tier went before it withdrew the claims"},
    MutantName{Mutant::gone_reads_dirty_from_home, "gone-reads-dirty-from-home",
               "a page that is dirty in a fast tier that is gone is read from its home"},
    MutantName{Mutant::through_ends_at_publish, "through-ends-at-publish",
               "a write through ends when the fast tier has it"},
    MutantName{Mutant::through_ends_before_flush, "through-ends-before-flush",
               "a write through ends before the disk was flushed"},
    MutantName{Mutant::through_takes_any_writeback, "through-takes-any-writeback",
               "a write through ends with a write-back that began before it"},
    MutantName{Mutant::superblock_without_fence, "superblock-without-fence",
               "a superblock is written and not fenced"},
    MutantName{Mutant::superblock_stays_behind, "superblock-stays-behind",
               "the load leaves a superblock that a crash tore, or that knows an older size"},
    MutantName{Mutant::grow_in_one_superblock, "grow-in-one-superblock",
               "the new size of the volume is written to one superblock"},
    MutantName{Mutant::grow_before_superblocks, "grow-before-superblocks",
               "pages beyond the old end are used before the superblocks know of them"},
    MutantName{Mutant::entry_before_dirty_claim, "entry-before-dirty-claim",
               "a fault lets a page be stored to before its claim is dirty", true},
    MutantName{Mutant::marks_without_the_gate, "marks-without-the-gate",
               "a fault leaves the gate between its look at the index and its entry", true},
    MutantName{Mutant::upgrade_without_the_gate, "upgrade-without-the-gate",
               "a fault makes an entry writable without holding the gate", true},
    MutantName{Mutant::unflushed_home_fills_clean, "unflushed-home-fills-clean",
               "a fault fills a page clean though its home is not flushed", true},
    MutantName{Mutant::block_write_without_unmap, "block-write-without-unmap",
               "a block write replaces a frame that is mapped", true},
    MutantName{Mutant::writeback_without_unmap, "writeback-without-unmap",
               "a write-back leaves its page mapped for stores", true},
    MutantName{Mutant::writeback_without_the_lines, "writeback-without-the-lines",
               "a write-back does not write back what is in the caches of the CPUs", true},
    MutantName{Mutant::marks_go_before_the_lines, "marks-go-before-the-lines",
               "whoever unmaps a page says that nothing is in the caches before that is so", true},
    MutantName{Mutant::restored_is_ignored, "restored-is-ignored",
               "a write-back marks clean what was stored to since it began", true},
    MutantName{Mutant::restored_page_heals, "restored-page-heals",
               "a write-back heals a bad page that was stored to since it began", true},
    MutantName{Mutant::evict_without_unmap, "evict-without-unmap",
               "a page is evicted while it is mapped", true},
    MutantName{Mutant::evict_forgets_the_lines, "evict-forgets-the-lines",
               "an eviction unmaps a page, finds it dirty, and leaves it unmarked", true},
    MutantName{Mutant::discard_without_passing_gates, "discard-without-passing-gates",
               "a discard does not wait for faults that have not seen it", true},
    MutantName{Mutant::sync_without_the_lines, "sync-without-the-lines",
               "msync ends without writing back what is in the caches of the CPUs", true},
    MutantName{Mutant::close_without_the_lines, "close-without-the-lines",
               "closing forgets that there are stores in the caches of the CPUs", true},
    MutantName{Mutant::call_without_the_gate, "call-without-the-gate",
               "write() does not hold the gate of the page that it stores to", true},
    MutantName{Mutant::call_shares_the_gate, "call-shares-the-gate",
               "write() takes marks away that a fault may have set meanwhile", true},
    MutantName{Mutant::call_leaves_page_clean, "call-leaves-page-clean",
               "write() stores to a clean page and leaves its claim", true},
    MutantName{Mutant::call_without_fence, "call-without-fence",
               "write() returns before what it stored is durable", true},
    MutantName{Mutant::call_takes_all_marks, "call-takes-all-marks",
               "write() takes away marks that were there before", true},
};

} // namespace

std::span<const MutantName> mutants() {
    return names;
}

void choose_mutant(Mutant mutant) {
    chosen = mutant;
}

bool has_fault(Mutant mutant) {
    return chosen == mutant;
}

} // namespace model
