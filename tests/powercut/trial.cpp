// SPDX-License-Identifier: GPL-2.0-or-later
// Goes through the cuts, and takes words of bad images away until the fewest are left that decide.
#include "trial.hpp"

#include "plan.hpp"

#include <algorithm>
#include <set>

namespace campaign {

using nlohmann::json;
using powercut::record_type;

namespace {

/// Places that are told where not all can be.
constexpr std::size_t places_kept = 12;

bool is_store(record_type type) {
    return type == record_type::store || type == record_type::nt_store ||
           type == record_type::found;
}

} // namespace

trial::trial(const powercut::log_file& log, const std::string& disk_log, std::uint64_t disk_bytes,
             subject& judged, bool read_lines)
    : log_(log), replay_(log), disk_(disk_log, disk_bytes), subject_(judged),
      read_lines_(read_lines) {}

complaint trial::run(const powercut::cut& one) {
    advance(one.moment);
    disk_.lose_power(one);
    drawn_ = draw(replay_.model(), one,
                  read_lines_ ? subject_.lines_read(replay_.model()) : powercut::line_filter());
    return judge_with(drawn_.survivors);
}

void trial::with_image(const std::function<void(const image_bytes&)>& use) {
    const auto before = replay_.model().exchange(drawn_.survivors);
    use({std::as_bytes(replay_.model().durable()), disk_.contents()});
    replay_.model().exchange(before);
}

json trial::explain(const complaint& wrong) {
    json report = explain_words();
    report["word"] = explain_word(wrong);
    report["operation"] = wrong.operation;
    report["ended"] = places_of_end(wrong.operation);
    report["before"] = places_before();
    return report;
}

void trial::advance(std::size_t moment) {
    for (; moment_ < moment; moment_++)
        note(log_.at(moment_));
    replay_.advance(moment);
    disk_.advance(replay_.disk_requests());
}

void trial::note(const powercut::event& one) {
    if (one.head.type != record_type::mark)
        return;
    const auto number = static_cast<std::uint32_t>(one.words[0]);
    subject_.note(one.head.where, number);
    if (one.head.where == mark_begin)
        begun_ = number;
    if (one.head.where == mark_ack)
        acknowledged_ = number;
}

complaint trial::judge_with(std::span<const powercut::survivor> survivors) {
    const auto before = replay_.model().exchange(survivors);
    complaint wrong = subject_.judge({std::as_bytes(replay_.model().durable()), disk_.contents()});
    replay_.model().exchange(before);
    return wrong;
}

/// The words that decide, and the smallest number of them.
json trial::explain_words() {
    json words = json::array();
    const auto losses = powercut::minimise<powercut::loss>(
        drawn_.losses, [&](std::span<const powercut::loss> some) {
            return bool(judge_with(all_but(replay_.model(), some, drawn_.survivors)));
        });
    for (const powercut::loss& one : losses)
        words.push_back({{"byte", one.word * powercut::word_bytes}, {"store", place_of(one.site)}});
    if (!losses.empty())
        return {{"decided_by", "loss"}, {"words", words}};
    if (judge_with({}))
        return {{"decided_by", "what was durable, or the disk"}, {"words", words}};
    const auto survivors = powercut::minimise<powercut::survivor>(
        drawn_.survivors,
        [&](std::span<const powercut::survivor> some) { return bool(judge_with(some)); });
    for (const powercut::survivor& one : survivors)
        words.push_back(
            {{"byte", one.word * powercut::word_bytes}, {"store", place_of(site_of(one))}});
    return {{"decided_by", "survival"}, {"words", words}};
}

/// The word that says what cannot be true, or that last spoke for what is wrong, and who stored it
/// last.
json trial::explain_word(const complaint& wrong) const {
    std::optional<std::uint64_t> word = wrong.word;
    if (!word && wrong.spoke)
        last_store([&](std::uint64_t at, std::uint64_t value) {
            if (wrong.spoke(at, value))
                word = at;
            return word.has_value();
        });
    if (!word)
        return nullptr;
    const auto stored = last_store([&](std::uint64_t at, std::uint64_t) { return at == *word; });
    if (!stored)
        return nullptr;
    return {{"byte", *word * powercut::word_bytes},
            {"store", place_of(log_.at(*stored).head.site)}};
}

/// The last event before the moment that stored what is wanted.
std::optional<std::size_t> trial::last_store(
    const std::function<bool(std::uint64_t word, std::uint64_t value)>& wanted) const {
    for (std::size_t at = moment_; at-- > 0;) {
        const powercut::event one = log_.at(at);
        if (!is_store(one.head.type))
            continue;
        for (std::size_t word = 0; word < one.words.size(); word++)
            if (wanted(one.head.where + word, one.words[word]))
                return at;
    }
    return std::nullopt;
}

/// Where requests were ended while the operation was on its way, the last first.
json trial::places_of_end(std::uint32_t operation) const {
    json places = json::array();
    std::set<std::uint32_t> told;
    bool inside = false;
    for (std::size_t at = moment_; operation && at-- > 0 && told.size() < places_kept;) {
        const powercut::event one = log_.at(at);
        const bool of_operation = one.head.type == record_type::mark && one.words[0] == operation;
        if (of_operation && one.head.where == mark_begin)
            break;
        if (of_operation && one.head.where == mark_ack)
            inside = true;
        if (inside && one.head.type == record_type::visit && told.insert(one.head.site).second)
            places.push_back(place_of(one.head.site));
    }
    return places;
}

/// Where the memory was stored to, flushed or fenced last, the last first.
json trial::places_before() const {
    json places = json::array();
    std::set<std::uint32_t> told;
    for (std::size_t at = moment_; at-- > 0 && told.size() < places_kept;) {
        const powercut::record head = log_.at(at).head;
        const bool step = is_store(head.type) || head.type == record_type::flush ||
                          head.type == record_type::fence;
        if (step && told.insert(head.site).second)
            places.push_back(place_of(head.site));
    }
    return places;
}

json trial::place_of(std::uint32_t site) const {
    const powercut::event from = log_.site(site);
    return {{"pc", from.head.where},
            {"callers", std::vector<std::uint64_t>(from.words.begin(), from.words.end())}};
}

std::uint32_t trial::site_of(const powercut::survivor& wanted) const {
    for (const powercut::open_line& line : replay_.model().open_lines())
        for (const powercut::later_value& one : line.values)
            if (line.line * powercut::words_per_line + one.word == wanted.word &&
                one.value == wanted.value)
                return one.site;
    return 0;
}

std::vector<std::size_t> moments_that_matter(const powercut::log_file& log, const subject& judged,
                                             const std::vector<std::size_t>& all) {
    powercut::replay replay(log);
    std::vector<std::size_t> found;
    for (const std::size_t moment : all) {
        replay.advance(moment);
        const line_reader read = judged.lines_read(replay.model());
        if (std::ranges::any_of(replay.model().open_lines(),
                                [&](const powercut::open_line& line) { return read(line.line); }))
            found.push_back(moment);
    }
    return found;
}

} // namespace campaign
