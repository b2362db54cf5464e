// SPDX-License-Identifier: GPL-2.0-or-later
// Dumps of the metadata: written as JSON, and read back.
#include "dump.hpp"

#include "error.hpp"
#include "page_contents.hpp"
#include "word_tables.hpp"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

namespace tiered {

namespace {

constexpr const char* dump_format = "dm-tiered dump";
constexpr int dump_version = 1;
constexpr std::uint32_t crc_seed = ~0u;
constexpr std::size_t word_digits = 2 * sizeof(__le64);

using ordered = nlohmann::ordered_json;
using frame_crcs = std::vector<std::optional<std::uint32_t>>;

struct claim_state_name {
    tiered_claim_state state;
    std::string_view name;
};
constexpr std::array claim_state_names{
    claim_state_name{TIERED_CLAIM_FREE, "free"}, claim_state_name{TIERED_CLAIM_CLEAN, "clean"},
    claim_state_name{TIERED_CLAIM_DIRTY, "dirty"}, claim_state_name{TIERED_CLAIM_LOST, "lost"},
    claim_state_name{TIERED_CLAIM_RETIRED, "retired"}};

std::string_view name_of(tiered_claim_state state) {
    return claim_state_names[static_cast<std::size_t>(state)].name;
}

std::string hex_text(std::span<const std::byte> bytes) {
    std::string text;
    for (const std::byte one : bytes)
        text += fmt::format("{:02x}", std::to_integer<unsigned>(one));
    return text;
}

std::uint32_t table_crc(const std::vector<__le64>& words, std::uint32_t frames) {
    return tiered_crc32c(crc_seed, words.data(), frames * sizeof(__le64));
}

// ---- writing

/// Whether the frame after one with `before` goes on with its run.
bool continues(const std::optional<tiered_claim>& before, std::uint32_t count,
               const std::optional<tiered_claim>& next) {
    if (!before || !next)
        return !before && !next;
    if (before->state != next->state)
        return false;
    return !tiered_claim_holds_page(&*before) ||
           (before->version == next->version && before->page + count == next->page);
}

ordered crc_json(const std::optional<std::uint32_t>& crc) {
    return crc ? ordered(*crc) : ordered(nullptr);
}

ordered crcs_json(std::span<const std::optional<std::uint32_t>> crcs) {
    if (std::ranges::all_of(crcs, [&](const auto& one) { return one == crcs[0]; }))
        return crc_json(crcs[0]);
    ordered list = ordered::array();
    for (const auto& crc : crcs)
        list.push_back(crc_json(crc));
    return list;
}

class run_writer {
public:
    run_writer(const word_tables& tables, const std::vector<__le64>& table)
        : tables_(tables), table_(table) {}

    /// The frames from `first` on that are alike, before `end`.
    std::uint32_t length(std::uint32_t first, std::uint32_t end) const {
        const auto claim = tables_.claim(table_, first);
        std::uint32_t count = 1;
        while (first + count < end && continues(claim, count, tables_.claim(table_, first + count)))
            count++;
        return count;
    }

