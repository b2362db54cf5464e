// SPDX-License-Identifier: GPL-2.0-or-later
// tierctl: makes, opens, watches and checks dm-tiered volumes.
#include "error.hpp"
#include "verbs.hpp"

#include <fmt/format.h>
#include <string_view>
#include <unistd.h>

namespace tierctl {

void require_root(const char* verb) {
    if (::geteuid() != 0)
        tiered::fail("tierctl {} needs root; run it with sudo", verb);
}

namespace {

constexpr int failed = 1;
constexpr int wrong_usage = 2;

int complain(std::string_view sentence, int status) {
    fmt::print(stderr, "tierctl: {}\n", sentence);
    return status;
}

int parse_and_run(int argc, char** argv, bool is_verdict) {
    CLI::App app("Makes, opens, watches and checks dm-tiered volumes.", "tierctl");
    action chosen;
    app.set_version_flag("--version", "tierctl " TIERED_VERSION);
    app.require_subcommand(1);
    add_format(app, chosen);
    add_open(app, chosen);
    add_close(app, chosen);
    add_list(app, chosen);
    add_status(app, chosen);
    add_check(app, chosen);
    add_repair(app, chosen);
    add_dump(app, chosen);
    add_restore(app, chosen);
    add_flush(app, chosen);
    add_heat(app, chosen);
    add_pin(app, chosen);
    add_unpin(app, chosen);
    add_recognise(app, chosen);
    add_sim(app, chosen);
    add_why(app, chosen);
    add_attach(app, chosen);
    add_detach(app, chosen);
    add_resize(app, chosen);
    add_set(app, chosen);
    add_top(app, chosen);
    add_advise(app, chosen);
    add_boot_units(app, chosen);
    add_note_open(app, chosen);
    add_completion(app, chosen);
    try {
        app.parse(argc, argv);
    } catch (const CLI::Success& help) {
        return app.exit(help);
    } catch (const CLI::ParseError& e) {
        return complain(fmt::format("{}; see tierctl --help", e.what()),
                        is_verdict ? check_could_not_run : wrong_usage);
    }
    return chosen();
}

} // namespace

} // namespace tierctl

int main(int argc, char** argv) {
    // What these found stands in their exit status, so their failures must have one of their own.
    const std::string_view verb = argc > 1 ? argv[1] : "";
    const bool is_verdict = verb == "check" || verb == "repair";
    try {
        return tierctl::parse_and_run(argc, argv, is_verdict);
    } catch (const std::exception& e) {
        return tierctl::complain(e.what(),
                                 is_verdict ? tierctl::check_could_not_run : tierctl::failed);
    }
}
