// SPDX-License-Identifier: GPL-2.0-or-later
// Generated traces.
#include "synthetic.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <utility>

namespace tiered::sim {

namespace {

constexpr std::uint64_t pages_of_mib = (1 << 20) / page_bytes;

/// splitmix64: the same on every machine, unlike the standard library's distributions.
class generator {
public:
    explicit generator(std::uint64_t seed) : state(seed) {}

    std::uint64_t next() {
        std::uint64_t z = state += 0x9e3779b97f4a7c15u;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        return z ^ (z >> 31);
    }
    std::uint64_t below(std::uint64_t n) {
        return static_cast<std::uint64_t>((static_cast<unsigned __int128>(next()) * n) >> 64);
    }
    double unit() { return static_cast<double>(next() >> 11) * 0x1p-53; }
    bool chance(double p) { return unit() < p; }

private:
    std::uint64_t state;
};

std::vector<std::uint32_t> shuffled(std::uint32_t n, generator& random) {
    std::vector<std::uint32_t> order(n);
    std::iota(order.begin(), order.end(), 0u);
    for (std::uint32_t i = n; i > 1; i--)
        std::swap(order[i - 1], order[random.below(i)]);
    return order;
}

/// Ranks from 0, the first the most frequent.
class zipf {
public:
    zipf(std::uint32_t n, double exponent) : cumulated(n) {
        double sum = 0;
        for (std::uint32_t i = 0; i < n; i++)
            cumulated[i] = sum += std::pow(i + 1, -exponent);
        for (double& c : cumulated)
            c /= sum;
    }
    std::uint32_t draw(generator& random) const {
        const auto place = std::upper_bound(cumulated.begin(), cumulated.end(), random.unit());
        return static_cast<std::uint32_t>(
            std::min<std::ptrdiff_t>(place - cumulated.begin(), std::ssize(cumulated) - 1));
    }

private:
    std::vector<double> cumulated;
};

/// A number of requests, each made by make(); begin() starts over with the same seed.
class workload : public request_source {
public:
    workload(std::uint64_t count, std::uint64_t seed)
        : requests(count), random(seed), first_seed(seed) {}

    bool next(request& r) final {
        if (made == 0)
            begin();
        if (made == requests)
            return false;
        r = make(made);
        r.time_us = 200 * made++;
        return true;
    }
    void rewind() final {
        made = 0;
        random = generator(first_seed);
    }
    double progress() const final {
        return static_cast<double>(made) / static_cast<double>(requests);
    }

protected:
    virtual void begin() {}
    virtual request make(std::uint64_t i) = 0;

    static request pages(std::uint64_t first, std::uint32_t n, bool write) {
        return {0, first * page_bytes, n * static_cast<std::uint32_t>(page_bytes), write};
    }

    const std::uint64_t requests;
    generator random;

private:
    const std::uint64_t first_seed;
    std::uint64_t made = 0;
};

/// Scattered pages by rank; the ranks may be dealt anew, or drift, one place at a time.
class zipf_workload : public workload {
public:
    struct shape {
        double exponent;
        std::uint64_t shift_every = 0;
        std::uint64_t drift_every = 0;
    };

