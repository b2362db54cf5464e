// SPDX-License-Identifier: GPL-2.0-or-later
// powercut-judge: makes images of one recorded run of the workload, NVDIMM and disk at one moment,
// and holds each against what the volume may hold. Reads them with the driver's own load. Prints
// JSON.
#include "disk_model.hpp"
#include "oracle.hpp"
#include "replay.hpp"

#include "../../driver/core/load.h"
#include "check.hpp"
#include "error.hpp"
#include "page_index.hpp"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstring>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace campaign {

namespace {

using nlohmann::json;

/// /dev/pmem0 begins here in the NVDIMM's file: a namespace has its own block first.
constexpr std::uint64_t namespace_block = 2 << 20;
constexpr int found_failures = 1;
constexpr int wrong_usage = 2;
constexpr int could_not_run = 3;

struct settings {
    std::string record;
    std::string disk_log;
    std::uint64_t seed = 1;
    std::uint64_t first = 0;
    std::uint64_t cuts = 1;
    std::uint64_t reports = 3;
    bool stop = false;
    std::uint64_t workload_seed = 1;
    bool fill = true;
    std::uint32_t amount = 0;
};

class memory : public tiered::storage {
public:
    explicit memory(std::span<const std::byte> bytes) : bytes_(bytes) {}

    std::uint64_t size_bytes() const override { return bytes_.size(); }
    void read(std::uint64_t offset, std::span<std::byte> out) override {
        if (offset > bytes_.size() || out.size() > bytes_.size() - offset)
            tiered::fail("{} bytes at {} are not inside", out.size(), offset);
        std::memcpy(out.data(), bytes_.data() + offset, out.size());
    }
    void write(std::uint64_t, std::span<const std::byte>) override {
        tiered::fail("an image is not written");
    }
    void sync() override {}

private:
    std::span<const std::byte> bytes_;
};

/// The frame words of an image, loaded as the driver loads them.
class loaded {
public:
    loaded(std::span<const std::byte> fast, const tiered::superblock& sb)
        : view_{table(fast, sb.words_offset()),
                table(fast, sb.shadow_offset()),
                sb.pages(),
                sb.frames(),
                sb.raw.word_seed,
                nullptr,
                nullptr},
          index_(view_) {
        const tiered_word_copies copies{view_.primary, view_.shadow, 0, view_.frames};
        constexpr tiered_load_ops ops{find, hold, found};
        tiered_load_words(&view_, &copies, &ops, this);
    }

    const tiered::page_index& index() const { return index_; }

private:
    static __le64* table(std::span<const std::byte> fast, std::uint64_t offset) {
        // The driver's own structure has no const in it; loading does not write.
        return reinterpret_cast<__le64*>(const_cast<std::byte*>(fast.data() + offset));
    }
    static std::uint32_t find(void* context, std::uint64_t page, tiered_claim* claim) {
        const auto holder = static_cast<loaded*>(context)->index_.find(page);
        if (!holder)
            return TIERED_NO_FRAME;
        *claim = holder->claim;
        return holder->frame;
    }
    static void hold(void* context, std::uint32_t frame, const tiered_claim* claim, std::uint32_t) {
        static_cast<loaded*>(context)->index_.hold(frame, claim->page);
    }
    static void found(void*, std::uint32_t, tiered_found, const tiered_claim*, std::uint32_t) {}

    tiered_words view_;
    tiered::page_index index_;
};

/// One moment of the run, and what may be there.
class judge {
public:
    judge(const settings& chosen, const powercut::log_file& log)
        : log_(log), replay_(log), disk_(chosen.disk_log, std::uint64_t{volume_pages} * page_bytes),
          oracle_(make_plan(chosen.workload_seed, chosen.fill, chosen.amount)) {}

    /// What is wrong with the image of `one`; empty: nothing.
    std::string run(const powercut::cut& one) {
        advance(one.moment);
        disk_.lose_power(one);
        drawn_ = draw(replay_.model(), one);
        return judge_with(drawn_.survivors);
    }