    ordered run(std::uint32_t first, std::uint32_t count) const {
        const auto claim = tables_.claim(table_, first);
        ordered run{{"frame", first}, {"count", count}};
        run["state"] = claim ? name_of(claim->state) : "damaged";
        if (!claim) {
            run["bytes"] = hex_text(std::as_bytes(std::span(table_).subspan(first, count)));
        } else if (tiered_claim_holds_page(&*claim)) {
            run["page"] = claim->page;
            run["version"] = claim->version;
        }
        return run;
    }

private:
    const word_tables& tables_;
    const std::vector<__le64>& table_;
};

ordered words_json(const word_tables& tables, const frame_crcs& crcs) {
    const run_writer writer(tables, tables.primary);
    ordered runs = ordered::array();
    for (std::uint32_t frame = 0; frame < tables.view.frames;) {
        const std::uint32_t count = writer.length(frame, tables.view.frames);
        runs.push_back(writer.run(frame, count));
        runs.back()["crc32c"] = crcs_json(std::span(crcs).subspan(frame, count));
        frame += count;
    }
    return runs;
}

ordered shadows_json(const word_tables& tables) {
    const run_writer writer(tables, tables.shadow);
    const auto differs = [&](std::uint32_t frame) {
        return tables.shadow[frame] != tables.primary[frame];
    };
    ordered runs = ordered::array();
    for (std::uint32_t frame = 0; frame < tables.view.frames;) {
        std::uint32_t end = frame;
        while (end < tables.view.frames && differs(end))
            end++;
        if (end == frame) {
            frame++;
            continue;
        }
        const std::uint32_t count = writer.length(frame, end);
        runs.push_back(writer.run(frame, count));
        frame += count;
    }
    return runs;
}

ordered superblock_json(storage& fast, unsigned slot, const superblock_search& found) {
    superblock sb;
    try {
        fast.read(std::uint64_t{slot} * TIERED_SUPERBLOCK_BYTES,
                  std::as_writable_bytes(std::span(&sb.raw, 1)));
    } catch (const media_error&) {
        sb = {};
    }
    const bool stands = slot == found.chosen_slot;
    std::string bytes = hex_text(std::as_bytes(std::span(&sb.raw, 1)));
    bytes.resize((bytes.find_last_not_of('0') + 2) / 2 * 2);
    return {{"slot", slot ? "B" : "A"},
            {"stands", stands},
            {"fault", stands || found.other_slot_fault.empty() ? ordered(nullptr)
                                                               : ordered(found.other_slot_fault)},
            {"generation", sb.generation()},
            {"needs_check", sb.needs_check()},
            {"bytes", bytes}};
}

ordered layout_json(const superblock& sb) {
    return {{"fast_bytes", sb.fast_bytes()},
            {"frames_total", sb.frames()},
            {"frame_bytes", TIERED_FRAME_BYTES},
            {"words_offset_bytes", sb.words_offset()},
            {"shadow_offset_bytes", sb.shadow_offset()},
            {"frames_offset_bytes", sb.frame_offset(0)},
            {"volume_sectors", sb.volume_sectors()},
            {"word_seed", sb.raw.word_seed}};
}

// ---- reading

/// What is wrong with a dump; the reader adds of which file.
class bad_dump : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

template <typename... Args>
[[noreturn]] void bad(fmt::format_string<Args...> format, Args&&... args) {
    throw bad_dump(fmt::format(format, std::forward<Args>(args)...));
}

using parsed = nlohmann::json;

/// The unsigned number `key` of `object`, at most `most`.
std::uint64_t number(const parsed& object, const char* key, std::uint64_t most) {
    const parsed& value = object.at(key);
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() > most)
        bad("its {} is no number up to {}", key, most);
    return value.get<std::uint64_t>();
}

/// Two digits a byte, into the beginning of `bytes`, which are zero.
void read_hex(const std::string& text, std::span<std::byte> bytes) {
    if (text.size() % 2 || text.size() / 2 > bytes.size())
        bad("some bytes are not {} hexadecimal digits or fewer", 2 * bytes.size());
    for (std::size_t i = 0; i < text.size() / 2; i++) {
        unsigned value = 0;
        const char* digits = text.data() + 2 * i;
        const auto [end, error] = std::from_chars(digits, digits + 2, value, 16);
        if (error != std::errc() || end != digits + 2)
            bad("'{}' is no hexadecimal byte", std::string_view(digits, 2));
        bytes[i] = static_cast<std::byte>(value);
    }
}

superblock standing_superblock(const parsed& dump, std::uint64_t fast_bytes_most) {
    const parsed* standing = nullptr;
    for (const parsed& one : dump.at("superblocks"))
        if (one.at("stands").get<bool>())
            standing = &one;
    if (!standing)
        bad("none of its superblocks stands");
    superblock sb;
    read_hex(standing->at("bytes").get<std::string>(),
             std::as_writable_bytes(std::span(&sb.raw, 1)));
    if (sb.fast_bytes() > fast_bytes_most)
        bad("it was made of a fast tier of {} bytes, more than the {} that there are",
            sb.fast_bytes(), fast_bytes_most);
    if (const char* fault = tiered_superblock_fault(&sb.raw, fast_bytes_most))
        bad("its superblock {}", fault);
    return sb;
}

class run_reader {
public:
    explicit run_reader(const superblock& sb) : sb_(sb) {}

    /// Reads a run into `table` and returns the frame after it; the first must be `least` or later.
    std::uint32_t read(const parsed& run, std::uint32_t least, std::vector<__le64>& table) const {
        const auto first = static_cast<std::uint32_t>(number(run, "frame", sb_.frames() - 1));
        const auto count = static_cast<std::uint32_t>(number(run, "count", sb_.frames() - first));
        if (first < least || count == 0)
            bad("the runs of frames from {} on are not in order", first);
        const auto& state = run.at("state").get_ref<const std::string&>();
        if (state == "damaged")
            read_damaged(run, first, count, table);
        else
            read_claims(run, state, first, count, table);
        return first + count;
    }

private:
    static void read_damaged(const parsed& run, std::uint32_t first, std::uint32_t count,
                             std::vector<__le64>& table) {
        const auto& bytes = run.at("bytes").get_ref<const std::string&>();
        if (bytes.size() != word_digits * count)
            bad("the damaged words from frame {} on are not {}", first, count);
        read_hex(bytes, std::as_writable_bytes(std::span(table).subspan(first, count)));
    }