    zipf_workload(const shape& s, std::uint64_t seed)
        : workload(500'000, seed), form(s), ranks(volume, s.exponent) {}

protected:
    void begin() override { page_of = shuffled(volume, random); }

    request make(std::uint64_t i) override {
        if (i > 0 && form.shift_every && i % form.shift_every == 0)
            page_of = shuffled(volume, random);
        // Ten of the most frequent pages become any, and those take their places.
        if (form.drift_every && i % form.drift_every == 0)
            std::swap(page_of[random.below(2000)], page_of[random.below(volume)]);
        return pages(page_of[ranks.draw(random)], 1, random.chance(0.25));
    }

    static constexpr std::uint32_t volume = 512 * pages_of_mib;

private:
    const shape form;
    const zipf ranks;
    std::vector<std::uint32_t> page_of;
};

/// A hot set, and every so often a scan of the whole volume in large requests, interleaved.
class zipf_scan : public zipf_workload {
public:
    explicit zipf_scan(std::uint64_t seed) : zipf_workload({1.1}, seed) {}

protected:
    request make(std::uint64_t i) override {
        const bool scanning = i / scan_length % 3 == 1;
        if (!scanning || i % 3)
            return zipf_workload::make(i);
        const std::uint64_t at = i / 3 * scan_pages % volume;
        return pages(at, scan_pages, false);
    }

private:
    static constexpr std::uint64_t scan_length = 40'000;
    static constexpr std::uint32_t scan_pages = 16;
};

/// A dense hot set that jumps to another place half way.
class dense_jump : public workload {
public:
    explicit dense_jump(std::uint64_t seed) : workload(300'000, seed) {}

protected:
    request make(std::uint64_t i) override {
        const std::uint64_t base = i < requests / 2 ? 0 : 2048 * pages_of_mib;
        return pages(base + random.below(384 * pages_of_mib), 1, random.chance(0.1));
    }
};

class uniform : public workload {
public:
    explicit uniform(std::uint64_t seed) : workload(400'000, seed) {}

protected:
    request make(std::uint64_t) override {
        return pages(random.below(1024 * pages_of_mib), 1, random.chance(0.3));
    }
};

/// Every page once, in order; a quarter of the volume is written.
class one_pass : public workload {
public:
    explicit one_pass(std::uint64_t seed) : workload(200'000, seed) {}

protected:
    request make(std::uint64_t i) override { return pages(4 * i, 4, i % 20'000 < 5'000); }
};

class loop : public workload {
public:
    loop(bool scattered, std::uint64_t seed) : workload(400'000, seed), in_disorder(scattered) {}

protected:
    void begin() override { order = shuffled(in_disorder ? volume : 0, random); }

    request make(std::uint64_t i) override {
        if (in_disorder)
            return pages(order[i % volume], 1, false);
        return pages(4 * i % (4 * volume), 4, false);
    }

private:
    static constexpr std::uint32_t volume = 256 * pages_of_mib;
    const bool in_disorder;
    std::vector<std::uint32_t> order;
};

/// Tables of 2 MiB are written once, in order; merges read several and write as many anew; lookups
/// prefer young tables.
class lsm : public workload {
public:
    explicit lsm(std::uint64_t seed)
        : workload(500'000, seed), age(tables, 1.0), key(table_pages, 0.6) {}

protected:
    void begin() override {
        table_at = shuffled(tables, random);
        newest = 0;
        jobs.clear();
    }

    request make(std::uint64_t i) override {
        if (i % 2000 == 0)
            flush();
        if (i % 12'000 == 0)
            merge();
        if (!jobs.empty() && i % 4 == 0)
            return work();
        const std::uint32_t table = at_age(age.draw(random));
        return pages(std::uint64_t{table} * table_pages + scattered(key.draw(random)), 1, false);
    }

private:
    static constexpr std::uint32_t tables = 256;
    static constexpr std::uint32_t table_pages = 2 * pages_of_mib;
    static constexpr std::uint32_t job_pages = 16;
    static constexpr std::uint32_t merged = 4;

    struct job {
        std::uint64_t first;
        std::uint32_t done;
        bool write;
    };

    std::uint32_t at_age(std::uint32_t a) const { return table_at[(newest + tables - a) % tables]; }
    /// Popular keys are spread over a table.
    static std::uint32_t scattered(std::uint32_t rank) { return rank * 197 % table_pages; }

    /// The oldest table's place is taken by a new one.
    void flush() {
        newest = (newest + 1) % tables;
        jobs.push_back({std::uint64_t{table_at[newest]} * table_pages, 0, true});
    }

    void merge() {
        for (const bool write : {false, true})
            for (std::uint32_t n = 0; n < merged; n++)
                jobs.push_back({std::uint64_t{at_age(8 + n)} * table_pages, 0, write});
    }

    request work() {
        job& j = jobs.front();
        const request r = pages(j.first + j.done, job_pages, j.write);
        j.done += job_pages;
        if (j.done == table_pages)
            jobs.erase(jobs.begin());
        return r;
    }

    const zipf age, key;
    std::vector<std::uint32_t> table_at;
    std::uint32_t newest = 0;
    std::vector<job> jobs;
};

/// A lookup reads a path of index pages and a page of the heap; some write the heap's page back.
class index_heap : public workload {
public:
    explicit index_heap(std::uint64_t seed)
        : workload(500'000, seed), leaf(leaves, 0.8), row(heap, 0.7) {}

protected:
    void begin() override {
        leaf_at = shuffled(leaves, random);
        row_at = shuffled(heap, random);
        heap_page = 0;
    }

    request make(std::uint64_t i) override {
        if (i % 4 == 0)
            heap_page = inner + leaves + row_at[row.draw(random)];
        if (i % 4 == 0)
            return pages(random.below(inner), 1, false);
        if (i % 4 == 1)
            return pages(inner + leaf_at[leaf.draw(random)], 1, random.chance(0.05));
        return pages(heap_page, 1, i % 4 == 3 && random.chance(0.5));
    }

private:
    static constexpr std::uint32_t inner = 2 * pages_of_mib;
    static constexpr std::uint32_t leaves = 64 * pages_of_mib;
    static constexpr std::uint32_t heap = 512 * pages_of_mib;

    const zipf leaf, row;
    std::vector<std::uint32_t> leaf_at, row_at;
    std::uint64_t heap_page = 0;
};

/// Pages that come eight times in quick succession and never again: whoever takes them for hot
/// pays.
class burst_trap : public workload {
public:
    explicit burst_trap(std::uint64_t seed) : workload(400'000, seed) {}

protected:
    void begin() override {
        order = shuffled(512 * pages_of_mib, random);
        taken = 0;
        for (burst& b : live)
            b = fresh(static_cast<std::uint32_t>(1 + random.below(hits)));
    }

    request make(std::uint64_t) override {
        burst& b = live[random.below(live.size())];
        const request r = pages(b.page, 1, random.chance(0.2));
        if (--b.left == 0)
            b = fresh(hits);
        return r;
    }

private:
    static constexpr std::uint32_t hits = 8;

    struct burst {
        std::uint64_t page;
        std::uint32_t left;
    };

    burst fresh(std::uint32_t left) { return {order[taken++ % order.size()], left}; }

    std::array<burst, 256> live{};
    std::vector<std::uint32_t> order;
    std::size_t taken = 0;
};

/// Every fifth request is the scan's, once it has begun.
class hot_set_and_scan : public workload {
public:
    hot_set_and_scan(const scan_shape& s, std::uint64_t seed)
        : workload(s.requests_before + 5 * (s.volume_pages / scan_request_pages), seed), shape(s) {}

protected:
    request make(std::uint64_t i) override {
        if (i < shape.requests_before || i % 5)
            return pages(random.below(shape.hot_pages) * 8, 1, false);
        const std::uint64_t step = (i - shape.requests_before) / 5;
        return pages(step * scan_request_pages, scan_request_pages, false);
    }

private:
    const scan_shape shape;
};

template <typename Workload, typename... Args>
auto maker(Args... args) {
    return [=](std::uint64_t seed) { return std::make_unique<Workload>(args..., seed); };
}

using form = zipf_workload::shape;

} // namespace

const std::vector<synthetic_trace>& synthetic_traces() {
    static const std::vector<synthetic_trace> all{
        {"zipf-0.8", "scattered pages, little skew", maker<zipf_workload>(form{0.8})},
        {"zipf-1.1", "scattered pages, skewed", maker<zipf_workload>(form{1.1})},
        {"zipf-1.3", "scattered pages, very skewed", maker<zipf_workload>(form{1.3})},
        {"shift", "a skewed hot set that is another every 60,000 requests",
         maker<zipf_workload>(form{1.1, 60'000, 0})},
        {"drift", "a skewed hot set that changes page by page",
         maker<zipf_workload>(form{1.1, 0, 20})},
        {"dense-jump", "384 MiB, uniform, then 384 MiB elsewhere", maker<dense_jump>()},
        {"zipf-scan", "a skewed hot set beside scans", maker<zipf_scan>()},
        {"uniform", "every page as likely", maker<uniform>()},
        {"one-pass", "every page once, in order", maker<one_pass>()},
        {"loop", "the same pages over and over, in order", maker<loop>(false)},
        {"random-loop", "the same pages over and over, in one disorder", maker<loop>(true)},
        {"lsm", "tables written once, merged, looked up", maker<lsm>()},
        {"index-heap", "paths through an index, rows of a heap", maker<index_heap>()},
        {"trap", "pages that come eight times and never again", maker<burst_trap>()},
    };
    return all;
}

std::unique_ptr<request_source> make_scan(const scan_shape& shape, std::uint64_t seed) {
    return std::make_unique<hot_set_and_scan>(shape, seed);
}

std::unique_ptr<request_source> make_synthetic(std::string_view name, std::uint64_t seed) {
    for (const synthetic_trace& trace : synthetic_traces())
        if (trace.name == name)
            return trace.make(seed);
    return nullptr;
}

} // namespace tiered::sim
