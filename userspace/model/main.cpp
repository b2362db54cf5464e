// SPDX-License-Identifier: GPL-2.0-or-later
// tiered-model: explores small volumes exhaustively with the driver's own claim protocol and load.
#include "explore.h"
#include "report.h"
#include "scenarios.h"
#include "violation.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <optional>

namespace model {

namespace {

constexpr unsigned most_operations = 14;

enum Status { promises_hold = 0, violated = 1, bad_usage = 2, unfinished = 3 };

struct Options {
    unsigned seconds = 600;
    bool deep = false;
    bool expect_violation = false;
    std::string scenario;
    std::string mutant;
    std::optional<unsigned> operations;
    std::optional<unsigned> crashes;
    bool fine = false;
};

const MutantName* find_mutant(const std::string& name) {
    const auto found = std::ranges::find(mutants(), name, &MutantName::name);

    return found == mutants().end() ? nullptr : &*found;
}

std::vector<Scenario> chosen_scenarios(const Options& options) {
    std::vector<Scenario> scenarios = options.deep ? deep_scenarios() : short_scenarios();
    const MutantName* mutant = find_mutant(options.mutant);

    if (mutant && mutant->only_in_memory)
        std::erase_if(scenarios, [](const Scenario& s) { return !s.bounds.memory; });
    if (!options.scenario.empty())
        std::erase_if(scenarios, [&](const Scenario& s) { return s.name != options.scenario; });
    for (Scenario& scenario : scenarios) {
        scenario.operations = options.operations.value_or(scenario.operations);
        scenario.crashes = options.crashes.value_or(scenario.crashes);
        if (options.fine)
            scenario.grain = Grain::fine;
    }
    return scenarios;
}

// Prints the violation that the exploration meets, if any.
bool violates(const Scenario& scenario, Explorer::Clock::time_point deadline) {
    Explorer explorer(scenario, deadline);

    try {
        explorer.run();
    } catch (const Violation& violation) {
        fmt::print("{}: VIOLATION: {}\n{}", scenario.name, violation.what(),
                   trace_text(explorer.trace()));
        return true;
    }
    return false;
}

// Explores with one operation and no crash on the way, then with more and more, so that the first
// violation found needs the fewest.
bool find_violation(const std::vector<Scenario>& scenarios, Explorer::Clock::time_point deadline) {
    for (unsigned operations = 1; operations <= most_operations; operations++)
        for (unsigned crashes = 0; crashes <= 2; crashes++)
            for (Scenario scenario : scenarios) {
                const bool bounded = scenario.operations != any_number;

                if (bounded && (operations > scenario.operations || crashes > scenario.crashes))
                    continue;
                scenario.operations = operations;
                scenario.crashes = crashes;
                if (violates(scenario, deadline))
                    return true;
            }
    return false;
}

bool explore(const Scenario& scenario, Explorer::Clock::time_point deadline) {
    const auto begin = Explorer::Clock::now();
    Explorer explorer(scenario, deadline);

    try {
        explorer.run();
    } catch (const Violation&) {
        return !find_violation({scenario}, deadline);
    }
    const std::chrono::duration<double> taken = Explorer::Clock::now() - begin;
    fmt::print("{}\n", figures_text(scenario, explorer.figures(), taken.count()));
    std::fflush(stdout);
    return true;
}

int run(const Options& options) {
    const auto deadline = Explorer::Clock::now() + std::chrono::seconds(options.seconds);
    const std::vector<Scenario> scenarios = chosen_scenarios(options);

    if (options.expect_violation) {
        if (find_violation(scenarios, deadline))
            return promises_hold;
        fmt::print(stderr, "no violation was found where one was expected: the checker does not "
                           "see this fault, or it is none\n");
        return violated;
    }
    fmt::print("{}\n", figures_heading());
    for (const Scenario& scenario : scenarios)
        if (!explore(scenario, deadline))
            return violated;
    return promises_hold;
}

bool choose_mutant_by_name(const std::string& name) {
    const MutantName* found = find_mutant(name);

    if (found)
        choose_mutant(found->mutant);
    return found;
}

} // namespace

} // namespace model

int main(int argc, char** argv) {
    using namespace model;
    CLI::App app{"Explores small volumes exhaustively: every interleaving, every crash image.",
                 "tiered-model"};
    Options options;
    bool list_mutants = false;

    app.add_option("--seconds", options.seconds, "give up (exit status 3) after this time");
    app.add_flag("--deep", options.deep, "the long run");
    app.add_flag("--fine", options.fine, "other CPUs may come in at every store and flush too");
    app.add_option("--scenario", options.scenario, "only this one");
    app.add_option("--operations", options.operations, "how many operations start; 0: any number")
        ->check(CLI::Range(any_number, most_operations));
    app.add_option("--crashes", options.crashes, "crashes after which it goes on")
        ->check(CLI::Range(0, 3));
    app.add_option("--mutant", options.mutant, "give the operations this fault");
    app.add_flag("--list-mutants", list_mutants, "the faults there are");
    app.add_flag("--expect-violation", options.expect_violation,
                 "succeed only when a violation is found");
    CLI11_PARSE(app, argc, argv);

    if (list_mutants) {
        for (const MutantName& mutant : mutants())
            fmt::print("{:34} {}\n", mutant.name, mutant.what);
        return promises_hold;
    }
    if (!options.mutant.empty() && !choose_mutant_by_name(options.mutant)) {
        fmt::print(stderr, "there is no mutant \"{}\"; --list-mutants names them\n",
                   options.mutant);
        return bad_usage;
    }
    if (chosen_scenarios(options).empty()) {
        fmt::print(stderr, "there is no scenario \"{}\"; run without --scenario to see them\n",
                   options.scenario);
        return bad_usage;
    }
    try {
        return run(options);
    } catch (const OutOfTime& out) {
        fmt::print(stderr, "{}; raise --seconds\n", out.what());
        return unfinished;
    }
}