    /// The words that decide the failure of the last image, and the smallest number of them.
    json explain() {
        const auto losses = powercut::minimise<powercut::loss>(
            drawn_.losses, [&](std::span<const powercut::loss> some) {
                return !judge_with(all_but(replay_.model(), some, drawn_.survivors)).empty();
            });
        if (!losses.empty())
            return explain_losses(losses);
        if (!judge_with({}).empty())
            return {{"decided_by", "what was durable, or the disk"}, {"words", json::array()}};
        const auto survivors = powercut::minimise<powercut::survivor>(
            drawn_.survivors,
            [&](std::span<const powercut::survivor> some) { return !judge_with(some).empty(); });
        return explain_survivors(survivors);
    }

    /// The last operations of the workload before the moment.
    std::uint32_t begun() const { return begun_; }
    std::uint32_t acknowledged() const { return acknowledged_; }

private:
    void advance(std::size_t moment) {
        for (; marked_ < moment; marked_++)
            note(log_.at(marked_));
        replay_.advance(moment);
        disk_.advance(replay_.disk_requests());
    }

    void note(const powercut::event& one) {
        if (one.head.type != powercut::record_type::mark)
            return;
        const auto number = static_cast<std::uint32_t>(one.words[0]);
        switch (one.head.where) {
        case mark_formatted:
            formatted_ = true;
            break;
        case mark_begin:
            oracle_.begin(begun_ = number);
            break;
        case mark_ack:
            oracle_.acknowledge(acknowledged_ = number);
            break;
        default:
            break;
        }
    }

    std::string judge_with(std::span<const powercut::survivor> survivors) {
        const auto before = replay_.model().exchange(survivors);
        std::string wrong = judge_image();
        replay_.model().exchange(before);
        return wrong;
    }

    std::string judge_image() {
        const auto fast = std::as_bytes(replay_.model().durable()).subspan(namespace_block);
        memory fast_storage(fast);
        memory disk_storage(disk_.contents());
        const auto found = tiered::find_superblock(fast_storage);
        if (!found.chosen)
            return formatted_ ? "there is no volume: its superblock " + found.fault : "";
        if (std::string wrong = damage(fast_storage, disk_storage); !wrong.empty())
            return wrong;
        return judge_pages(fast, *found.chosen);
    }

    static std::string damage(memory& fast, memory& disk) {
        try {
            const tiered::check_report report = tiered::check_volume(fast, &disk, {});
            for (const tiered::finding& one : report.findings)
                if (one.level == tiered::severity::damage)
                    return one.text;
        } catch (const tiered::error& error) {
            return error.what();
        }
        return "";
    }

    std::string judge_pages(std::span<const std::byte> fast, const tiered::superblock& sb) const {
        const loaded words(fast, sb);
        for (std::uint32_t page = 0; page < volume_pages; page++) {
            const std::byte* home = disk_.contents().data() + std::uint64_t{page} * page_bytes;
            const auto holder = words.index().find(page);
            const std::byte* frame =
                holder ? fast.data() + sb.frame_offset(holder->frame) : nullptr;
            if (frame && holder->claim.state == TIERED_CLAIM_CLEAN &&
                std::memcmp(frame, home, page_bytes) != 0)
                return fmt::format("page {} is clean in frame {}, but its home has other contents",
                                   page, holder->frame);
            if (std::string wrong = judge_page(page, frame, home); !wrong.empty())
                return wrong;
        }
        return "";
    }

    std::string judge_page(std::uint32_t page, const std::byte* frame,
                           const std::byte* home) const {
        page_state state{};
        for (std::uint32_t at = 0; at < page_sectors; at++) {
            const auto* words =
                reinterpret_cast<const std::uint64_t*>((frame ? frame : home) + at * sector_bytes);
            if (!read_sector(
                    std::span<const std::uint64_t, sector_bytes / 8>(words, sector_bytes / 8),
                    page * page_sectors + at, state[at]))
                return fmt::format("sector {} of page {} {} holds what nobody wrote there", at,
                                   page, frame ? "in its frame" : "on the disk");
        }
        return frame ? oracle_.judge_frame(page, state) : oracle_.judge_home(page, state);
    }

