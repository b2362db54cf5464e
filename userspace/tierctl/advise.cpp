// SPDX-License-Identifier: GPL-2.0-or-later
// tierctl advise: what a smaller or larger fast tier would do, by simulating a trace, or the sample
// of its requests that an open volume keeps.
#include "error.hpp"
#include "json_text.hpp"
#include "open_volumes.hpp"
#include "sampled.hpp"
#include "samples.hpp"
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

/// Of fewer requests, half of which only fill the simulated tiers, nothing is told.
constexpr std::size_t fewest_samples = 500;

/// What is known of the volume whose requests were recorded.
struct live_volume {
    std::uint64_t fast_bytes;        ///< of frames that can be used
    std::optional<double> hit_ratio; ///< since it was opened, if there was any access
    bool as_memory;                  ///< programs have it as memory, or had
};

struct prospect {
    double factor;
    std::uint64_t fast_bytes;
    double hit_ratio;
    double total_us;      ///< of all requests, with what moving pages costs
    double saved_percent; ///< of the time that the disk alone would take
};

/// Where requests come from that nobody recorded.
struct sample_facts {
    std::uint64_t requests; ///< of the sample itself
    std::uint64_t groups;
    std::uint64_t one_in;
    double seconds;
    std::optional<double> hit_ratio; ///< of the volume, in the part that is judged
};

struct advice {
    std::uint64_t requests = 0;
    std::uint64_t footprint_bytes = 0;
    double all_slow_us = 0;
    std::vector<prospect> prospects;
    std::optional<sample_facts> sample;
};

prospect judge_size(std::size_t i, std::uint32_t pages, double hit_ratio, double total_us,
                    double all_slow_us) {
    return {factors[i], pages * page_bytes, hit_ratio, total_us,
            100 * (1 - total_us / all_slow_us)};
}

live_volume look_at(const std::string& name) {
    require_root("advise NAME");
    const dm_device device = require_open(name);
    require_fast_tier(device);
    const volume_counters counters = *describe(device).status.counters;
    return {(counters.frames_total - counters.frames_lost - counters.frames_retired) *
                counters.frame_bytes,
            hit_ratios_of(counters).all, counters.memory_faults > 0};
}

/// The fast tiers to compare, in pages; `least` is what the smallest must have.
std::vector<std::uint32_t> sizes_around(std::uint64_t named, const std::string& text,
                                        std::uint64_t least) {
    if (static_cast<double>(named) * factors.front() < static_cast<double>(least) ||
        static_cast<double>(named) * factors.back() > INT32_MAX)
        fail("a fast tier of {} cannot be doubled and halved; name a size between 8K and 2T", text);
    std::vector<std::uint32_t> sizes;
    for (const double factor : factors)
        sizes.push_back(static_cast<std::uint32_t>(static_cast<double>(named) * factor));
    return sizes;
}

advice simulate_trace(const advise_options& options, const device_model& device) {
    trace_file source(options.trace);
    progress_bar reading("reading");
    const survey about = survey_trace(source, std::span(&device, 1), reading.report());
    if (about.requests == 0)
        fail("there are no reads or writes in {}; check that it is the right file", options.trace);

    std::vector<std::unique_ptr<tier>> tiers;
    const std::vector<std::uint32_t> sizes =
        sizes_around(fast_pages(options.fast, about.footprint_pages), options.fast, 1);
    for (const std::uint32_t pages : sizes)
        tiers.push_back(make_tier(parse_policy("ours"), pages, std::span(&device, 1)));
    progress_bar simulating("simulating");
    simulate(source, tiers, {}, about.requests, simulating.report());

    advice result{.requests = about.requests,
                  .footprint_bytes = about.footprint_bytes(),
                  .all_slow_us = about.all_slow_us[0],
                  .prospects = {},
                  .sample = {}};
    for (std::size_t i = 0; i < sizes.size(); i++) {
        const counters& counts = tiers[i]->counts();
        const double hit_ratio =
            static_cast<double>(counts.page_hits) / static_cast<double>(counts.page_accesses);
        result.prospects.push_back(judge_size(i, sizes[i], hit_ratio,
                                              tiers[i]->time_on(0).total_us(), result.all_slow_us));
    }
    return result;
}

std::vector<sampled_request> as_requests(const sampled_requests& sample) {
    std::vector<sampled_request> requests;
    for (const request_sample& s : sample.samples)
        requests.push_back(
            {{s.time_us, s.sector * 512, static_cast<std::uint32_t>(s.sectors * 512), s.write},
             s.accesses,
             s.hits});
    return requests;
}

sampled_requests require_samples(const std::string& name) {
    sampled_requests sample = ask_samples(name);
    if (sample.samples.size() < fewest_samples)
        fail("the sample of the requests to the volume '{0}' has only {1} of the {2} that advice "
             "takes; use the volume for a while longer and ask again, or record its requests: "
             "blktrace -d /dev/mapper/{0} -w 600 -o - | blkparse -i - > trace.txt; tierctl advise "
             "{0} --trace trace.txt",
             name, sample.samples.size(), fewest_samples);
    return sample;
}

