// SPDX-License-Identifier: GPL-2.0-or-later
// powercut: makes crash images out of the record of a run, and has a program judge them.
#include "replay.hpp"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <fstream>
#include <sys/wait.h>
#include <unistd.h>

namespace powercut {

namespace {

constexpr int found_failures = 1;
constexpr int wrong_usage = 2;
constexpr int could_not_run = 3;
constexpr std::uint64_t reports_max = 10;

struct settings {
    std::string log;
    std::string out;
    std::uint64_t seed = 1;
    std::uint64_t number = 0;
    std::uint64_t cuts = 1000;
    bool per_stack = false;
    std::vector<std::string> command;

    moments which() const { return per_stack ? moments::per_stack : moments::every; }
};

std::vector<std::size_t> moments_of(const log_file& log, const settings& chosen) {
    if (const std::string fault = log.fault(); !fault.empty())
        throw log_error(chosen.log + " cannot be used: " + fault);
    return find_moments(log, chosen.which());
}

/// A file that holds one image after the other.
class image_file {
public:
    explicit image_file(std::string path) : path_(std::move(path)) {}

    void write(std::span<const std::uint64_t> durable, std::span<const survivor> survivors) {
        std::vector<std::uint64_t> words(durable.begin(), durable.end());
        for (const survivor& one : survivors)
            words[one.word] = one.value;
        std::ofstream file(path_, std::ios::binary | std::ios::trunc);
        file.write(reinterpret_cast<const char*>(words.data()),
                   static_cast<std::streamsize>(words.size() * word_bytes));
        if (!file.flush())
            throw log_error(path_ + " cannot be written: see to space and permissions");
    }