    json place_of(std::uint32_t site) const {
        const powercut::event from = log_.site(site);
        return {{"pc", from.head.where},
                {"callers", std::vector<std::uint64_t>(from.words.begin(), from.words.end())}};
    }

    json explain_losses(const std::vector<powercut::loss>& losses) const {
        json words = json::array();
        for (const powercut::loss& one : losses)
            words.push_back({{"byte", one.word * 8}, {"store", place_of(one.site)}});
        return {{"decided_by", "loss"}, {"words", words}};
    }

    json explain_survivors(const std::vector<powercut::survivor>& survivors) const {
        json words = json::array();
        for (const powercut::survivor& one : survivors)
            words.push_back({{"byte", one.word * 8}, {"store", place_of(site_of(one))}});
        return {{"decided_by", "survival"}, {"words", words}};
    }

    std::uint32_t site_of(const powercut::survivor& wanted) const {
        for (const powercut::open_line& line : replay_.model().open_lines())
            for (const powercut::later_value& one : line.values)
                if (line.line * powercut::words_per_line + one.word == wanted.word &&
                    one.value == wanted.value)
                    return one.site;
        return 0;
    }

    const powercut::log_file& log_;
    powercut::replay replay_;
    powercut::disk_model disk_;
    oracle oracle_;
    powercut::image drawn_;
    std::size_t marked_ = 0;
    bool formatted_ = false;
    std::uint32_t begun_ = 0;
    std::uint32_t acknowledged_ = 0;
};

json run(const settings& chosen) {
    const powercut::log_file log(chosen.record);
    if (const std::string fault = log.fault(); !fault.empty())
        throw powercut::log_error(chosen.record + " cannot be used: " + fault);
    const auto all = find_moments(log, powercut::moments::every);
    judge run(chosen, log);
    json failures = json::array();
    std::uint64_t failed = 0;
    std::uint64_t judged = 0;
    for (const powercut::cut& one :
         powercut::cuts_in_order(chosen.seed, chosen.first, chosen.cuts, all)) {
        const std::string wrong = run.run(one);
        judged++;
        if (wrong.empty() || ++failed > chosen.reports)
            continue;
        json report = run.explain();
        report.update({{"cut", one.number},
                       {"event", one.moment},
                       {"begun", run.begun()},
                       {"acknowledged", run.acknowledged()},
                       {"wrong", wrong}});
        failures.push_back(std::move(report));
        if (chosen.stop && failed == chosen.reports)
            break;
    }
    return {{"images", judged},
            {"moments", all.size()},
            {"events", log.size()},
            {"failed", failed},
            {"failures", failures}};
}

int parse_and_run(int argc, char** argv) {
    CLI::App app("Judges images of one recorded run of the campaign's workload.", "powercut-judge");
    settings chosen;
    app.add_option("RECORD", chosen.record, "what the plugin wrote")->required();
    app.add_option("DISK_LOG", chosen.disk_log, "what the recorded disk wrote")->required();
    app.add_option("--workload-seed", chosen.workload_seed)->required();
    app.add_option("--fill", chosen.fill, "whether it filled the fast tier first")->required();
    app.add_option("--amount", chosen.amount, "operations of the workload")->required();
    app.add_option("--seed", chosen.seed, "of the cuts (1)");
    app.add_option("--first", chosen.first, "number of the first cut (0)");
    app.add_option("--cuts", chosen.cuts, "how many (1)");
    app.add_flag("--stop", chosen.stop, "end with the last failure that is explained");
    app.add_option("--reports", chosen.reports, "failures to explain (3)");
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
