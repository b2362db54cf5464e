// SPDX-License-Identifier: GPL-2.0-or-later
// powercut-judge: makes images of one recorded run of the workload, NVDIMM and disk at one moment,
// and holds each against what may be there. Prints JSON.
#include "control_subject.hpp"
#include "driver_subject.hpp"
#include "trial.hpp"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <fmt/format.h>
#include <fstream>
#include <iterator>
#include <memory>

namespace campaign {

namespace {

using nlohmann::json;

constexpr int found_failures = 1;
constexpr int wrong_usage = 2;
constexpr int could_not_run = 3;

struct settings {
    std::string record;
    std::string disk_log;
    plan_options plan;
    std::uint64_t seed = 1;
    std::uint64_t first = 0;
    std::uint64_t cuts = 1;
    std::uint64_t reports = 3;
    bool stop = false;
    bool per_stack = false;
    bool read_lines = false;
    std::string image_folder;
    std::string contents;
};

std::unique_ptr<subject> subject_of(const plan_options& plan) {
    if (plan.control)
        return std::make_unique<control_subject>(make_plan(plan));
    return std::make_unique<driver_subject>(make_plan(plan));
}

std::vector<std::size_t> moments_of(const settings& chosen, const powercut::log_file& log,
                                    const subject& judged) {
    auto all = find_moments(log, chosen.per_stack ? powercut::moments::per_stack
                                                  : powercut::moments::every);
    if (chosen.read_lines)
        all = moments_that_matter(log, judged, all);
    if (all.empty())
        throw powercut::log_error(chosen.record + " has no moment to cut the power at: the "
                                                  "workload stored nothing that is read again");
    return all;
}

void write_file(const std::string& path, std::span<const std::byte> bytes) {
    std::ofstream file(path, std::ios::binary | std::ios::trunc);
    file.write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
    if (!file.flush())
        throw powercut::log_error(path + " cannot be written: see to space and permissions");
}

std::vector<std::byte> read_file(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file)
        throw powercut::log_error(path + " cannot be read");
    const std::vector<char> text{std::istreambuf_iterator<char>(file), {}};
    const auto bytes = std::as_bytes(std::span(text));
    return {bytes.begin(), bytes.end()};
}

/// What is wrong with one cut; with its image written, and what a machine made of it compared, as
/// asked for.
complaint run_cut(const settings& chosen, const subject& judged, trial& run,
                  const powercut::cut& one, json& result) {
    complaint wrong = run.run(one);
    run.with_image([&](const image_bytes& image) {
        if (!chosen.image_folder.empty()) {
            write_file(chosen.image_folder + "/nvdimm0.img", image.memory);
            write_file(chosen.image_folder + "/disk0.img", image.disk);
            const auto sectors = judged.disk_sectors(image);
            result["disk_sectors"] = sectors ? json(*sectors) : json();
        }
        if (!wrong && !chosen.contents.empty())
            wrong.text = judged.compare(image, read_file(chosen.contents));
    });
    return wrong;
}

json run(const settings& chosen) {
    const powercut::log_file log(chosen.record);
    if (const std::string fault = log.fault(); !fault.empty())
        throw powercut::log_error(chosen.record + " cannot be used: " + fault);
    const auto judged = subject_of(chosen.plan);
    const auto all = moments_of(chosen, log, *judged);
    trial run(log, chosen.disk_log, std::uint64_t{volume_pages} * page_bytes, *judged,
              chosen.read_lines);
    json failures = json::array();
    std::uint64_t failed = 0;
    std::uint64_t images = 0;
    json result;
    for (const powercut::cut& one :
         powercut::cuts_in_order(chosen.seed, chosen.first, chosen.cuts, all)) {
        const complaint wrong = run_cut(chosen, *judged, run, one, result);
        images++;
        if (!wrong || ++failed > chosen.reports)
            continue;
        json report = run.explain(wrong);
        report.update({{"cut", one.number},
                       {"event", one.moment},
                       {"begun", run.begun()},
                       {"acknowledged", run.acknowledged()},
                       {"wrong", wrong.text}});
        failures.push_back(std::move(report));
        if (chosen.stop && failed == chosen.reports)
            break;
    }
    result.update({{"images", images},
                   {"moments", all.size()},
                   {"events", log.size()},
                   {"failed", failed},
                   {"failures", failures}});
    return result;
}

void add_options(CLI::App& app, settings& chosen) {
    app.add_option("RECORD", chosen.record, "what the plugin wrote")->required();
    app.add_option("DISK_LOG", chosen.disk_log, "what the recorded disk wrote")->required();
    app.add_option("--workload-seed", chosen.plan.seed)->required();
    app.add_option("--fill", chosen.plan.fill, "whether it filled the fast tier first")->required();
    app.add_option("--amount", chosen.plan.amount, "operations of the workload")->required();
    app.add_flag("--memory", chosen.plan.memory, "it used the volume as memory too");
    app.add_flag("--control", chosen.plan.control, "the record is of a control target");
    app.add_option("--seed", chosen.seed, "of the cuts (1)");
    app.add_option("--first", chosen.first, "number of the first cut (0)");
    app.add_option("--cuts", chosen.cuts, "how many (1)");
    app.add_flag("--stop", chosen.stop, "end with the last failure that is explained");
    app.add_option("--reports", chosen.reports, "failures to explain (3)");
    app.add_flag("--per-stack", chosen.per_stack, "one moment for each place in the code");
    app.add_flag("--read-lines", chosen.read_lines,
                 "lose nothing of lines that nobody reads afterwards");
    app.add_option("--write-image", chosen.image_folder, "a folder for the image of the last cut");
    app.add_option("--contents", chosen.contents,
                   "what a machine read of the volume in the image of the only cut");
}

int parse_and_run(int argc, char** argv) {
    CLI::App app("Judges images of one recorded run of the campaign's workload.", "powercut-judge");
    settings chosen;
    add_options(app, chosen);
    try {
        app.parse(argc, argv);
    } catch (const CLI::Success& help) {
        return app.exit(help);
    } catch (const CLI::ParseError& e) {
        fmt::print(stderr, "powercut-judge: {}; see powercut-judge --help\n", e.what());
        return wrong_usage;
    }
    const json result = run(chosen);
    fmt::print("{}\n", result.dump(1));
    return result["failed"] == 0 ? 0 : found_failures;
}

} // namespace

} // namespace campaign

int main(int argc, char** argv) {
    try {
        return campaign::parse_and_run(argc, argv);
    } catch (const std::exception& e) {
        fmt::print(stderr, "powercut-judge: {}.\n", e.what());
        return campaign::could_not_run;
    }
}