    const std::string& path() const { return path_; }

private:
    std::string path_;
};

std::string replaced(std::string text, const std::string& what, const std::string& with) {
    for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += with.size())
        text.replace(at, what.size(), with);
    return text;
}

/// Runs the judging program; true when it accepts the image.
bool accepts(const settings& chosen, const std::string& image, const std::optional<event>& mark) {
    std::vector<std::string> words;
    for (const std::string& word : chosen.command)
        words.push_back(replaced(replaced(word, "{image}", image), "{mark}",
                                 fmt::format("{}", mark ? mark->head.where : 0)));
    std::vector<char*> arguments;
    for (std::string& word : words)
        arguments.push_back(word.data());
    arguments.push_back(nullptr);
    std::fflush(stdout);
    const pid_t child = fork();
    if (child < 0)
        throw log_error("no further process can be started: " + std::string(std::strerror(errno)));
    if (child == 0) {
        execvp(arguments[0], arguments.data());
        _exit(127);
    }
    int status = 0;
    waitpid(child, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
        throw log_error(chosen.command[0] +
                        " cannot be run: give the program that judges an image");
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

void print_place(const log_file& log, std::uint32_t site) {
    const event from = log.site(site);
    fmt::print("    stored at {:#x}", from.head.where);
    for (const std::uint64_t caller : from.words)
        fmt::print(" {:#x}", caller);
    fmt::print("\n");
}

class judge {
public:
    judge(const settings& chosen, const log_file& log)
        : chosen_(chosen), log_(log), replay_(log), file_(chosen.out) {}

    int run() {
        const auto all = moments_of(log_, chosen_);
        for (const cut& one : cuts_in_order(chosen_.seed, 0, chosen_.cuts, all))
            judge_one(one);
        fmt::print("{} images at {} moments, {} failed\n", chosen_.cuts, all.size(), failed_);
        return failed_ ? found_failures : 0;
    }

private:
    bool fails(std::span<const survivor> survivors) {
        file_.write(replay_.model().durable(), survivors);
        return !accepts(chosen_, file_.path(), replay_.last_mark());
    }

    void judge_one(const cut& one) {
        replay_.advance(one.moment);
        const image drawn = draw(replay_.model(), one);
        if (!fails(drawn.survivors))
            return;
        if (failed_++ < reports_max)
            report(one, drawn);
    }

    void report(const cut& one, const image& drawn) {
        fmt::print("cut {} of seed {} fails: power lost before event {}\n", one.number, one.seed,
                   one.moment);
        const auto fewest = minimise<loss>(drawn.losses, [&](std::span<const loss> losses) {
            return fails(all_but(replay_.model(), losses, drawn.survivors));
        });
        if (fewest.empty())
            fmt::print(
                "  no lost word is to blame: it fails with the newest values in the record{}\n",
                log_.header().full ? ""
                                   : " (which lacks what is never flushed: record with mode=full)");
        for (const loss& lost : fewest) {
            fmt::print("  lost: the word at byte {:#x}, which should be {:#x}\n",
                       lost.word * word_bytes, lost.newest);
            print_place(log_, lost.site);
        }
    }

    const settings& chosen_;
    const log_file& log_;
    replay replay_;
    image_file file_;
    std::uint64_t failed_ = 0;
};

int show(const settings& chosen) {
    const log_file log(chosen.log);
    std::array<std::uint64_t, 256> counts{};
    for (std::size_t at = 0; at < log.size(); at++)
        counts[static_cast<std::size_t>(log.at(at).head.type)]++;
    const auto count = [&](record_type type) { return counts[static_cast<std::size_t>(type)]; };
    const std::string fault = log.fault();
    fmt::print("mode {}\nbytes {}\nprocessors {}\nstores {}\nnt_stores {}\nflushes {}\nfences "
               "{}\nmarks {}\nmoments {}\n"
               "fault {}\n",
               log.header().full ? "full" : "light", log.header().bytes, log.header().processors,
               count(record_type::store) + count(record_type::found), count(record_type::nt_store),
               count(record_type::flush), count(record_type::fence), count(record_type::mark),
               find_moments(log, chosen.which()).size(), fault.empty() ? "none" : fault);
    return fault.empty() ? 0 : could_not_run;
}

int make_image(const settings& chosen) {
    const log_file log(chosen.log);
    const cut one = choose_cut(chosen.seed, chosen.number, moments_of(log, chosen));
    replay run(log);
    run.advance(one.moment);
    const image drawn = draw(run.model(), one);
    image_file(chosen.out).write(run.model().durable(), drawn.survivors);
    fmt::print("power lost before event {}; {} words lost; last mark {}; disk requests {}\n",
               one.moment, drawn.losses.size(), run.last_mark() ? run.last_mark()->head.where : 0,
               run.disk_requests());
    return 0;
}

int check(const settings& chosen) {
    const log_file log(chosen.log);
    return judge(chosen, log).run();
}

CLI::App* add_verb(CLI::App& app, settings& chosen, const char* name, const char* what) {
    CLI::App* verb = app.add_subcommand(name, what);
    verb->add_option("LOG", chosen.log, "the record of a run")->required();
    verb->add_flag("--per-stack", chosen.per_stack, "one moment for each place in the code");
    return verb;
}

int parse_and_run(int argc, char** argv) {
    CLI::App app("Makes crash images out of the record of a run, and has a program judge them.",
                 "powercut");
    settings chosen;
    app.require_subcommand(1);
    CLI::App* info =
        add_verb(app, chosen, "info", "what is in a record, and whether it can be used");
    CLI::App* one = add_verb(app, chosen, "image", "make one image");
    one->add_option("--seed", chosen.seed, "of all random choices (1)");
    one->add_option("--cut", chosen.number, "the number of the image (0)");
    one->add_option("--out", chosen.out, "the file to write")->required();
    CLI::App* many = add_verb(app, chosen, "check",
                              "have a program judge images; it ends with 0 for a good one");
    many->add_option("--seed", chosen.seed, "of all random choices (1)");
    many->add_option("--cuts", chosen.cuts, "how many images (1000)");
    many->add_option("--out", chosen.out, "the file in which images are made")->required();
    many->add_option("COMMAND", chosen.command,
                     "the program with its arguments, {image} and {mark} standing for the file and "
                     "the last mark")
        ->required();
    try {
        app.parse(argc, argv);
    } catch (const CLI::Success& help) {
        return app.exit(help);
    } catch (const CLI::ParseError& e) {
        fmt::print(stderr, "powercut: {}; see powercut --help\n", e.what());
        return wrong_usage;
    }
    if (info->parsed())
        return show(chosen);
    return one->parsed() ? make_image(chosen) : check(chosen);
}

} // namespace

} // namespace powercut

int main(int argc, char** argv) {
    try {
        return powercut::parse_and_run(argc, argv);
    } catch (const std::exception& e) {
        fmt::print(stderr, "powercut: {}.\n", e.what());
        return powercut::could_not_run;
    }
}
