// SPDX-License-Identifier: GPL-2.0-or-later
// Walks through every state that a bounded number of operations can reach, in every interleaving.
#pragma once

#include "driver.h"
#include "state.h"

#include <chrono>
#include <cstdint>
#include <deque>
#include <stdexcept>
#include <string>
#include <vector>

namespace model {

// Hashes of what was visited, each with how much was still to come at the best visit.
class VisitedSet {
public:
    VisitedSet();
    // True when this visit has more to come than all before.
    bool improves(uint64_t hash, unsigned left);
    uint64_t size() const { return used_; }

private:
    uint64_t& slot(uint64_t hash);
    void grow();

    std::vector<uint64_t> slots_;
    uint64_t used_ = 0;
};

// A page at the start of a scenario.
enum class Start {
    absent,
    clean,  // version 0
    dirty,  // version 15, so that the next one wraps
    mapped, // clean, and may be loaded from through a mapping
    stored, // dirty, and may be stored to through one
};

constexpr unsigned any_number = 0;

struct Scenario {
    std::string name;
    Bounds bounds;
    std::array<Start, max_pages> start{};
    unsigned operations = 4; // or `any_number`, then of crashes too
    unsigned crashes = 1;    // crashes after which the exploration goes on
    Grain grain = Grain::coarse;
};

struct Figures {
    uint64_t states = 0;
    uint64_t steps = 0;
    uint64_t crash_points = 0; // distinct states of media and promises
    uint64_t images = 0;
    unsigned longest = 0; // steps of the longest path
};

class OutOfTime : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

class Explorer {
public:
    using Clock = std::chrono::steady_clock;

    Explorer(const Scenario& scenario, Clock::time_point deadline);
    // Throws Violation or OutOfTime; trace() then tells how it came to that.
    void run();
    const Figures& figures() const { return figures_; }
    const std::vector<TraceEntry>& trace() const { return trace_; }

private:
    void run_to_the_end();
    void reach(const State& state, unsigned left, unsigned crashes);
    void visit(const State& state, unsigned left, unsigned crashes);
    void look_at(const State& state, unsigned left, unsigned crashes);
    void start_operations(const State& state, unsigned cpu, unsigned left, unsigned crashes);
    void continue_operation(const State& state, unsigned cpu, unsigned left, unsigned crashes);
    void step(State state, unsigned cpu, unsigned left, unsigned crashes);
    void crash(const State& state, unsigned left, unsigned crashes);
    void go_bad(const State& state, unsigned left, unsigned crashes);
    void unbind(const State& state, unsigned left, unsigned crashes);

    const Scenario scenario_;
    const Clock::time_point deadline_;
    VisitedSet visited_;
    VisitedSet checked_;
    VisitedSet restarted_;
    Figures figures_;
    unsigned depth_ = 0;
    std::deque<State> waiting_; // with any number of operations
    std::vector<TraceEntry> trace_;
};

State initial_state(const Scenario& scenario);

} // namespace model
