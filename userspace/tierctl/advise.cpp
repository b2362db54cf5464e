// SPDX-License-Identifier: GPL-2.0-or-later
// tierctl advise: what a smaller or larger fast tier would do, by simulating a trace.
//
// Not out of what the driver tells: it counts hits of the fast tier that there is, and marks which
// pages were used again, but not after how many others. A guess out of that would be no advice.
#include "error.hpp"
#include "json_text.hpp"
#include "open_volumes.hpp"
#include "simulation.hpp"
#include "text.hpp"
#include "trace_error.hpp"
#include "trace_file.hpp"
#include "trace_input.hpp"
#include "verbs.hpp"

#include <array>
#include <memory>

namespace tierctl {

namespace {

using namespace tiered;
using namespace tiered::sim;

struct advise_options {
    std::string name;
    std::string trace;
    std::string fast;
    std::string device = "ssd";
    bool json = false;
};

/// Sizes that are looked at, as multiples of the one that was named.
constexpr std::array<double, 4> factors{0.5, 1, 2, 4};

/// What is known of the volume whose requests were recorded.
struct live_volume {
    std::uint64_t fast_bytes;        ///< of frames that can be used
    std::optional<double> hit_ratio; ///< since it was opened, if there was any access
};

struct prospect {
    double factor;
    std::uint64_t fast_bytes;
    double hit_ratio;
    double total_us;      ///< of all requests, with what moving pages costs
    double saved_percent; ///< of the time that the disk alone would take
};

struct advice {
    survey about;
    std::vector<prospect> prospects;
};

prospect judge_size(double factor, std::uint32_t pages, const tier& simulated,
                    const survey& about) {
    const counters& counts = simulated.counts();
    const double total_us = simulated.time_on(0).total_us();
    return {factor, pages * page_bytes,
            static_cast<double>(counts.page_hits) / static_cast<double>(counts.page_accesses),
            total_us, 100 * (1 - total_us / about.all_slow_us[0])};
}

live_volume look_at(const std::string& name) {
    require_root("advise NAME");
    const dm_device device = require_open(name);
    require_fast_tier(device);
    const volume_counters counters = *describe(device).status.counters;
    return {(counters.frames_total - counters.frames_lost - counters.frames_retired) *
                counters.frame_bytes,
            hit_ratios_of(counters).all};
}

advice simulate_sizes(const advise_options& options) {
    const device_model device = require_device(options.device);
    trace_file source(options.trace);
    progress_bar reading("reading");
    advice result{survey_trace(source, std::span(&device, 1), reading.report()), {}};
    if (result.about.requests == 0)
        fail("there are no reads or writes in {}; check that it is the right file", options.trace);

    const std::uint32_t named = fast_pages(options.fast, result.about.footprint_pages);
    if (named < 2 || named > INT32_MAX / factors.back())
        fail("a fast tier of {} cannot be doubled and halved; name a size between 8K and 2T",
             options.fast);
    std::vector<std::unique_ptr<tier>> tiers;
    std::vector<std::uint32_t> sizes;
    for (const double factor : factors) {
        sizes.push_back(static_cast<std::uint32_t>(named * factor));
        tiers.push_back(make_tier(parse_policy("ours"), sizes.back(), std::span(&device, 1)));
    }
    progress_bar simulating("simulating");
    simulate(source, tiers, {}, result.about.requests, simulating.report());
    for (std::size_t i = 0; i < factors.size(); i++)
        result.prospects.push_back(judge_size(factors[i], sizes[i], *tiers[i], result.about));
    return result;
}

void print_advice(const advice& a, const advise_options& options,
                  const std::optional<live_volume>& volume) {
    fmt::print("{} requests on {} of pages, {:.1f} s by the disk alone ({})\n",
               count_text(a.about.requests), size_text(a.about.footprint_bytes()),
               a.about.all_slow_us[0] / 1e6, options.device);
    fmt::print("{:>6} {:>10} {:>9} {:>10} {:>12}\n", "", "fast tier", "hit ratio", "time s",
               "time saved");
    for (const prospect& p : a.prospects)
        fmt::print("{:>5}x {:>10} {:>7.1f} % {:>10.2f} {:>10.1f} %\n", p.factor,
                   size_text(p.fast_bytes), 100 * p.hit_ratio, p.total_us / 1e6, p.saved_percent);
    if (volume)
        fmt::print("hits of the volume '{}' itself since it was opened: {}\n", options.name,
                   percent_text(volume->hit_ratio));
}

void print_json(const advice& a, const advise_options& options,
                const std::optional<live_volume>& volume) {
    nlohmann::ordered_json sizes = nlohmann::ordered_json::array();
    for (const prospect& p : a.prospects)
        sizes.push_back({{"factor", p.factor},
                         {"fast_bytes", p.fast_bytes},
                         {"hit_ratio", p.hit_ratio},
                         {"miss_ratio", 1 - p.hit_ratio},
                         {"total_us", p.total_us},
                         {"saved_percent", p.saved_percent}});
    nlohmann::ordered_json out{{"trace", options.trace},
                               {"device", options.device},
                               {"requests", a.about.requests},
                               {"footprint_bytes", a.about.footprint_bytes()},
                               {"all_slow_us", a.about.all_slow_us[0]},
                               {"sizes", std::move(sizes)}};
    if (volume) {
        out["volume"] = options.name;
        out["volume_hit_ratio"] =
            volume->hit_ratio ? nlohmann::ordered_json(*volume->hit_ratio) : nullptr;
    }
    fmt::print("{}\n", json_text(out));
}

[[noreturn]] void ask_for_a_trace(const std::string& name) {
    if (name.empty())
        fail("record what is to be judged, and give it with --trace FILE; see tierctl advise "
             "--help for how");
    fail("the driver does not count what a fast tier of another size would have hit; record the "
         "volume's requests for a while, then give them to be simulated: blktrace -d "
         "/dev/mapper/{0} -w 600 -o - | blkparse -i - > trace.txt; tierctl advise {0} --trace "
         "trace.txt",
         name);
}

int advise(advise_options options) {
    if (options.trace.empty())
        ask_for_a_trace(options.name);
    std::optional<live_volume> volume;
    if (!options.name.empty()) {
        volume = look_at(options.name);
        options.fast = fmt::format("{}", volume->fast_bytes);
    }
    if (options.fast.empty())
        fail("name the size of the fast tier that half, twice and four times are to be compared "
             "with: --fast SIZE, such as 16G or 10%, or the open volume that was traced");
    try {
        const advice found = simulate_sizes(options);
        if (options.json)
            print_json(found, options, volume);
        else
            print_advice(found, options, volume);
        return 0;
    } catch (const trace_error& e) {
        fmt::print(stderr, "tierctl: {}\n", e.what());
        return bad_trace_status;
    }
}

} // namespace

void add_advise(CLI::App& app, action& chosen) {
    auto options = std::make_shared<advise_options>();
    CLI::App* verb = app.add_subcommand(
        "advise", "Tell what half, twice or four times a fast tier would do for a trace");
    verb->footer("Example:\n"
                 "  blktrace -d /dev/vg/srv -w 600 -o - | blkparse -i - > trace.txt\n"
                 "  tierctl advise --trace trace.txt --fast 16G --device hdd\n"
                 "and of an open volume, beside the hits that it really has:\n"
                 "  blktrace -d /dev/mapper/srv -w 600 -o - | blkparse -i - > trace.txt\n"
                 "  tierctl advise srv --trace trace.txt --device hdd");
    CLI::Option* name = verb->add_option(
        "NAME", options->name, "The open volume that was traced, whose fast tier is compared with");
    verb->add_option("--trace", options->trace,
                     "CSV (time_us,op,offset,bytes), fio iolog or blkparse text; may be .zst");
    verb->add_option("--fast", options->fast, "The fast tier: a size, or % of the footprint")
        ->excludes(name);
    verb->add_option("--device", options->device, "The disk: ssd, tssd or hdd")
        ->capture_default_str();
    verb->add_flag("--json", options->json, "For programs");
    verb->callback([options, &chosen] { chosen = [options] { return advise(*options); }; });
}

} // namespace tierctl
