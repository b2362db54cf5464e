// SPDX-License-Identifier: GPL-2.0-or-later
// Faults that the operations of the model can be told to have, so that the checker itself is
// tested. (Faults of the claim protocol are made from the real source when this folder is built:
// CMakeLists.txt.)
#pragma once

#include <span>
#include <string_view>

namespace model {

enum class Mutant {
    nothing,
    evict_unindexes_first,
    recycle_without_settle,
    recycle_ignores_readers,
    fill_ignores_events,
    fill_ignores_unflushed,
    mark_clean_without_holder_check,
    version_not_bumped,
    discard_clears_dirty_first,
    discard_zeroes_under_clean,
    discard_without_disk_flush,
    discard_ignores_home_writes,
    writeback_without_disk_flush,
    writeback_ignores_home_writes,
    bypass_of_resident_page,
    flush_forgets_early,
    old_frame_freed_before_publish,
    data_stored_after_publish,
    load_keeps_losers,
    load_clears_losers_first,
    load_clears_without_fence,
    load_keeps_old_shadows,
    load_without_disk_flush,
    close_forgets_clears,
    load_forgets_the_lost,
    load_keeps_damaged_losers,
    load_frees_bad_words,
    bad_dirty_page_is_dropped,
    lost_page_is_marked_clean,
    retire_before_settle,
    return_without_flush,
    gone_bypasses,
    gone_discards,
    gone_reads_dirty_from_home,
    through_ends_at_publish,
    through_ends_before_flush,
    through_takes_any_writeback,
    superblock_without_fence,
    superblock_stays_behind,
    grow_in_one_superblock,
    grow_before_superblocks,
    entry_before_dirty_claim,
    marks_without_the_gate,
    upgrade_without_the_gate,
    unflushed_home_fills_clean,
    block_write_without_unmap,
    writeback_without_unmap,
    writeback_without_the_lines,
    marks_go_before_the_lines,
    restored_is_ignored,
    restored_page_heals,
    evict_without_unmap,
    evict_forgets_the_lines,
    discard_without_passing_gates,
    sync_without_the_lines,
    close_without_the_lines,
    call_without_the_gate,
    call_shares_the_gate,
    call_leaves_page_clean,
    call_without_fence,
    call_takes_all_marks,
};

struct MutantName {
    Mutant mutant;
    std::string_view name;
    std::string_view what;
    bool only_in_memory = false; // it is in operations of volumes that are used as memory
};

std::span<const MutantName> mutants();
void choose_mutant(Mutant mutant);
bool has_fault(Mutant mutant);

} // namespace model
