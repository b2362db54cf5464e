// SPDX-License-Identifier: GPL-2.0-or-later
// The suite: every policy on many traces, sizes and devices.
#include "suite.hpp"

#include "error.hpp"
#include "synthetic.hpp"
#include "trace_file.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <optional>
#include <set>
#include <tuple>

namespace tiered::sim {

namespace {

/// A tier of a policy, and the devices whose times it adds up.
struct runner {
    policy_name policy;
    std::uint32_t percent;
    std::vector<device_model> devices;
};

std::vector<runner> runners_for(const std::vector<policy_name>& policies) {
    std::vector<runner> all;
    for (const std::uint32_t percent : suite_percents)
        for (const policy_name& policy : policies) {
            if (!is_by_device(policy)) {
                all.push_back({policy, percent, {device_models.begin(), device_models.end()}});
                continue;
            }
            for (const device_model& device : device_models)
                all.push_back({policy, percent, {device}});
        }
    return all;
}

void add_cells(const suite_trace& trace, const survey& about, const runner& run, const tier& t,
               std::vector<cell>& cells) {
    for (std::size_t d = 0; d < run.devices.size(); d++) {
        const std::string_view device = run.devices[d].name;
        double all_slow_us = 0;
        for (std::size_t m = 0; m < device_models.size(); m++)
            if (device_models[m].name == device)
                all_slow_us = about.all_slow_us[m];
        const counters& counts = t.counts();
        cells.push_back(
            {trace.name, run.percent, std::string(device), run.policy.text(),
             100 * t.time_on(d).total_us() / all_slow_us,
             static_cast<double>(counts.page_hits) / static_cast<double>(counts.page_accesses),
             counts.writeback_bytes, counts.written_bytes});
    }
}

class geometric_mean {
public:
    void add(double value) {
        sum += std::log(value);
        count++;
    }
    double value() const { return std::exp(sum / std::max(count, 1)); }

private:
    double sum = 0;
    int count = 0;
};

/// Having no fast tier is a choice in each place, but no policy to be compared with as a whole.
bool is_single(const std::string& policy) {
    return policy != "ours" && policy != "none" && policy != "clairvoyant";
}

comparison compare(const std::vector<const cell*>& place) {
    comparison c{place[0]->trace, place[0]->fast_percent, 0, INFINITY, "", 0};
    for (const cell* x : place) {
        if (x->policy == "ours")
            c.ours = x->total_percent;
        else if (x->policy == "clairvoyant")
            c.clairvoyant = x->total_percent;
        else if (x->total_percent < c.best) {
            c.best = x->total_percent;
            c.best_policy = x->policy;
        }
    }
    return c;
}

verdict judge_device(const std::string& device, const std::vector<cell>& cells) {
    std::map<std::tuple<std::string, std::uint32_t>, std::vector<const cell*>> places;
    std::map<std::string, geometric_mean> means;
    for (const cell& c : cells) {
        if (c.device != device)
            continue;
        places[{c.trace, c.fast_percent}].push_back(&c);
        means[c.policy].add(c.total_percent);
    }
    verdict v{device, {}, 0, 0, 0, "", INFINITY, {}};
    geometric_mean best;
    for (const auto& [key, place] : places) {
        v.places.push_back(compare(place));
        best.add(v.places.back().best);
    }
    v.virtual_best_mean = best.value();
    for (const auto& [policy, mean] : means) {
        v.means[policy] = mean.value();
        if (!is_single(policy) || mean.value() >= v.best_single_mean)
            continue;
        v.best_single = policy;
        v.best_single_mean = mean.value();
    }
    v.ours_mean = v.means["ours"];
    v.clairvoyant_mean = v.means["clairvoyant"];
    return v;
}

} // namespace

std::vector<suite_trace> suite_traces(std::uint64_t seed, const std::string& folder) {
    std::vector<suite_trace> all;
    for (const synthetic_trace& trace : synthetic_traces())
        all.push_back({std::string(trace.name), trace.make(seed)});
    if (folder.empty())
        return all;
    std::set<std::filesystem::path> files;
    std::error_code status;
    for (const auto& entry : std::filesystem::directory_iterator(folder, status))
        if (entry.path().string().find(".csv") != std::string::npos)
            files.insert(entry.path());
    if (status || files.empty())
        fail("there is no trace (*.csv or *.csv.zst) in {}; check TIERED_TRACES", folder);
    for (const std::filesystem::path& file : files) {
        const std::string name = file.filename().string();
        all.push_back(
            {name.substr(0, name.find('.')), std::make_unique<trace_file>(file.string())});
    }
    return all;
}

std::vector<policy_name> suite_references() {
    std::vector<policy_name> all{parse_policy("none"), parse_policy("smq"),
                                 parse_policy("clairvoyant")};
    for (const reference& r : references())
        for (const std::uint32_t width : {1u, 16u})
            for (const write_mode mode :
                 {write_mode::back, write_mode::through, write_mode::around})
                all.push_back({std::string(r.name), width, mode});
    return all;
}

std::vector<cell> run_suite(suite_trace& trace, const std::vector<policy_name>& policies) {
    recorded requests(*trace.source);
    const survey about = survey_trace(requests, device_models);
    std::unique_ptr<future> knowledge;
    if (std::any_of(policies.begin(), policies.end(), is_clairvoyant))
        knowledge = std::make_unique<future>(requests, about.page_accesses);
    std::vector<cell> cells;
    for (const runner& run : runners_for(policies)) {
        const auto pages = static_cast<std::uint32_t>(about.footprint_pages * run.percent / 100);
        std::vector<std::unique_ptr<tier>> one;
        one.push_back(make_tier(run.policy, pages, run.devices));
        simulate(requests, one,
                 is_clairvoyant(run.policy) ? knowledge->next_uses()
                                            : std::span<const std::uint64_t>(),
                 about.requests);
        add_cells(trace, about, run, *one[0], cells);
    }
    return cells;
}

const comparison& verdict::worst_ratio() const {
    return *std::max_element(
        places.begin(), places.end(),
        [](const comparison& a, const comparison& b) { return a.ratio() < b.ratio(); });
}

const comparison& verdict::worst_total() const {
    return *std::max_element(
        places.begin(), places.end(),
        [](const comparison& a, const comparison& b) { return a.ours < b.ours; });
}

std::vector<verdict> judge(const std::vector<cell>& cells) {
    std::vector<verdict> all;
    for (const device_model& device : device_models)
        all.push_back(judge_device(std::string(device.name), cells));
    return all;
}

std::vector<double> recovery(const policy_name& policy, const device_model& device,
                             std::uint64_t seed) {
    constexpr std::uint32_t fast_pages = (512u << 20) / page_bytes;
    constexpr std::uint64_t jump_at = 150'000;
    const auto source = make_synthetic("dense-jump", seed);
    const auto t = make_tier(policy, fast_pages, std::span(&device, 1));
    std::vector<double> windows;
    double all_slow = 0, spent_before = 0;
    std::optional<request> before;
    std::uint64_t done = 0;
    for (access a{}; source->next(a.r); before = a.r) {
        a.continuation = continues(a.r, before);
        t->serve(a);
        all_slow += all_slow_us(device, a.r, a.continuation);
        if (++done % jump_window)
            continue;
        const double spent = t->time_on(0).total_us();
        if (done > jump_at)
            windows.push_back(100 * (spent - spent_before) / all_slow);
        spent_before = spent;
        all_slow = 0;
    }
    return windows;
}

scan_effect scan_resistance(const policy_name& policy, const device_model& device,
                            std::uint64_t seed) {
    // The hot set fits, with as much again to spare; the volume is sixteen times the fast tier.
    constexpr scan_shape shape{32768, 16 * 65536, 300'000};
    constexpr std::uint64_t warm = 200'000;
    const auto source = make_scan(shape, seed);
    const auto t = make_tier(policy, 65536, std::span(&device, 1));
    std::array<std::uint64_t, 2> requests{}, hits{};
    std::optional<request> before;
    std::uint64_t done = 0;
    for (access a{}; source->next(a.r); before = a.r, done++) {
        a.continuation = continues(a.r, before);
        const std::uint64_t hits_before = t->counts().page_hits;
        t->serve(a);
        if (done < warm || a.r.pages() == scan_request_pages)
            continue;
        const std::size_t phase = done >= shape.requests_before;
        requests[phase]++;
        hits[phase] += t->counts().page_hits - hits_before;
    }
    const auto ratio = [&](std::size_t phase) {
        return static_cast<double>(hits[phase]) / static_cast<double>(requests[phase]);
    };
    return {ratio(0), ratio(1)};
}

} // namespace tiered::sim