advice simulate_volume(const advise_options& options, const device_model& device,
                       const live_volume& volume) {
    const sampled_requests sample = require_samples(options.name);
    const std::vector<std::uint32_t> sizes =
        sizes_around(volume.fast_bytes / page_bytes, size_text(volume.fast_bytes), sample.one_in);
    const sample_outlook outlook =
        simulate_sample(as_requests(sample), sample.one_in, sizes, device);
    const double seconds =
        static_cast<double>(sample.samples.back().time_us - sample.since_us) / 1e6;
    advice result{.requests = static_cast<std::uint64_t>(outlook.requests),
                  .footprint_bytes = outlook.footprint_pages * page_bytes,
                  .all_slow_us = outlook.all_slow_us,
                  .prospects = {},
                  .sample = sample_facts{sample.samples.size(), outlook.groups, sample.one_in,
                                         seconds, outlook.hit_ratio}};
    for (std::size_t i = 0; i < sizes.size(); i++)
        result.prospects.push_back(judge_size(i, sizes[i], outlook.sizes[i].hit_ratio,
                                              outlook.sizes[i].total_us, result.all_slow_us));
    return result;
}

void print_hits(const advice& a, const std::string& name, const live_volume& volume) {
    if (a.sample)
        fmt::print("hits of the volume '{}' itself meanwhile: {}; since it was opened: {}\n", name,
                   percent_text(a.sample->hit_ratio), percent_text(volume.hit_ratio));
    else
        fmt::print("hits of the volume '{}' itself since it was opened: {}\n", name,
                   percent_text(volume.hit_ratio));
    if (a.sample && volume.as_memory)
        fmt::print("of programs that have the volume as memory only touches of pages that were "
                   "missing are in this\n");
}

void print_advice(const advice& a, const advise_options& options,
                  const std::optional<live_volume>& volume) {
    if (a.sample)
        fmt::print(
            "{} requests sampled in {:.1f} s, of {} groups of pages (one in {}); by the later "
            "half of them about\n",
            count_text(a.sample->requests), a.sample->seconds, count_text(a.sample->groups),
            a.sample->one_in);
    fmt::print("{} requests on {} of pages, {:.1f} s by the disk alone ({})\n",
               count_text(a.requests), size_text(a.footprint_bytes), a.all_slow_us / 1e6,
               options.device);
    fmt::print("{:>6} {:>10} {:>9} {:>10} {:>12}\n", "", "fast tier", "hit ratio", "time s",
               "time saved");
    for (const prospect& p : a.prospects)
        fmt::print("{:>5}x {:>10} {:>7.1f} % {:>10.2f} {:>10.1f} %\n", p.factor,
                   size_text(p.fast_bytes), 100 * p.hit_ratio, p.total_us / 1e6, p.saved_percent);
    if (volume)
        print_hits(a, options.name, *volume);
}

nlohmann::ordered_json ratio_json(const std::optional<double>& ratio) {
    return ratio ? nlohmann::ordered_json(*ratio) : nullptr;
}

nlohmann::ordered_json source_json(const advice& a, const advise_options& options) {
    if (!a.sample)
        return {{"trace", options.trace}};
    return {{"samples", a.sample->requests},
            {"groups", a.sample->groups},
            {"one_in", a.sample->one_in},
            {"seconds", a.sample->seconds},
            {"sampled_hit_ratio", ratio_json(a.sample->hit_ratio)}};
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
    nlohmann::ordered_json out = source_json(a, options);
    out.update({{"device", options.device},
                {"requests", a.requests},
                {"footprint_bytes", a.footprint_bytes},
                {"all_slow_us", a.all_slow_us},
                {"sizes", std::move(sizes)}});
    if (volume) {
        out["volume"] = options.name;
        out["volume_hit_ratio"] = ratio_json(volume->hit_ratio);
    }
    fmt::print("{}\n", json_text(out));
}

int advise(advise_options options) {
    if (options.trace.empty() && options.name.empty())
        fail("name an open volume, whose requests are sampled, or record what is to be judged and "
             "give it with --trace FILE; see tierctl advise --help for how");
    const device_model device = require_device(options.device);
    std::optional<live_volume> volume;
    if (!options.name.empty()) {
        volume = look_at(options.name);
        options.fast = fmt::format("{}", volume->fast_bytes);
    }
    if (options.fast.empty())
        fail("name the size of the fast tier that half, twice and four times are to be compared "
             "with: --fast SIZE, such as 16G or 10%, or the open volume that was traced");
    try {
        const advice found = options.trace.empty() ? simulate_volume(options, device, *volume)
                                                   : simulate_trace(options, device);
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
        "advise",
        "Tell what half, twice or four times a fast tier would do for a volume or a trace");
    verb->footer("Example, by a sample of the volume's requests, which it keeps while it is open:\n"
                 "  tierctl advise srv --device hdd\n"
                 "By all requests, as recorded:\n"
                 "  blktrace -d /dev/vg/srv -w 600 -o - | blkparse -i - > trace.txt\n"
                 "  tierctl advise --trace trace.txt --fast 16G --device hdd\n"
                 "and of an open volume, beside the hits that it really has:\n"
                 "  blktrace -d /dev/mapper/srv -w 600 -o - | blkparse -i - > trace.txt\n"
                 "  tierctl advise srv --trace trace.txt --device hdd");
    CLI::Option* name =
        verb->add_option("NAME", options->name, "The open volume whose fast tier is compared with");
    verb->add_option(
        "--trace", options->trace,
        "CSV (time_us,op,offset,bytes), fio iolog or blkparse text; may be .zst; without it, "
        "what NAME has sampled");
    verb->add_option("--fast", options->fast, "The fast tier: a size, or % of the footprint")
        ->excludes(name);
    verb->add_option("--device", options->device, "The disk: ssd, tssd or hdd")
        ->capture_default_str();
    verb->add_flag("--json", options->json, "For programs");
    verb->callback([options, &chosen] { chosen = [options] { return advise(*options); }; });
}

} // namespace tierctl
