// SPDX-License-Identifier: GPL-2.0-or-later
// A model of dm-cache with its policy smq.
#include "smq_tier.hpp"

#include <algorithm>

namespace tiered::sim {

namespace {

constexpr std::uint64_t block_bytes = 64 * 1024;
constexpr std::uint64_t block_pages = block_bytes / page_bytes;
// The kernel's constants.
constexpr std::uint64_t spot_period_us = 1'000'000;
constexpr std::uint64_t block_period_us = 60'000'000;
constexpr std::uint64_t least_spots = 1024;
constexpr unsigned clean_target_percent = 25;

/// How eagerly an empty cache promotes, by sixteenths of its hit ratio (default_promote_level() in
/// the kernel).
constexpr std::array<unsigned, 17> eager_levels{1, 1, 1, 2, 4, 6, 7, 8, 7, 6, 4, 4, 3, 3, 2, 2, 1};

} // namespace

smq_queue::entry* smq_queue::find(std::uint64_t block) {
    const std::uint32_t i = index.find(block);
    return i == page_map::none ? nullptr : &*at[i];
}

smq_queue::entry& smq_queue::insert(std::uint64_t block, unsigned level) {
    queue[level].push_front({block, level, false, false});
    if (unused.empty()) {
        unused.push_back(static_cast<std::uint32_t>(at.size()));
        at.emplace_back();
    }
    const std::uint32_t i = unused.back();
    unused.pop_back();
    at[i] = queue[level].begin();
    index.set(block, i);
    return queue[level].front();
}

void smq_queue::requeue(entry& e, unsigned up) {
    const unsigned to = std::min(e.level + up, levels - 1);
    queue[to].splice(queue[to].begin(), queue[e.level], at[index.find(e.block)]);
    e.level = to;
}

smq_queue::entry* smq_queue::lowest(bool clean_only) {
    for (std::list<entry>& level : queue)
        for (auto e = level.rbegin(); e != level.rend(); ++e)
            if (!clean_only || !e->dirty)
                return &*e;
    return nullptr;
}

void smq_queue::remove(std::uint64_t block) {
    const std::uint32_t i = index.find(block);
    queue[at[i]->level].erase(at[i]);
    index.erase(block);
    unused.push_back(i);
}

void smq_queue::redistribute() {
    const std::size_t each = std::max<std::size_t>(1, size() / levels);
    const auto pull = [this](unsigned from, unsigned to, bool oldest) {
        const place e = oldest ? std::prev(queue[from].end()) : queue[from].begin();
        queue[to].splice(oldest ? queue[to].begin() : queue[to].end(), queue[from], e);
        e->level = to;
    };
    for (unsigned level = 0; level + 1 < levels; level++) {
        while (queue[level].size() > each)
            pull(level, level + 1, false);
        for (unsigned above = level + 1; above < levels && queue[level].size() < each;)
            queue[above].empty() ? static_cast<void>(above++) : pull(above, level, true);
    }
}

void smq_queue::unmark() {
    for (std::list<entry>& level : queue)
        for (entry& e : level)
            e.marked = false;
}

std::vector<std::uint64_t> smq_queue::dirty_blocks() const {
    std::vector<std::uint64_t> all;
    for (const std::list<entry>& level : queue)
        for (const entry& e : level)
            if (e.dirty)
                all.push_back(e.block);
    std::sort(all.begin(), all.end());
    return all;
}

void smq_tier::level_stats::accessed(unsigned level) {
    (level >= smq_queue::levels * 3 / 4 ? hits : misses)++;
}

unsigned smq_tier::level_stats::quality() const {
    const std::uint64_t all = std::max<std::uint64_t>(hits + misses, 1);
    return hits * 16 < all ? 0 : hits * 8 < all ? 1 : 2;
}

smq_tier::smq_tier(std::uint32_t pages, std::span<const device_model> of)
    : tier(of), capacity(pages / block_pages),
      hot_spots(std::max<std::uint64_t>(capacity / 4, least_spots)) {}

void smq_tier::serve(const access& a) {
    const std::uint64_t before = now;
    now = a.r.time_us;
    if (now / spot_period_us != before / spot_period_us)
        period();
    if (now / block_period_us != before / block_period_us) {
        blocks.redistribute();
        blocks.unmark();
        block_stats = {};
    }
    std::uint64_t fast = 0, slow = 0;
    double seeks = a.continuation ? 0 : 1;
    bool after_hit = false;
    for (std::uint64_t begin = a.r.offset; begin < a.r.end();) {
        const std::uint64_t end = std::min(a.r.end(), (begin / block_bytes + 1) * block_bytes);
        bool hit = false;
        serve_block(a.r, begin / block_bytes, hit);
        const std::uint64_t pages = (end - 1) / page_bytes - begin / page_bytes + 1;
        count.page_hits += hit ? pages : 0;
        (hit ? fast : slow) += end - begin;
        // Behind a block that was hit the device has to seek again.
        seeks += !hit && slow > end - begin && after_hit;
        after_hit = hit;
        begin = end;
    }
    count.page_accesses += a.r.pages();
    count.written_bytes += a.r.write ? a.r.bytes : 0;
    if (fast)
        service_fast(fast);
    if (slow)
        service(slow, seeks);
}

void smq_tier::serve_block(const request& r, std::uint64_t block, bool& hit) {
    const bool hot = hot_enough(block);
    smq_queue::entry* e = blocks.find(block);
    hit = e != nullptr;
    if (!e) {
        block_stats.misses++;
        if (hot)
            promote(block);
        return;
    }
    block_stats.hits++;
    e->dirty = e->dirty || r.write;
    if (!e->marked)
        blocks.requeue(*e, 1);
    e->marked = true;
}

/// Notes the use of a hot spot and says whether it is high enough for promotion.
bool smq_tier::hot_enough(std::uint64_t block) {
    smq_queue::entry* e = spots.find(block);
    if (!e) {
        spot_stats.misses++;
        if (spots.size() == hot_spots)
            spots.remove(spots.lowest(false)->block);
        e = &spots.insert(block, 0);
    } else {
        spot_stats.accessed(e->level);
        if (!e->marked)
            spots.requeue(*e, spot_jump);
    }
    e->marked = true;
    return e->level >= promote_level;
}

void smq_tier::period() {
    constexpr std::array<unsigned, 3> jumps{4, 2, 1};
    constexpr std::array<unsigned, 3> portions{4, 2, 1};
    const unsigned quality = spot_stats.quality();
    const bool full = blocks.size() == capacity;
    const std::uint64_t seen = std::max<std::uint64_t>(block_stats.hits + block_stats.misses, 1);
    // An empty cache is eager; a hot spot queue that knows little makes it careful.
    const unsigned eager = eager_levels[block_stats.hits * 16 / seen];
    const unsigned threshold = std::max(full ? smq_queue::levels / 2 : eager, smq_queue::levels);
    promote_level = smq_queue::levels - threshold / portions[quality];
    spot_jump = jumps[quality];
    spots.redistribute();
    spots.unmark();
    spot_stats = {};
    // Write-back keeps a part clean, because only clean blocks are demoted.
    std::vector<std::uint64_t> dirty = blocks.dirty_blocks();
    const std::uint64_t allowed = capacity * (100 - clean_target_percent) / 100;
    for (std::size_t i = 0; i + allowed < dirty.size(); i++)
        write_back(*blocks.find(dirty[i]));
}

void smq_tier::promote(std::uint64_t block) {
    if (capacity == 0 || (blocks.size() == capacity && !make_room()))
        return;
    blocks.insert(block, smq_queue::levels / 2);
    migrate(block_bytes, 1);
    migrate_fast(block_bytes);
    count.fill_bytes += block_bytes;
}

bool smq_tier::make_room() {
    const smq_queue::entry* victim = blocks.lowest(true);
    if (!victim)
        return false;
    blocks.remove(victim->block);
    return true;
}

void smq_tier::write_back(smq_queue::entry& e) {
    e.dirty = false;
    migrate(block_bytes, 1);
    count.writeback_bytes += block_bytes;
}

void smq_tier::finish() {
    for (const std::uint64_t block : blocks.dirty_blocks())
        write_back(*blocks.find(block));
}

} // namespace tiered::sim
