// SPDX-License-Identifier: GPL-2.0-or-later
// Cuts the power in one recorded run, has each image judged, and finds out what decides about the
// bad ones.
#pragma once

#include "disk_model.hpp"
#include "replay.hpp"
#include "subject.hpp"

#include <nlohmann/json.hpp>
#include <string>

namespace campaign {

class trial {
public:
    /// `read_lines`: nothing is lost of lines that nobody reads afterwards.
    trial(const powercut::log_file& log, const std::string& disk_log, std::uint64_t disk_bytes,
          subject& judged, bool read_lines);

    /// What is wrong with the image of `one`. Cuts come in the order of their moments.
    complaint run(const powercut::cut& one);
    /// Why the last image is wrong, by `wrong`: places in the code.
    nlohmann::json explain(const complaint& wrong);
    /// Calls `use` with the last image.
    void with_image(const std::function<void(const image_bytes&)>& use);

    /// The last operations of the workload before the moment.
    std::uint32_t begun() const { return begun_; }
    std::uint32_t acknowledged() const { return acknowledged_; }

private:
    void advance(std::size_t moment);
    void note(const powercut::event& one);
    complaint judge_with(std::span<const powercut::survivor> survivors);
    nlohmann::json explain_words();
    nlohmann::json explain_word(const complaint& wrong) const;
    nlohmann::json places_of_end(std::uint32_t operation) const;
    nlohmann::json places_before() const;
    std::optional<std::size_t>
    last_store(const std::function<bool(std::uint64_t word, std::uint64_t value)>& wanted) const;
    nlohmann::json place_of(std::uint32_t site) const;
    std::uint32_t site_of(const powercut::survivor& wanted) const;

    const powercut::log_file& log_;
    powercut::replay replay_;
    powercut::disk_model disk_;
    subject& subject_;
    bool read_lines_;
    powercut::image drawn_;
    std::size_t moment_ = 0;
    std::uint32_t begun_ = 0;
    std::uint32_t acknowledged_ = 0;
};

/// Those moments at which the power cut may lose something that somebody reads afterwards.
std::vector<std::size_t> moments_that_matter(const powercut::log_file& log, const subject& judged,
                                             const std::vector<std::size_t>& all);

} // namespace campaign
