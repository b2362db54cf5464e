// SPDX-License-Identifier: GPL-2.0-or-later
// A fast tier in simulation: the references.
#include "tier.hpp"

#include <algorithm>

namespace tiered::sim {

void tier::service(std::uint64_t slow_bytes, double seeks) {
    for (std::size_t d = 0; d < devices.size(); d++)
        spent[d].service_us += seeks * devices[d].seek_us + devices[d].transfer_us(slow_bytes);
}

void tier::service_fast(std::uint64_t bytes) {
    for (times& t : spent)
        t.service_us += fast_us(bytes);
}

void tier::migrate(std::uint64_t slow_bytes, double seeks) {
    for (std::size_t d = 0; d < devices.size(); d++)
        spent[d].migration_us += seeks * devices[d].seek_us + devices[d].transfer_us(slow_bytes);
}

void tier::migrate_fast(std::uint64_t bytes) {
    for (times& t : spent)
        t.migration_us += fast_us(bytes);
}

void no_tier::serve(const access& a) {
    count.page_accesses += a.r.pages();
    count.written_bytes += a.r.write ? a.r.bytes : 0;
    service(a.r.bytes, a.continuation ? 0 : 1);
}

std::uint64_t dirty_pages::clean_run(std::uint64_t page) {
    std::uint64_t first = page, end = page + 1;
    while (first > 0 && contains(first - 1))
        first--;
    while (contains(end))
        end++;
    for (std::uint64_t p = first; p < end; p++)
        remove(p);
    return end - first;
}

std::vector<std::uint64_t> dirty_pages::sorted() const {
    std::vector<std::uint64_t> all = index.pages();
    std::sort(all.begin(), all.end());
    return all;
}

reference_tier::reference_tier(std::unique_ptr<replacement> replaces, std::uint32_t fill_width,
                               write_mode writes, std::span<const device_model> of)
    : tier(of), policy(std::move(replaces)), width(fill_width), mode(writes) {}

void reference_tier::serve(const access& a) {
    look_up(a);
    if (a.r.write)
        write(a);
    else
        read(a);
}

void reference_tier::finish() {
    for (const std::uint64_t page : dirty.sorted())
        if (dirty.contains(page))
            write_back(page);
}

void reference_tier::announce(const access& a, std::uint32_t i) {
    policy->saving(all_slow_us(devices[0], a.r, a.continuation) / a.r.pages());
    if (!a.next_uses.empty())
        policy->next_use(a.next_uses[i]);
}

void reference_tier::look_up(const access& a) {
    hit.assign(a.r.pages(), 0);
    hit_bytes = 0;
    for (std::uint32_t i = 0; i < a.r.pages(); i++) {
        announce(a, i);
        hit[i] = policy->hit(a.r.first_page() + i);
        count.page_hits += hit[i];
        if (hit[i])
            hit_bytes += a.r.covered(i);
    }
    count.page_accesses += a.r.pages();
}

void reference_tier::read(const access& a) {
    if (hit_bytes)
        service_fast(hit_bytes);
    if (hit_bytes == a.r.bytes)
        return;
    read_missing(a);
    fill(a);
}

/// Between two runs of missing pages the device reads on or seeks, whatever is cheaper.
void reference_tier::read_missing(const access& a) {
    double seeks = a.continuation ? 0 : 1;
    std::uint64_t gap = 0;
    bool any = false;
    for (std::uint32_t i = 0; i < a.r.pages(); i++) {
        const std::uint64_t bytes = a.r.covered(i);
        if (hit[i]) {
            gap += bytes;
            continue;
        }
        for (std::size_t d = 0; any && gap && d < devices.size(); d++)
            spent[d].service_us += std::min(devices[d].seek_us, devices[d].transfer_us(gap));
        gap = 0;
        any = true;
        service(bytes, seeks);
        seeks = 0;
    }
}

void reference_tier::fill(const access& a) {
    std::uint64_t filled = 0, extra = 0;
    for (std::uint32_t i = 0; i < a.r.pages(); i++) {
        announce(a, i);
        if (hit[i] || !offer(a.r.first_page() + i))
            continue;
        filled += page_bytes;
        extra += page_bytes - a.r.covered(i);
    }
    if (!filled)
        return;
    const std::uint64_t neighbours = fill_neighbours(a.r);
    migrate(extra + neighbours, 0);
    migrate_fast(filled + neighbours);
    count.fill_bytes += filled + neighbours;
}

/// The rest of the aligned groups at either end of the request, where they had misses.
std::uint64_t reference_tier::fill_neighbours(const request& r) {
    const std::uint64_t first = r.first_page(), last = r.last_page();
    const std::uint64_t group = first / width * width;
    const auto group_end =
        hit.begin() +
        static_cast<std::ptrdiff_t>(std::min<std::uint64_t>(hit.size(), group + width - first));
    std::uint64_t bytes = 0;
    if (std::find(hit.begin(), group_end, 0) != group_end)
        bytes += fill_range(group, first);
    if (!hit.back())
        bytes += fill_range(last + 1, (last / width + 1) * width);
    return bytes;
}

std::uint64_t reference_tier::fill_range(std::uint64_t first, std::uint64_t end) {
    std::uint64_t bytes = 0;
    for (std::uint64_t page = first; page < end; page++) {
        if (policy->resident(page))
            continue;
        // It is read whether or not it is admitted.
        bytes += page_bytes;
        offer(page);
    }
    return bytes;
}

bool reference_tier::offer(std::uint64_t page) {
    const admission result = policy->offer(page);
    if (result.evicted != admission::nobody && dirty.contains(result.evicted))
        write_back(result.evicted);
    return result.admitted;
}

void reference_tier::write_back(std::uint64_t page) {
    const std::uint64_t bytes = dirty.clean_run(page) * page_bytes;
    migrate(bytes, 1);
    count.writeback_bytes += bytes;
}

void reference_tier::write(const access& a) {
    count.written_bytes += a.r.bytes;
    if (mode == write_mode::back && absorb(a))
        return;
    write_home(a);
}

/// A part of a page that is not resident cannot be absorbed: the rest of it is at home.
bool reference_tier::absorb(const access& a) {
    for (std::uint32_t i = 0; i < a.r.pages(); i++)
        if (!hit[i] && a.r.covered(i) < page_bytes)
            return false;
    bool all = true;
    for (std::uint32_t i = 0; i < a.r.pages() && all; i++) {
        announce(a, i);
        all = hit[i] || offer(a.r.first_page() + i);
    }
    // A request larger than the tier pushes out its own pages.
    for (std::uint32_t i = 0; i < a.r.pages() && all; i++)
        all = policy->resident(a.r.first_page() + i);
    if (!all)
        return false;
    for (std::uint32_t i = 0; i < a.r.pages(); i++)
        dirty.add(a.r.first_page() + i);
    service_fast(a.r.bytes);
    return true;
}

/// Resident pages get the same; what was dirty and is overwritten whole is clean then.
void reference_tier::write_home(const access& a) {
    std::uint64_t bytes = 0;
    service(a.r.bytes, a.continuation ? 0 : 1);
    for (std::uint32_t i = 0; i < a.r.pages(); i++) {
        const std::uint64_t page = a.r.first_page() + i;
        const std::uint64_t covered = a.r.covered(i);
        if (covered == page_bytes)
            dirty.remove(page);
        announce(a, i);
        if (policy->resident(page) ||
            (mode == write_mode::through && covered == page_bytes && offer(page)))
            bytes += covered;
    }
    if (bytes)
        service_fast(bytes);
}

} // namespace tiered::sim
