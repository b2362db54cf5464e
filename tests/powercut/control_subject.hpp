// SPDX-License-Identifier: GPL-2.0-or-later
// The control target (forgetful/): two slots for each page, and a word that says which is the
// newest.
#pragma once

#include "oracle.hpp"
#include "subject.hpp"

namespace campaign {

class control_subject : public subject {
public:
    explicit control_subject(std::vector<operation> plan) : oracle_(std::move(plan)) {}

    void note(std::uint64_t kind, std::uint32_t number) override;
    complaint judge(const image_bytes& image) const override;
    line_reader lines_read(const powercut::line_model& model) const override;
    std::optional<std::uint64_t> disk_sectors(const image_bytes&) const override {
        return std::nullopt;
    }
    std::string compare(const image_bytes&, std::span<const std::byte>) const override {
        return "a control target is not read by a machine";
    }

private:
    oracle oracle_;
};

} // namespace campaign
