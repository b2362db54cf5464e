// SPDX-License-Identifier: GPL-2.0-or-later
// Superblocks, words, frames and homes of an image against the oracle.
#include "driver_subject.hpp"

#include "../../driver/core/load.h"
#include "check.hpp"
#include "error.hpp"
#include "page_index.hpp"

#include <cstddef>
#include <cstring>
#include <fmt/format.h>
#include <memory>

namespace campaign {

namespace {

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
    std::uint64_t write_bytes() const override { return 512; }
    void sync() override {}

private:
    std::span<const std::byte> bytes_;
};

/// The fast tier in an NVDIMM.
std::span<const std::byte> fast_tier(std::span<const std::byte> nvdimm) {
    return nvdimm.subspan(namespace_block, namespace_bytes);
}

/// The word of a frame, by its number in the NVDIMM.
std::uint64_t word_number(const tiered::superblock& sb, std::uint32_t frame) {
    return (namespace_block + sb.words_offset()) / powercut::word_bytes + frame;
}

/// The word in which a superblock keeps the volume's size, by its number in the NVDIMM.
std::uint64_t size_word(unsigned slot) {
    return (namespace_block + slot * TIERED_SUPERBLOCK_BYTES +
            offsetof(tiered_superblock_disk, volume_sectors)) /
           powercut::word_bytes;
}

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
    /// The first frame whose word no crash leaves.
    std::optional<std::uint32_t> impossible() const { return impossible_; }

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
    static void found(void* context, std::uint32_t frame, tiered_found what, const tiered_claim*,
                      std::uint32_t) {
        auto& impossible = static_cast<loaded*>(context)->impossible_;
        if (!impossible && (what == TIERED_FOUND_DAMAGED || what == TIERED_FOUND_UNKNOWN ||
                            what == TIERED_FOUND_CONFLICT))
            impossible = frame;
    }

    tiered_words view_;
    tiered::page_index index_;
    std::optional<std::uint32_t> impossible_;
};

std::string damage(const image_bytes& image) {
    memory fast(fast_tier(image.memory));
    memory disk(image.disk);
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

tiered::superblock_search superblock_of(const image_bytes& image) {
    memory fast(fast_tier(image.memory));
    return tiered::find_superblock(fast);
}

/// Whether a value of a frame's word claims `page`.
auto claims_page(const tiered::superblock& sb, std::uint32_t page) {
    return [sb, page](std::uint64_t word, std::uint64_t value) {
        const std::uint64_t first = word_number(sb, 0);
        tiered_claim claim{};
        return word >= first && word < first + sb.frames() &&
               tiered_claim_decode(value, static_cast<std::uint32_t>(word - first),
                                   sb.raw.word_seed, sb.pages(), &claim) == 0 &&
               tiered_claim_holds_page(&claim) && claim.page == page;
    };
}

/// Whether the bits of a word that tell the state call the frame anything but free or retired.
bool may_claim(std::uint64_t value) {
    const std::uint64_t state = value >> 40 & 7;
    return state >= TIERED_CLAIM_CLEAN && state <= TIERED_CLAIM_LOST;
}

/// Where the pages of a loaded image are.
struct page_place {
    const std::byte* home;
    const std::byte* frame = nullptr; ///< none: it is at home
    tiered_claim claim{};
    std::uint32_t frame_number = TIERED_NO_FRAME;

    const std::byte* bytes() const { return frame ? frame : home; }
};

page_place place_of(const image_bytes& image, const tiered::superblock& sb, const loaded& words,
                    std::uint32_t page) {
    page_place place{image.disk.data() + std::uint64_t{page} * page_bytes};
    if (const auto holder = words.index().find(page)) {
        place.frame = fast_tier(image.memory).data() + sb.frame_offset(holder->frame);
        place.claim = holder->claim;
        place.frame_number = holder->frame;
    }
    return place;
}

complaint judge_page(const oracle& known, std::uint32_t page, const page_place& place) {
    page_state state{};
    std::vector<odd_word> odd;
    for (std::uint32_t at = 0; at < page_sectors; at++) {
        const auto* words =
            reinterpret_cast<const std::uint64_t*>(place.bytes() + at * sector_bytes);
        if (!read_sector(std::span<const std::uint64_t, sector_bytes / 8>(words, sector_bytes / 8),
                         page * page_sectors + at, state[at], &odd))
            return {.text = fmt::format("sector {} of page {} {} holds what nobody wrote there", at,
                                        page, place.frame ? "in its frame" : "on the disk")};
    }
    std::string text = place.frame ? known.judge_frame(page, state) : known.judge_home(page, state);
    if (text.empty())
        text = known.judge_stores(page, state, odd);
    return {.text = std::move(text), .operation = known.settled_by(page)};
}

} // namespace

driver_subject::driver_subject(std::vector<operation> plan)
    : plan_(plan), oracle_(std::move(plan)) {}

