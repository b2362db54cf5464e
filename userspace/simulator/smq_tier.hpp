// SPDX-License-Identifier: GPL-2.0-or-later
// A model of dm-cache with its policy smq (Linux, drivers/md/dm-cache-policy-smq.c): blocks of 64
// KiB that are copied whole, a multi-queue of hot spots that decides on promotion, a multi-queue of
// blocks that decides on demotion.
#pragma once

#include "tier.hpp"

#include <list>

namespace tiered::sim {

/// Queues by level, each in order of use. A level has about as many entries as another;
/// redistribute() sees to it.
class smq_queue {
public:
    static constexpr unsigned levels = 64;

    struct entry {
        std::uint64_t block;
        unsigned level;
        bool marked; // used in this period
        bool dirty;
    };
    using place = std::list<entry>::iterator;

    entry* find(std::uint64_t block);
    entry& insert(std::uint64_t block, unsigned level);
    /// Up by some levels, to the newest end.
    void requeue(entry& e, unsigned up);
    /// The least valuable: the oldest of the lowest level that has any; only clean ones when asked.
    entry* lowest(bool clean_only);
    void remove(std::uint64_t block);
    void redistribute();
    void unmark();
    std::size_t size() const { return index.size(); }
    std::vector<std::uint64_t> dirty_blocks() const;

private:
    std::array<std::list<entry>, levels> queue;
    page_map index; // block -> number in `at`
    std::vector<place> at;
    std::vector<std::uint32_t> unused;
};

class smq_tier : public tier {
public:
    smq_tier(std::uint32_t pages, std::span<const device_model> devices);

    void serve(const access& a) override;
    void finish() override;

private:
    struct level_stats {
        std::uint64_t hits = 0, misses = 0;
        void accessed(unsigned level);
        unsigned quality() const; // 0 poor, 1 fair, 2 well
    };

    void period();
    bool hot_enough(std::uint64_t block);
    void promote(std::uint64_t block);
    bool make_room();
    void write_back(smq_queue::entry& e);
    void serve_block(const request& r, std::uint64_t block, bool& hit);

    const std::uint64_t capacity;
    const std::uint64_t hot_spots;
    smq_queue blocks, spots;
    level_stats block_stats, spot_stats;
    unsigned spot_jump = 4;
    unsigned promote_level = 0;
    std::uint64_t now = 0;
};

} // namespace tiered::sim
