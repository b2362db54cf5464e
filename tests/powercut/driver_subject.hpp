// SPDX-License-Identifier: GPL-2.0-or-later
// A volume of the driver, read by the driver's own load and by what `tierctl check` uses.
#pragma once

#include "oracle.hpp"
#include "subject.hpp"
#include "superblock.hpp"

namespace campaign {

class driver_subject : public subject {
public:
    explicit driver_subject(std::vector<operation> plan);

    void note(std::uint64_t kind, std::uint32_t number) override;
    complaint judge(const image_bytes& image) const override;
    line_reader lines_read(const powercut::line_model& model) const override;
    std::optional<std::uint64_t> disk_sectors(const image_bytes& image) const override;
    std::string compare(const image_bytes& image,
                        std::span<const std::byte> contents) const override;

private:
    complaint judge_pages(const image_bytes& image, const tiered::superblock& sb) const;
    std::string judge_size(const tiered::superblock& sb) const;

    std::vector<operation> plan_;
    oracle oracle_;
    bool must_be_there_ = false; ///< the volume
    std::uint64_t pages_min_ = 0;
    std::uint64_t pages_max_ = volume_pages_at_first;
    std::uint32_t grown_by_ = 0; ///< the last operation that was acknowledged to have
};

} // namespace campaign