void driver_subject::note(std::uint64_t kind, std::uint32_t number) {
    switch (kind) {
    case mark_formatted:
        must_be_there_ = true;
        pages_min_ = pages_max_;
        return;
    case mark_begin:
        oracle_.begin(number);
        if (plan_[number].what == action::grow)
            pages_max_ = plan_[number].count / page_sectors;
        if (plan_[number].what == action::format)
            must_be_there_ = false;
        return;
    case mark_ack:
        oracle_.acknowledge(number);
        if (plan_[number].what == action::grow) {
            pages_min_ = pages_max_;
            grown_by_ = number;
        }
        if (plan_[number].what == action::format)
            must_be_there_ = true;
        return;
    default:
        return;
    }
}

complaint driver_subject::judge(const image_bytes& image) const {
    const auto found = superblock_of(image);
    if (!found.chosen)
        return {.text = must_be_there_ ? "there is no volume: its superblock " + found.fault : ""};
    const tiered::superblock& sb = *found.chosen;
    if (std::string text = damage(image); !text.empty()) {
        const loaded words(fast_tier(image.memory), sb);
        const auto frame = words.impossible();
        return {.text = std::move(text),
                .word = frame ? std::optional(word_number(sb, *frame)) : std::nullopt};
    }
    if (std::string text = judge_size(sb); !text.empty())
        return {
            .text = std::move(text), .word = size_word(found.chosen_slot), .operation = grown_by_};
    return judge_pages(image, sb);
}

std::string driver_subject::judge_size(const tiered::superblock& sb) const {
    if (sb.pages() >= pages_min_ && sb.pages() <= pages_max_)
        return "";
    return fmt::format("the volume has {} pages, not {} to {}", sb.pages(), pages_min_, pages_max_);
}

complaint driver_subject::judge_pages(const image_bytes& image,
                                      const tiered::superblock& sb) const {
    const loaded words(fast_tier(image.memory), sb);
    for (std::uint32_t page = 0; page < volume_pages; page++) {
        const page_place place = place_of(image, sb, words, page);
        complaint wrong = judge_page(oracle_, page, place);
        if (!wrong && place.claim.state == TIERED_CLAIM_CLEAN &&
            std::memcmp(place.frame, place.home, page_bytes) != 0)
            wrong = {
                .text = fmt::format("page {} is clean in frame {}, but its home has other contents",
                                    page, place.frame_number)};
        if (!wrong)
            continue;
        if (place.frame)
            wrong.word = word_number(sb, place.frame_number);
        else
            wrong.spoke = claims_page(sb, page);
        return wrong;
    }
    return {};
}

/// All before the frames is read when a volume is opened, and the frames that are claimed when
/// their pages are.
line_reader driver_subject::lines_read(const powercut::line_model& model) const {
    tiered_geometry geometry{};
    if (tiered_geometry_compute(namespace_bytes, &geometry) != 0)
        return [](std::uint64_t) { return true; };
    return [&model, geometry](std::uint64_t line) {
        const std::uint64_t at = line * powercut::line_bytes;
        if (at < namespace_block + geometry.frames_offset_bytes)
            return at >= namespace_block;
        const std::uint64_t frame =
            (at - namespace_block - geometry.frames_offset_bytes) / TIERED_FRAME_BYTES;
        if (frame >= geometry.frames_total)
            return false;
        for (const std::uint64_t table :
             {geometry.words_offset_bytes, geometry.shadow_offset_bytes})
            if (model.any_value((namespace_block + table) / powercut::word_bytes + frame,
                                may_claim))
                return true;
        return false;
    };
}

std::optional<std::uint64_t> driver_subject::disk_sectors(const image_bytes& image) const {
    const auto found = superblock_of(image);
    return found.chosen ? std::optional(found.chosen->tier().size_sectors) : std::nullopt;
}

std::string driver_subject::compare(const image_bytes& image,
                                    std::span<const std::byte> contents) const {
    const auto found = superblock_of(image);
    if (!found.chosen)
        return "there is no volume in the image, but one was read";
    const tiered::superblock& sb = *found.chosen;
    if (contents.size() != sb.volume_bytes())
        return fmt::format("{} bytes were read of a volume of {}", contents.size(),
                           sb.volume_bytes());
    const loaded words(fast_tier(image.memory), sb);
    for (std::uint32_t page = 0; page < sb.pages(); page++) {
        const std::byte* read = contents.data() + std::uint64_t{page} * page_bytes;
        page_place place = place_of(image, sb, words, page);
        if (std::memcmp(read, place.bytes(), page_bytes) != 0)
            return fmt::format("page {} was read with other contents than it has {}", page,
                               place.frame ? "in its frame" : "on the disk");
        (place.frame ? place.frame : place.home) = read;
        if (complaint wrong = judge_page(oracle_, page, place))
            return wrong.text;
    }
    return "";
}

} // namespace campaign
