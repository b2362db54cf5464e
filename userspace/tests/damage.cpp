// SPDX-License-Identifier: GPL-2.0-or-later
// The damage generator.
#include "damage.hpp"

namespace tiered::test {

namespace {

std::uint8_t before(std::uint8_t version) {
    return static_cast<std::uint8_t>((version + TIERED_VERSIONS - 1) % TIERED_VERSIONS);
}

std::uint8_t random_version(std::mt19937& random) {
    return static_cast<std::uint8_t>(random() % TIERED_VERSIONS);
}

std::byte any_contents(std::mt19937& random) {
    return static_cast<std::byte>(random());
}

void break_superblock(known_volume& known, unsigned slot, std::mt19937& random) {
    known.v.fast.bytes[slot * TIERED_SUPERBLOCK_BYTES + random() % 1200] ^= std::byte{0x10};
}

void request_check(known_volume& known) {
    superblock sb = *find_superblock(known.v.fast).chosen;
    sb.raw.flags = cpu_to_le32(TIERED_SB_NEEDS_CHECK);
    write_next_superblock(known.v.fast, sb, 1 - find_superblock(known.v.fast).chosen_slot);
}

/// Cannot be read; what is there once it can again, after a write that did not last, is anything.
void make_bad(memory_storage& medium, std::uint64_t offset) {
    const std::uint64_t sector = offset / TIERED_SECTOR_BYTES;
    medium.bad_sectors.insert(sector);
    std::fill_n(medium.bytes.begin() + static_cast<std::ptrdiff_t>(sector * TIERED_SECTOR_BYTES),
                TIERED_SECTOR_BYTES, std::byte{0x3c});
}

damage superblock_a(known_volume& known, std::mt19937& random) {
    break_superblock(known, 0, random);
    return {.kind = "superblock A"};
}

damage superblock_b(known_volume& known, std::mt19937& random) {
    break_superblock(known, 1, random);
    return {.kind = "superblock B"};
}

damage unreadable_superblock(known_volume& known, std::mt19937& random) {
    make_bad(known.v.fast, random() % 2 * TIERED_SUPERBLOCK_BYTES);
    return {.kind = "superblock in a bad sector"};
}

damage both_superblocks(known_volume& known, std::mt19937& random) {
    break_superblock(known, 0, random);
    break_superblock(known, 1, random);
    return {.kind = "both superblocks", .refused = true};
}

damage check_requested(known_volume& known, std::mt19937&) {
    request_check(known);
    return {.kind = "needs_check"};
}

damage word_of(known_volume& known, tiered_claim_state state, const char* kind,
               std::mt19937& random) {
    const std::uint32_t frame = known.any_frame(state, random);
    known.v.set_primary(frame, damaged_word);
    request_check(known);
    damage done{.kind = kind};
    if (state != TIERED_CLAIM_CLEAN)
        done.hit = {known.claims.at(frame).page};
    return done;
}

damage clean_word(known_volume& known, std::mt19937& random) {
    return word_of(known, TIERED_CLAIM_CLEAN, "word of a clean frame", random);
}

damage dirty_word(known_volume& known, std::mt19937& random) {
    return word_of(known, TIERED_CLAIM_DIRTY, "word of a dirty frame", random);
}

damage lost_word(known_volume& known, std::mt19937& random) {
    return word_of(known, TIERED_CLAIM_LOST, "word of a lost page", random);
}

damage free_word(known_volume& known, std::mt19937& random) {
    known.v.set_primary(known.any_free_frame(), damaged_word);
    return {.kind = "word of a free frame"};
}

damage dirty_word_at_home(known_volume& known, std::mt19937& random) {
    const std::uint32_t frame = known.any_frame(TIERED_CLAIM_DIRTY, random);
    const std::uint64_t page = known.claims.at(frame).page;
    known.v.fill_home(page, known.truth[page]);
    known.v.set_primary(frame, damaged_word);
    return {.kind = "word of a dirty frame whose home has the same"};
}

/// The pages whose words stand in the sector with the word of `frame`, as far as they are hit.
std::set<std::uint64_t> dirty_beside(const known_volume& known, std::uint32_t frame) {
    std::set<std::uint64_t> hit;
    for (const auto& [holder, claim] : known.claims)
        if (holder / TIERED_WORDS_PER_SECTOR == frame / TIERED_WORDS_PER_SECTOR &&
            claim.state != TIERED_CLAIM_CLEAN)
            hit.insert(claim.page);
    return hit;
}

damage word_sector(known_volume& known, std::mt19937& random) {
    const std::uint32_t frame = known.any_frame(TIERED_CLAIM_DIRTY, random);
    make_bad(known.v.fast, known.v.sb.words_offset() + frame * sizeof(__le64));
    known.keep_sector(frame);
    return {.kind = "sector of words", .hit = dirty_beside(known, frame)};
}

damage unwritable_word_sector(known_volume& known, std::mt19937& random) {
    known.v.fast.block_bytes = TIERED_SECTOR_BYTES;
    damage done = word_sector(known, random);
    known.v.fast.unwritable_sectors = known.v.fast.bad_sectors;
    done.kind = "sector of words that takes no write";
    return done;
}

damage shadow_word(known_volume& known, std::mt19937& random) {
    known.v.set_shadow(known.any_frame(TIERED_CLAIM_DIRTY, random), damaged_word);
    return {.kind = "shadow word"};
}

damage shadow_sector(known_volume& known, std::mt19937& random) {
    const std::uint32_t frame = known.any_frame(TIERED_CLAIM_DIRTY, random);
    make_bad(known.v.fast, known.v.sb.shadow_offset() + frame * sizeof(__le64));
    known.keep_sector(frame);
    return {.kind = "sector of shadow words"};
}

damage both_of_a_pair(known_volume& known, std::mt19937& random) {
    const std::uint32_t frame = known.any_frame(TIERED_CLAIM_DIRTY, random);
    known.v.set_primary(frame, damaged_word);
    known.v.set_shadow(frame, 0);
    return {.kind = "both of a pair",
            .untold = {known.claims.at(frame).page},
            .needs_acceptance = true};
}

/// A second claim of the page of `frame`, far from it, over `contents`.
void contradict(known_volume& known, std::uint32_t frame, tiered_claim_state state,
                std::byte contents, std::mt19937& random) {
    const tiered_claim claim = known.claims.at(frame);
    const std::uint32_t other = known.any_free_frame();
    known.v.claim(other, claim.page, state,
                  static_cast<std::uint8_t>((claim.version + 2 + random() % 13) % 16));
    known.v.fill_frame(other, contents);
}

damage contradiction(known_volume& known, std::mt19937& random) {
    const std::uint32_t frame = known.any_frame(TIERED_CLAIM_DIRTY, random);
    const std::uint64_t page = known.claims.at(frame).page;
    contradict(known, frame, TIERED_CLAIM_DIRTY, known.truth[page] ^ std::byte{1}, random);
    return {.kind = "contradicting claims", .hit = {page}};
}

damage three_contradictions(known_volume& known, std::mt19937& random) {
    const std::uint32_t frame = known.any_frame(TIERED_CLAIM_DIRTY, random);
    const tiered_claim claim = known.claims.at(frame);
    for (const std::uint8_t distance : {5, 6}) { // the last two stand to each other as in a crash
        const std::uint32_t other = known.any_free_frame();
        known.v.claim(other, claim.page, TIERED_CLAIM_DIRTY,
                      static_cast<std::uint8_t>((claim.version + distance) % 16));
        known.v.fill_frame(other, known.truth[claim.page] ^ std::byte{distance});
    }
    return {.kind = "three contradicting claims", .hit = {claim.page}};
}

damage contradiction_of_equals(known_volume& known, std::mt19937& random) {
    const std::uint32_t frame = known.any_frame(TIERED_CLAIM_DIRTY, random);
    const std::uint64_t page = known.claims.at(frame).page;
    contradict(known, frame, random() % 2 ? TIERED_CLAIM_DIRTY : TIERED_CLAIM_CLEAN,
               known.truth[page], random);
    return {.kind = "contradicting claims with the same contents"};
}

damage contradiction_of_clean(known_volume& known, std::mt19937& random) {
    const std::uint32_t frame = known.any_frame(TIERED_CLAIM_CLEAN, random);
    const std::uint64_t page = known.claims.at(frame).page;
    contradict(known, frame, TIERED_CLAIM_CLEAN, known.truth[page] ^ std::byte{1}, random);
    return {.kind = "contradicting clean claims"};
}

damage contradicting_shadow(known_volume& known, std::mt19937& random) {
    const std::uint32_t frame = known.any_frame(TIERED_CLAIM_DIRTY, random);
    const std::uint64_t page = known.claims.at(frame).page;
    contradict(known, frame, TIERED_CLAIM_DIRTY, known.truth[page] ^ std::byte{1}, random);
    known.v.set_primary(frame, damaged_word);
    return {.kind = "damaged word whose shadow contradicts a claim", .hit = {page}};
}

damage beyond_the_end(known_volume& known, std::mt19937& random) {
    known.v.claim(known.any_free_frame(), known.v.sb.pages() + random() % 9, TIERED_CLAIM_DIRTY,
                  random_version(random));
    return {.kind = "dirty claim beyond the volume", .needs_acceptance = true};
}

damage clean_beyond_the_end(known_volume& known, std::mt19937& random) {
    known.v.claim(known.any_free_frame(), known.v.sb.pages() + random() % 9, TIERED_CLAIM_CLEAN,
                  random_version(random));
    return {.kind = "clean claim beyond the volume"};
}

damage bad_dirty_frame(known_volume& known, std::mt19937& random) {
    const std::uint32_t frame = known.any_frame(TIERED_CLAIM_DIRTY, random);
    known.v.spoil_frame(frame);
    return {.kind = "bad dirty frame", .hit = {known.claims.at(frame).page}};
}

damage bad_clean_frame(known_volume& known, std::mt19937& random) {
    known.v.spoil_frame(known.any_frame(TIERED_CLAIM_CLEAN, random));
    return {.kind = "bad clean frame"};
}

damage bad_free_frame(known_volume& known, std::mt19937& random) {
    known.v.spoil_frame(known.any_free_frame());
    return {.kind = "bad free frame", .harmless = true};
}

damage none(known_volume&, std::mt19937&) {
    return {.kind = "none", .harmless = true};
}

} // namespace

known_volume::known_volume(std::mt19937& random)
    : v(fast_bytes, small_spec(pages * TIERED_SECTORS_PER_PAGE)), truth(pages) {
    std::uint32_t frame = 0;
    for (std::uint64_t page = 0; page < pages; page++)
        add_page(page, frame, random);
}

void known_volume::add_page(std::uint64_t page, std::uint32_t& frame, std::mt19937& random) {
    const std::byte home = any_contents(random);
    v.fill_home(page, home);
    truth[page] = home;
    if (random() % 4 == 0)
        return;
    constexpr std::array states{TIERED_CLAIM_CLEAN, TIERED_CLAIM_DIRTY};
    const auto state = random() % 16 == 0 ? TIERED_CLAIM_LOST : states[random() % 2];
    const std::uint8_t version = random_version(random);
    if (state != TIERED_CLAIM_CLEAN)
        truth[page] = home ^ static_cast<std::byte>(1 + random() % 255);
    if (state == TIERED_CLAIM_LOST)
        lost.insert(page);
    if (random() % 8 == 0) { // an older one that was not cleared in time
        not_given_.insert(frame + 1);
        v.claim(frame++, page, TIERED_CLAIM_DIRTY, before(version));
    }
    v.claim(frame, page, state, version);
    if (state == TIERED_CLAIM_CLEAN && random() % 8 == 0) // nor was its shadow brought up
        v.set_shadow(frame, v.encode(frame, page, TIERED_CLAIM_DIRTY, version));
    v.fill_frame(frame, truth[page]);
    claims[frame] = {page, state, version};
    frame++;
}

std::uint32_t known_volume::any_frame(tiered_claim_state state, std::mt19937& random) {
    std::vector<std::uint32_t> frames;
    for (const auto& [frame, claim] : claims)
        if (claim.state == state && !not_given_.contains(frame))
            frames.push_back(frame);
    if (frames.empty())
        throw no_frame_left();
    const std::uint32_t given = frames.at(random() % frames.size());
    not_given_.insert(given);
    return given;
}

void known_volume::keep_sector(std::uint32_t frame) {
    const std::uint32_t first = frame / TIERED_WORDS_PER_SECTOR * TIERED_WORDS_PER_SECTOR;
    for (std::uint32_t i = 0; i < TIERED_WORDS_PER_SECTOR; i++)
        not_given_.insert(first + i);
}

const std::vector<damager>& all_damagers() {
    static const std::vector<damager> all{word_sector, // sectors first: they take other frames
                                          unwritable_word_sector,
                                          shadow_sector,
                                          superblock_a,
                                          superblock_b,
                                          unreadable_superblock,
                                          both_superblocks,
                                          check_requested,
                                          clean_word,
                                          dirty_word,
                                          lost_word,
                                          free_word,
                                          dirty_word_at_home,
                                          shadow_word,
                                          both_of_a_pair,
                                          contradiction,
                                          three_contradictions,
                                          contradiction_of_equals,
                                          contradiction_of_clean,
                                          contradicting_shadow,
                                          beyond_the_end,
                                          clean_beyond_the_end,
                                          bad_dirty_frame,
                                          bad_clean_frame,
                                          bad_free_frame,
                                          none};
    return all;
}

} // namespace tiered::test
