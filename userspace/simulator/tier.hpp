// SPDX-License-Identifier: GPL-2.0-or-later
// A fast tier in simulation: requests in, costs out. The tiers of the references; that of the
// project's own policy stands in policy_tier.hpp.
#pragma once

#include "cost.hpp"
#include "page_map.hpp"
#include "replacement.hpp"

#include <memory>
#include <span>
#include <string>
#include <vector>

namespace tiered::sim {

/// What a request's pages are, beside the request itself.
struct access {
    request r;
    bool continuation;
    /// Of its first page; the others follow.
    std::span<const std::uint64_t> next_uses;
};

class tier {
public:
    explicit tier(std::span<const device_model> of)
        : devices(of.begin(), of.end()), spent(of.size()) {}
    virtual ~tier() = default;

    virtual void serve(const access& a) = 0;
    /// What is dirty goes home: no policy shall look good by what it still owes.
    virtual void finish() = 0;

    const counters& counts() const { return count; }
    const times& time_on(std::size_t device) const { return spent[device]; }

protected:
    void service(std::uint64_t slow_bytes, double seeks);
    void service_fast(std::uint64_t bytes);
    void migrate(std::uint64_t slow_bytes, double seeks);
    void migrate_fast(std::uint64_t bytes);

    const std::vector<device_model> devices;
    std::vector<times> spent;
    counters count;
};

/// Dirty pages, and how they go home: with their dirty neighbours, in one write.
class dirty_pages {
public:
    bool contains(std::uint64_t page) const { return index.contains(page); }
    void add(std::uint64_t page) { index.set(page, 0); }
    bool remove(std::uint64_t page) { return index.erase(page); }
    /// Makes the run around a dirty page clean and returns its length.
    std::uint64_t clean_run(std::uint64_t page);
    /// One that is dirty, in ascending order from the first; nobody when all are clean.
    std::vector<std::uint64_t> sorted() const;

private:
    page_map index;
};

enum class write_mode {
    back,    // writes are absorbed, and go home when their page is evicted
    through, // writes go home, and their pages become resident, clean
    around,  // writes go home, and pages that are resident stay so, clean
};

/// A replacement policy with the width of its fills and its way of writing.
class reference_tier : public tier {
public:
    reference_tier(std::unique_ptr<replacement> policy, std::uint32_t width, write_mode mode,
                   std::span<const device_model> devices);

    void serve(const access& a) override;
    void finish() override;

private:
    void look_up(const access& a);
    void announce(const access& a, std::uint32_t i);
    void read(const access& a);
    void write(const access& a);
    bool absorb(const access& a);
    void write_home(const access& a);
    void read_missing(const access& a);
    void fill(const access& a);
    std::uint64_t fill_neighbours(const request& r);
    std::uint64_t fill_range(std::uint64_t first, std::uint64_t end);
    bool offer(std::uint64_t page);
    void write_back(std::uint64_t page);

    std::unique_ptr<replacement> policy;
    const std::uint32_t width;
    const write_mode mode;
    dirty_pages dirty;
    std::vector<char> hit; // of the request's pages
    std::uint64_t hit_bytes = 0;
};

/// Everything from the capacity tier.
class no_tier : public tier {
public:
    using tier::tier;
    void serve(const access& a) override;
    void finish() override {}
};

} // namespace tiered::sim
