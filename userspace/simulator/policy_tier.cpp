// SPDX-License-Identifier: GPL-2.0-or-later
// The project's own policy in simulation.
#include "policy_tier.hpp"

#include <algorithm>
#include <cmath>

namespace tiered::sim {

namespace {

constexpr double fast_page_us = page_bytes / fast_bytes_per_us;

std::uint32_t as_ns(double us) {
    return static_cast<std::uint32_t>(std::lround(1000 * us));
}

tiered_policy_costs costs_of(const device_model& device) {
    return {as_ns(device.seek_us), as_ns(device.transfer_us(page_bytes)), as_ns(fast_access_us),
            as_ns(fast_page_us)};
}

} // namespace

policy_tier::policy_tier(std::uint32_t pages, const device_model& of)
    : tier(std::span(&of, 1)), device(of), memory(tiered_policy_bytes(pages) / 8 + 1), index(pages),
      page_of(pages) {
    const tiered_policy_costs costs = costs_of(of);
    tiered_policy_init(&policy, memory.data(), pages, &costs);
    for (std::uint32_t frame = pages; frame > 0; frame--)
        free_frames.push_back(frame - 1);
}

void policy_tier::serve(const access& a) {
    describe(a);
    tiered_policy_request(&policy, &cpu, &io);
    look_up(a);
    if (a.r.write)
        write(a);
    else
        read(a);
    tiered_policy_cpu* const cpus[] = {&cpu};
    const tiered_policy_index find{
        [](void* context, u64 page) { return static_cast<page_map*>(context)->find(page); },
        &index};
    tiered_policy_work(&policy, cpus, 1, &find);
    if (tiered_policy_is_due(&policy))
        tiered_policy_rebuild(&policy);
}

void policy_tier::finish() {
    for (const std::uint64_t page : dirty.sorted())
        if (dirty.contains(page))
            write_back(page);
}

void policy_tier::describe(const access& a) {
    constexpr std::uint32_t large_pages = 16;
    home_us = all_slow_us(device, a.r, a.continuation);
    io.page = a.r.first_page();
    io.pages = a.r.pages();
    const bool stream = a.continuation || io.pages >= large_pages;
    const bool whole = a.r.offset % page_bytes == 0 && a.r.bytes % page_bytes == 0;
    io.flags = (a.r.write ? TIERED_POLICY_IO_WRITE : 0) | (stream ? TIERED_POLICY_IO_STREAM : 0) |
               (whole ? TIERED_POLICY_IO_WHOLE : 0);
    io.home_ns = as_ns(home_us);
    io.fast_ns = as_ns(fast_us(a.r.bytes));
}

void policy_tier::look_up(const access& a) {
    frames.resize(io.pages);
    hit_bytes = 0;
    hits = 0;
    for (std::uint32_t i = 0; i < io.pages; i++) {
        const std::uint64_t page = io.page + i;
        frames[i] = index.find(page);
        if (frames[i] == none)
            continue;
        hits++;
        hit_bytes += a.r.covered(i);
    }
    note_hits();
    count.page_hits += hits;
    count.page_accesses += io.pages;
}

/// One run of resident pages after the other; mostly there is one.
void policy_tier::note_hits() {
    std::uint32_t first = 0;
    for (std::uint32_t i = 0; i < io.pages; i++) {
        if (frames[i] == none) {
            first = i + 1;
            continue;
        }
        if (i + 1 < io.pages && frames[i + 1] != none)
            continue;
        const bool rewrites =
            (io.flags & TIERED_POLICY_IO_WRITE) && dirty.contains(io.page + first);
        tiered_policy_hit(&policy, &cpu, io.page + first, i + 1 - first, rewrites, &io);
    }
}

void policy_tier::read(const access& a) {
    double us = hits ? read_us(a) : home_us;
    if (us > home_us && !tiered_policy_afford(&policy, as_ns(us - home_us))) {
        clean_request(a.r);
        us = home_us;
    }
    spent[0].service_us += us;
    // What was afforded is paid already.
    tiered_policy_served(&cpu, &io, as_ns(std::min(us, home_us)));
    if (hits == io.pages)
        return;
    miss(a);
    fill(a);
}

/// With what is resident from the fast tier; between missing pages the device reads on or seeks.
double policy_tier::read_us(const access& a) const {
    double us = fast_us(hit_bytes);
    double gap_us = a.continuation ? 0 : device.seek_us;
    std::uint64_t gap = 0;
    bool any = false;
    for (std::uint32_t i = 0; i < io.pages; i++) {
        if (frames[i] != none) {
            gap += a.r.covered(i);
            continue;
        }
        if (any)
            gap_us = std::min(device.seek_us, device.transfer_us(gap));
        us += gap_us + device.transfer_us(a.r.covered(i));
        any = true;
        gap = 0;
    }
    return us;
}

/// Tells the policy about the pages that are not resident, region by region.
void policy_tier::miss(const access& a) {
    for (std::uint32_t i = 0; i < io.pages;) {
        if (frames[i] != none) {
            i++;
            continue;
        }
        const std::uint64_t first = a.r.first_page() + i;
        std::uint32_t pages = 1;
        while (i + pages < io.pages && frames[i + pages] == none &&
               (first + pages) % TIERED_REGION_PAGES)
            pages++;
        tiered_policy_missed(&policy, &cpu, first, pages, &io);
        if (!a.r.write)
            widen(a, i);
        i += pages;
    }
}

void policy_tier::fill(const access& a) {
    double access_us = fast_access_us;
    for (std::uint32_t i = 0; i < io.pages; i++) {
        if (frames[i] != none)
            continue;
        tiered_policy_offer offer;
        tiered_policy_consider(&policy, &cpu, io.page + i, &io, &offer);
        // The rest of a page at either end has to be read as well.
        const double us =
            device.transfer_us(page_bytes - a.r.covered(i)) + fast_page_us + access_us;
        if (free_frames.empty() && !tiered_policy_wants(&policy, &offer, as_ns(us)))
            continue;
        if (!tiered_policy_afford(&policy, as_ns(us)))
            continue;
        access_us = 0;
        spent[0].migration_us += us;
        count.fill_bytes += page_bytes;
        place(take_frame(), offer);
    }
}

/// Of the aligned group of that width around `base`, a bit for each page of the region.
std::uint64_t policy_tier::resident_or_asked(const request& r, std::uint64_t base,
                                             std::uint32_t width) const {
    std::uint64_t mask = 0;
    const std::uint64_t first = base / width * width;
    for (std::uint64_t page = first; page < first + width; page++) {
        const bool asked = page >= r.first_page() && page <= r.last_page();
        if (asked || index.contains(page))
            mask |= 1ull << page % TIERED_REGION_PAGES;
    }
    return mask;
}

void policy_tier::widen(const access& a, std::uint32_t i) {
    const std::uint64_t base = io.page + i;
    const std::uint32_t most = tiered_policy_most_width(&policy, base);
    if (!most)
        return;
    const std::uint64_t have = resident_or_asked(a.r, base, most);
    const std::uint32_t width = tiered_policy_width(&policy, base, most, have);
    for (std::uint32_t n = 0; n < width; n++) {
        const std::uint64_t page = base / width * width + n;
        if (!(have >> page % TIERED_REGION_PAGES & 1) && !bring_along(base, page))
            return;
    }
}

/// Fills a page that nobody asked for; false when there is no money left.
bool policy_tier::bring_along(std::uint64_t base, std::uint64_t page) {
    const double us = device.transfer_us(page_bytes) + fast_page_us;
    if (!tiered_policy_afford(&policy, as_ns(us)))
        return false;
    tiered_policy_offer offer;
    tiered_policy_neighbour(&policy, base, page, &offer);
    place(take_frame(), offer);
    spent[0].migration_us += us;
    count.fill_bytes += page_bytes;
    return true;
}

std::uint32_t policy_tier::take_frame() {
    if (free_frames.empty()) {
        const std::uint32_t named = tiered_policy_victim(&policy, nullptr, nullptr);
        evict(named == TIERED_POLICY_NEW ? next_by_hand() : named);
    }
    const std::uint32_t frame = free_frames.back();
    free_frames.pop_back();
    return frame;
}

/// Where the policy names none, as the driver's reclaim does.
std::uint32_t policy_tier::next_by_hand() {
    const std::uint32_t frame = hand;
    hand = (hand + 1) % static_cast<std::uint32_t>(page_of.size());
    return frame;
}

void policy_tier::place(std::uint32_t frame, const tiered_policy_offer& offer) {
    page_of[frame] = offer.page;
    index.set(offer.page, frame);
    tiered_policy_place(&policy, frame, &offer);
}

void policy_tier::evict(std::uint32_t frame) {
    const std::uint64_t page = page_of[frame];
    if (dirty.contains(page))
        write_back(page);
    index.erase(page);
    tiered_policy_evicted(&policy, frame, page);
    free_frames.push_back(frame);
}

void policy_tier::make_dirty(std::uint64_t page) {
    if (dirty.contains(page))
        return;
    const int beside = dirty.contains(page - 1) + dirty.contains(page + 1);
    dirty.add(page);
    tiered_policy_dirtied(&policy, 1, 1 - beside);
}

/// A dirty page whose home got the same; its run may fall in two.
void policy_tier::overwrite_home(std::uint64_t page) {
    if (!dirty.remove(page))
        return;
    const int beside = dirty.contains(page - 1) + dirty.contains(page + 1);
    tiered_policy_dirtied(&policy, -1, beside - 1);
}

void policy_tier::write_back(std::uint64_t page) {
    std::uint64_t first = page;
    while (first > 0 && dirty.contains(first - 1))
        first--;
    std::vector<std::uint32_t> run;
    for (std::uint64_t p = first; dirty.remove(p); p++)
        run.push_back(index.find(p));
    for (const std::uint32_t frame : run)
        tiered_policy_cleaned(&policy, frame, frame == run.front() ? -1 : 0);
    tiered_policy_wrote_home(&policy, static_cast<std::uint32_t>(run.size()));
    migrate(run.size() * page_bytes, 1);
    count.writeback_bytes += run.size() * page_bytes;
}

void policy_tier::clean_request(const request& r) {
    for (std::uint64_t page = r.first_page(); page <= r.last_page(); page++)
        if (dirty.contains(page))
            write_back(page);
}

void policy_tier::write(const access& a) {
    count.written_bytes += a.r.bytes;
    tiered_policy_wrote(&cpu, a.r.bytes);
    if (hits < io.pages)
        miss(a);
    if (!absorb(a))
        write_home(a);
}

bool policy_tier::absorb(const access& a) {
    std::uint64_t debt_ns = 0;
    std::uint32_t fresh = 0;
    for (std::uint32_t i = 0; i < io.pages; i++) {
        // The rest of a page that is not resident is at home.
        if (frames[i] == none && a.r.covered(i) < page_bytes)
            return false;
        if (dirty.contains(io.page + i))
            continue;
        fresh++;
        debt_ns += tiered_policy_debt_ns(&policy, frames[i] == none ? TIERED_POLICY_NEW : frames[i],
                                         io.pages);
    }
    // The pages of a request are neighbours: together they are one more run at most.
    const bool new_run = !dirty.contains(io.page);
    if (!tiered_policy_absorbs(&policy, &cpu, &io, fresh, new_run, debt_ns) || !find_frames())
        return false;
    for (std::uint32_t i = 0; i < io.pages; i++)
        make_dirty(io.page + i);
    spent[0].service_us += fast_us(a.r.bytes);
    tiered_policy_served(&cpu, &io, io.fast_ns);
    return true;
}

/// Frames for the pages that have none, if all are worth one.
bool policy_tier::find_frames() {
    for (std::uint32_t i = 0; i < io.pages; i++) {
        if (frames[i] != none)
            continue;
        tiered_policy_offer offer;
        tiered_policy_consider(&policy, &cpu, io.page + i, &io, &offer);
        if (free_frames.empty() && !tiered_policy_wants(&policy, &offer, 0))
            return false;
        frames[i] = take_frame();
        place(frames[i], offer);
        count.fill_bytes += page_bytes;
    }
    // A later page may have taken the frame of an earlier one.
    for (std::uint32_t i = 0; i < io.pages; i++)
        if (!index.contains(io.page + i))
            return false;
    return true;
}

void policy_tier::write_home(const access& a) {
    std::uint64_t bytes = 0;
    std::int64_t splits = 0;
    for (std::uint32_t i = 0; i < io.pages; i++) {
        if (index.contains(io.page + i))
            bytes += a.r.covered(i);
        splits += dirty.contains(io.page + i);
    }
    const double update_us = bytes ? fast_us(bytes) : 0;
    spent[0].service_us += home_us;
    tiered_policy_served(&cpu, &io, io.home_ns);
    if (!bytes)
        return;
    const std::int64_t worst = as_ns(update_us) + (splits ? policy.costs.seek_ns : 0);
    if (tiered_policy_balance(&policy) < worst) {
        clean_request(a.r);
        for (std::uint32_t i = 0; i < io.pages; i++)
            if (const std::uint32_t frame = index.find(io.page + i); frame != none)
                evict(frame);
        return;
    }
    tiered_policy_pay(&policy, as_ns(update_us));
    spent[0].service_us += update_us;
    for (std::uint32_t i = 0; i < io.pages; i++)
        if (a.r.covered(i) == page_bytes)
            overwrite_home(io.page + i);
}

} // namespace tiered::sim