    void read_claims(const parsed& run, const std::string& state, std::uint32_t first,
                     std::uint32_t count, std::vector<__le64>& table) const {
        const auto known = std::ranges::find(claim_state_names, state, &claim_state_name::name);
        if (known == claim_state_names.end())
            bad("there is no state '{}' of frames", state);
        tiered_claim claim{0, known->state, 0};
        const bool holds = tiered_claim_holds_page(&claim);
        if (holds) {
            claim.page = number(run, "page", sb_.pages() - 1);
            claim.version = static_cast<std::uint8_t>(number(run, "version", TIERED_VERSIONS - 1));
            if (count > sb_.pages() - claim.page)
                bad("frame {} claims a page beyond the volume's end", first);
        }
        for (std::uint32_t i = 0; i < count; i++, claim.page += holds)
            table[first + i] = tiered_claim_encode(claim, first + i, sb_.raw.word_seed);
    }

    const superblock& sb_;
};

std::optional<std::uint32_t> read_crc(const parsed& value) {
    if (value.is_null())
        return std::nullopt;
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() > UINT32_MAX)
        bad("a checksum is no number of 32 bits");
    return value.get<std::uint32_t>();
}

void read_crcs(const parsed& value, std::span<std::optional<std::uint32_t>> crcs) {
    if (!value.is_array()) {
        std::ranges::fill(crcs, read_crc(value));
        return;
    }
    if (value.size() != crcs.size())
        bad("there are {} checksums for {} frames", value.size(), crcs.size());
    std::ranges::transform(value, crcs.begin(), read_crc);
}

void require_crc(const parsed& dump, const char* key, const std::vector<__le64>& table) {
    if (number(dump, key, UINT32_MAX) != table_crc(table, static_cast<std::uint32_t>(table.size())))
        bad("its {} is not that of its runs", key);
}

volume_dump read_dump(const parsed& json, std::uint64_t fast_bytes_most) {
    if (json.at("format") != dump_format)
        bad("it is of another format");
    if (json.at("version") != dump_version)
        bad("it is of a version that this tierctl does not know");
    volume_dump dump;
    dump.sb = standing_superblock(json, fast_bytes_most);
    dump.made_s = static_cast<std::int64_t>(number(json, "made_s", INT64_MAX));
    const run_reader reader(dump.sb);
    dump.words.resize(dump.sb.frames());
    dump.contents_crc32c.resize(dump.sb.frames());
    std::uint32_t next = 0;
    for (const parsed& run : json.at("words")) {
        const std::uint32_t first = next;
        if (number(run, "frame", UINT32_MAX) != first)
            bad("frame {} is missing", first);
        next = reader.read(run, first, dump.words);
        read_crcs(run.at("crc32c"), std::span(dump.contents_crc32c).subspan(first, next - first));
    }
    if (next != dump.sb.frames())
        bad("the frames from {} on are missing", next);
    dump.shadows = dump.words;
    next = 0;
    for (const parsed& run : json.at("shadows"))
        next = reader.read(run, next, dump.shadows);
    require_crc(json, "words_crc32c", dump.words);
    require_crc(json, "shadows_crc32c", dump.shadows);
    return dump;
}

} // namespace

std::optional<std::uint32_t> frame_crc32c(storage& fast, const superblock& sb,
                                          std::uint32_t frame) {
    const auto contents = read_page(fast, sb.frame_offset(frame));
    if (!contents)
        return std::nullopt;
    return tiered_crc32c(crc_seed, contents->data(), contents->size());
}

std::string dump_text(storage& fast, std::int64_t now_s) {
    const superblock_search found = find_superblock(fast);
    if (!found.chosen)
        fail("there is no volume to dump: the superblock {}", found.fault);
    const superblock& sb = *found.chosen;
    const word_tables tables(fast, sb);
    frame_crcs crcs(sb.frames());
    for (std::uint32_t frame = 0; frame < sb.frames(); frame++)
        crcs[frame] = frame_crc32c(fast, sb, frame);
    const ordered dump = {
        {"format", dump_format},
        {"version", dump_version},
        {"made_s", now_s},
        {"name", sb.name()},
        {"uuid", sb.uuid()},
        {"layout", layout_json(sb)},
        {"superblocks",
         ordered::array({superblock_json(fast, 0, found), superblock_json(fast, 1, found)})},
        {"words", words_json(tables, crcs)},
        {"shadows", shadows_json(tables)},
        {"words_crc32c", table_crc(tables.primary, sb.frames())},
        {"shadows_crc32c", table_crc(tables.shadow, sb.frames())},
    };
    // A name on a medium may be any bytes.
    return dump.dump(1, ' ', false, ordered::error_handler_t::replace) + "\n";
}

volume_dump parse_dump(const std::string& text, const std::string& path,
                       std::uint64_t fast_bytes_most) {
    try {
        return read_dump(parsed::parse(text), fast_bytes_most);
    } catch (const bad_dump& e) {
        fail("{} is no dump that can be used here: {}; give another one", path, e.what());
    } catch (const parsed::exception&) {
        fail("{} is no dump of a volume, or is damaged; give another one", path);
    }
}

} // namespace tiered
