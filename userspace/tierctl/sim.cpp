// SPDX-License-Identifier: GPL-2.0-or-later
// tierctl sim: what a fast tier would have done for a trace, under the project's policy or others.
#include "error.hpp"
#include "plot.hpp"
#include "simulation.hpp"
#include "suite.hpp"
#include "synthetic.hpp"
#include "text.hpp"
#include "trace_error.hpp"
#include "trace_file.hpp"
#include "trace_input.hpp"
#include "verbs.hpp"

#include <cstdlib>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>

namespace tierctl {

using namespace tiered;
using namespace tiered::sim;

namespace {

/// Sizes of a miss-ratio curve, in percent of the footprint.
constexpr std::array<double, 10> curve_percents{0.5, 1, 2, 5, 10, 20, 35, 50, 75, 100};

struct sim_options {
    std::string trace;
    std::string synthetic;
    std::uint64_t seed = 1;
    std::string fast = "10%";
    std::string device = "ssd";
    std::string policy = "ours";
    bool curve = false;
    bool suite = false;
    std::string baseline;
    std::string plot;
    bool json = false;
};

std::unique_ptr<request_source> open_source(const sim_options& options) {
    if (!options.synthetic.empty()) {
        if (auto source = make_synthetic(options.synthetic, options.seed))
            return source;
        std::string names;
        for (const synthetic_trace& trace : synthetic_traces())
            names += fmt::format("{}{}", names.empty() ? "" : ", ", trace.name);
        fail("there is no synthetic trace '{}'; choose one of {}", options.synthetic, names);
    }
    if (options.trace.empty())
        fail("there is nothing to simulate; give --trace FILE, --synthetic NAME or --suite");
    return std::make_unique<trace_file>(options.trace);
}

std::vector<policy_name> chosen_policies(const std::string& text) {
    std::vector<policy_name> chosen;
    if (text != "all")
        return {parse_policy(text)};
    for (const std::string& base : policy_bases())
        chosen.push_back(parse_policy(base));
    return chosen;
}

/// One tier of the simulation, and what is said about it.
struct outcome {
    policy_name policy;
    std::uint32_t pages;
    const tier* simulated;
};

nlohmann::json outcome_json(const outcome& o, const survey& about, const device_model& device) {
    const counters& counts = o.simulated->counts();
    const times& spent = o.simulated->time_on(0);
    return {{"policy", o.policy.text()},
            {"device", device.name},
            {"fast_bytes", o.pages * page_bytes},
            {"requests", about.requests},
            {"footprint_bytes", about.footprint_bytes()},
            {"all_slow_us", about.all_slow_us[0]},
            {"service_us", spent.service_us},
            {"migration_us", spent.migration_us},
            {"total_percent", 100 * spent.total_us() / about.all_slow_us[0]},
            {"hit_ratio",
             static_cast<double>(counts.page_hits) / static_cast<double>(counts.page_accesses)},
            {"fill_bytes", counts.fill_bytes},
            {"writeback_bytes", counts.writeback_bytes},
            {"written_bytes", counts.written_bytes}};
}

void print_text(const nlohmann::json& results) {
    const nlohmann::json& first = results[0];
    fmt::print("{} requests, footprint {}, {:.1f} s without a fast tier ({})\n",
               count_text(first["requests"]), size_text(first["footprint_bytes"]),
               first["all_slow_us"].get<double>() / 1e6, first["device"].get<std::string>());
    fmt::print("{:20} {:>10} {:>7} {:>9} {:>12} {:>12} {:>10} {:>10}\n", "policy", "fast", "total",
               "hit ratio", "service s", "migration s", "filled", "written back");
    for (const nlohmann::json& r : results)
        fmt::print("{:20} {:>10} {:>5.1f} % {:>7.1f} % {:>12.2f} {:>12.2f} {:>10} {:>10}\n",
                   r["policy"].get<std::string>(), size_text(r["fast_bytes"]),
                   r["total_percent"].get<double>(), 100 * r["hit_ratio"].get<double>(),
                   r["service_us"].get<double>() / 1e6, r["migration_us"].get<double>() / 1e6,
                   size_text(r["fill_bytes"]), size_text(r["writeback_bytes"]));
}

std::vector<std::uint32_t> chosen_sizes(const sim_options& options, const survey& about) {
    if (!options.curve)
        return {fast_pages(options.fast, about.footprint_pages)};
    std::vector<std::uint32_t> sizes;
    for (const double percent : curve_percents)
        sizes.push_back(
            static_cast<std::uint32_t>(percent / 100 * static_cast<double>(about.footprint_pages)));
    return sizes;
}

nlohmann::json simulate_one(const sim_options& options) {
    const device_model device = require_device(options.device);
    const std::vector<policy_name> policies = chosen_policies(options.policy);
    const std::unique_ptr<request_source> source = open_source(options);
    progress_bar reading("reading");
    const survey about = survey_trace(*source, std::span(&device, 1), reading.report());
    if (about.requests == 0)
        fail("there are no reads or writes in {}; check that it is the right file", options.trace);

    std::unique_ptr<future> knowledge;
    std::vector<std::unique_ptr<tier>> tiers;
    std::vector<outcome> outcomes;
    for (const policy_name& policy : policies)
        for (const std::uint32_t pages : chosen_sizes(options, about)) {
            if (is_clairvoyant(policy) && !knowledge)
                knowledge = std::make_unique<future>(*source, about.page_accesses);
            tiers.push_back(make_tier(policy, pages, std::span(&device, 1)));
            outcomes.push_back({policy, pages, tiers.back().get()});
        }
    progress_bar simulating("simulating");
    simulate(*source, tiers, knowledge ? knowledge->next_uses() : std::span<const std::uint64_t>(),
             about.requests, simulating.report());
    nlohmann::json results = nlohmann::json::array();
    for (const outcome& o : outcomes)
        results.push_back(outcome_json(o, about, device));
    return results;
}

/// The miss-ratio curves' picture: the total time over sizes, a line for each policy.
void write_plot(const sim_options& options, const nlohmann::json& results) {
    std::vector<curve> curves;
    for (const nlohmann::json& r : results) {
        const auto name = r["policy"].get<std::string>();
        if (curves.empty() || curves.back().name != name)
            curves.push_back({name, {}});
        const double percent =
            100 * r["fast_bytes"].get<double>() / r["footprint_bytes"].get<double>();
        if (percent > 0)
            curves.back().points.emplace_back(percent, r["total_percent"]);
    }
    const std::string trace = options.synthetic.empty() ? options.trace : options.synthetic;
    std::ofstream file(options.plot);
    file << plot_svg(fmt::format("{} on {}: time, % of having no fast tier", trace, options.device),
                     curves);
    if (!file.flush())
        fail("the picture {} cannot be written: {}; check the folder given to --plot", options.plot,
             errno_text(errno));
}

nlohmann::json cells_json(const std::vector<cell>& cells) {
    nlohmann::json list = nlohmann::json::array();
    for (const cell& c : cells)
        list.push_back({{"trace", c.trace},
                        {"fast_percent", c.fast_percent},
                        {"device", c.device},
                        {"policy", c.policy},
                        {"total_percent", c.total_percent},
                        {"hit_ratio", c.hit_ratio},
                        {"writeback_bytes", c.writeback_bytes},
                        {"written_bytes", c.written_bytes}});
    return list;
}

/// The references' cells of an earlier run of the suite.
std::vector<cell> baseline_cells(const std::string& path) {
    std::vector<cell> cells;
    std::ifstream file(path);
    const nlohmann::json report = nlohmann::json::parse(file, nullptr, false);
    if (report.is_discarded() || !report.contains("cells"))
        fail("{} is no report of the suite; make one with tierctl sim --suite --json", path);
    for (const nlohmann::json& c : report["cells"])
        if (c["policy"] != "ours")
            cells.push_back({c["trace"], c["fast_percent"], c["device"], c["policy"],
                             c["total_percent"], c["hit_ratio"], c["writeback_bytes"],
                             c["written_bytes"]});
    return cells;
}

std::vector<cell> all_cells(const sim_options& options) {
    const char* folder = std::getenv("TIERED_TRACES");
    std::vector<policy_name> policies{parse_policy("ours")};
    std::vector<cell> cells;
    if (!options.baseline.empty()) {
        cells = baseline_cells(options.baseline);
    } else {
        for (const policy_name& reference : suite_references())
            policies.push_back(reference);
    }
    std::vector<suite_trace> traces = suite_traces(options.seed, folder ? folder : "");
    progress_bar bar("suite");
    const progress_report report = bar.report();
    for (std::size_t i = 0; i < traces.size(); i++) {
        if (report)
            report(static_cast<double>(i) / static_cast<double>(traces.size()));
        for (cell& c : run_suite(traces[i], policies))
            cells.push_back(std::move(c));
    }
    return cells;
}

void print_verdict(const verdict& v) {
    fmt::print("{}: geometric mean over {} cells {:.2f} %; best reference in each cell {:.2f} % "
               "({:.3f}x); best single reference, {}, {:.2f} % ({:.3f}x); clairvoyant {:.2f} %\n",
               v.device, v.places.size(), v.ours_mean, v.virtual_best_mean,
               v.ours_mean / v.virtual_best_mean, v.best_single, v.best_single_mean,
               v.ours_mean / v.best_single_mean, v.clairvoyant_mean);
    fmt::print("  {:14} {:>4} {:>8} {:>8} {:>7} {:>12}  best reference\n", "trace", "fast", "ours",
               "best", "ratio", "clairvoyant");
    for (const comparison& c : v.places)
        fmt::print("  {:14} {:>2} % {:>6.1f} % {:>6.1f} % {:>7.3f} {:>10.1f} %  {}\n", c.trace,
                   c.fast_percent, c.ours, c.best, c.ratio(), c.clairvoyant, c.best_policy);
    fmt::print("  worst ratio {:.3f} ({} at {} %), worst total {:.2f} % ({} at {} %)\n\n",
               v.worst_ratio().ratio(), v.worst_ratio().trace, v.worst_ratio().fast_percent,
               v.worst_total().ours, v.worst_total().trace, v.worst_total().fast_percent);
}

nlohmann::json verdict_json(const verdict& v) {
    return {{"device", v.device},
            {"ours_mean", v.ours_mean},
            {"virtual_best_mean", v.virtual_best_mean},
            {"best_single", v.best_single},
            {"best_single_mean", v.best_single_mean},
            {"clairvoyant_mean", v.clairvoyant_mean},
            {"worst_ratio", v.worst_ratio().ratio()},
            {"worst_total_percent", v.worst_total().ours}};
}

/// How a jump of a dense hot set and a scan are taken.
nlohmann::json special_cases(std::uint64_t seed) {
    nlohmann::json list = nlohmann::json::array();
    for (const device_model& device : device_models) {
        const scan_effect scan = scan_resistance(parse_policy("ours"), device, seed);
        list.push_back({{"device", device.name},
                        {"after_jump_percent", recovery(parse_policy("ours"), device, seed)},
                        {"hit_ratio_before_scan", scan.before},
                        {"hit_ratio_during_scan", scan.during}});
    }
    return list;
}

void print_special_cases(const nlohmann::json& cases) {
    for (const nlohmann::json& c : cases) {
        std::string windows;
        for (const double percent : c["after_jump_percent"])
            windows += fmt::format(" {:.1f}", percent);
        fmt::print("{}: after a jump of a dense hot set, % of all-slow in windows of {} requests:"
                   "{}\n{}: hit ratio of a hot set before and during a scan: {:.2f} %, {:.2f} %\n",
                   c["device"].get<std::string>(), jump_window, windows,
                   c["device"].get<std::string>(), 100 * c["hit_ratio_before_scan"].get<double>(),
                   100 * c["hit_ratio_during_scan"].get<double>());
    }
}

int run_whole_suite(const sim_options& options) {
    const std::vector<cell> cells = all_cells(options);
    const std::vector<verdict> verdicts = judge(cells);
    const nlohmann::json cases = special_cases(options.seed);
    if (!options.json) {
        for (const verdict& v : verdicts)
            print_verdict(v);
        print_special_cases(cases);
        return 0;
    }
    nlohmann::json report{{"seed", options.seed}, {"cells", cells_json(cells)}, {"cases", cases}};
    for (const verdict& v : verdicts)
        report["verdicts"].push_back(verdict_json(v));
    fmt::print("{}\n", report.dump(1));
    return 0;
}

int sim(const sim_options& options) {
    try {
        if (options.suite)
            return run_whole_suite(options);
        if (!options.plot.empty() && !options.curve)
            fail("one size makes no picture; give --mrc together with --plot");
        const nlohmann::json results = simulate_one(options);
        if (!options.plot.empty())
            write_plot(options, results);
        if (!options.json)
            print_text(results);
        else
            fmt::print(
                "{}\n",
                (results.size() == 1 ? results[0] : nlohmann::json{{"results", results}}).dump(2));
        return 0;
    } catch (const trace_error& e) {
        fmt::print(stderr, "tierctl: {}\n", e.what());
        return bad_trace_status;
    }
}

} // namespace

void add_sim(CLI::App& app, action& chosen) {
    CLI::App* verb = app.add_subcommand(
        "sim", "Simulates a fast tier on a trace, under this project's policy and others.");
    auto options = std::make_shared<sim_options>();
    verb->add_option("--trace", options->trace,
                     "CSV (time_us,op,offset,bytes), fio iolog or blkparse text; may be .zst");
    verb->add_option("--synthetic", options->synthetic, "a generated trace by its name");
    verb->add_option("--seed", options->seed, "of generated traces");
    verb->add_option("--fast", options->fast, "the fast tier: a size, or % of the footprint");
    verb->add_option("--device", options->device, "the capacity tier: ssd, tssd or hdd");
    verb->add_option("--policy", options->policy,
                     "ours, a reference (lru, lru/16, arc/around ...) or all");
    verb->add_flag("--mrc", options->curve, "a curve over sizes of the fast tier");
    verb->add_option("--plot", options->plot, "with --mrc: the curves as an SVG file");
    verb->add_flag("--suite", options->suite,
                   "every policy on all generated traces, and those in the folder TIERED_TRACES");
    verb->add_option("--baseline", options->baseline,
                     "with --suite: an earlier report (--json) that has the references");
    verb->add_flag("--json", options->json, "for programs");
    verb->callback([options, &chosen] { chosen = [options] { return sim(*options); }; });
}

} // namespace tierctl
