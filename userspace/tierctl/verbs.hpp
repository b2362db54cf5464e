// SPDX-License-Identifier: GPL-2.0-or-later
// The verbs of tierctl: each adds its options and, when chosen, sets what is to be done.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

namespace tierctl {

/// Does the verb's work and returns the exit status.
using action = std::function<int()>;

void add_format(CLI::App& app, action& chosen);
void add_open(CLI::App& app, action& chosen);
void add_close(CLI::App& app, action& chosen);
void add_list(CLI::App& app, action& chosen);
void add_status(CLI::App& app, action& chosen);
void add_check(CLI::App& app, action& chosen);
void add_repair(CLI::App& app, action& chosen);
void add_dump(CLI::App& app, action& chosen);
void add_restore(CLI::App& app, action& chosen);
void add_flush(CLI::App& app, action& chosen);
void add_heat(CLI::App& app, action& chosen);
void add_sim(CLI::App& app, action& chosen);
void add_recognise(CLI::App& app, action& chosen);
void add_why(CLI::App& app, action& chosen);
void add_attach(CLI::App& app, action& chosen);
void add_detach(CLI::App& app, action& chosen);
void add_pin(CLI::App& app, action& chosen);
void add_unpin(CLI::App& app, action& chosen);
void add_resize(CLI::App& app, action& chosen);
void add_set(CLI::App& app, action& chosen);
void add_top(CLI::App& app, action& chosen);
void add_advise(CLI::App& app, action& chosen);

/// For the machine's own use, and so not in the help: what udev's rules and units call, and the
/// completion of shells.
void add_boot_units(CLI::App& app, action& chosen);
void add_note_open(CLI::App& app, action& chosen);
void add_completion(CLI::App& app, action& chosen);

/// Exit statuses of check and repair; every other verb exits 0, 1 (failed) or 2 (wrong usage).
inline constexpr int check_clean = 0;
inline constexpr int check_repairable = 1;
inline constexpr int check_damaged = 2;
inline constexpr int check_could_not_run = 3;

/// Throws unless the process may do what `verb` needs.
void require_root(const char* verb);

} // namespace tierctl
