// SPDX-License-Identifier: GPL-2.0-or-later
// One hash for all states that differ only in names: frames, write numbers, CPUs and pages are
// renamed in the order in which a walk over the state meets them, and the least of the hashes over
// all orders of CPUs and pages is taken.
#include "state.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace model {

namespace {

using CpuOrder = std::array<unsigned, max_cpus>;
using PageOrder = std::array<unsigned, max_pages>;

class Walk {
public:
    Walk(const State& state, const CpuOrder& cpus, const PageOrder& pages)
        : state_(state), cpus_(cpus), pages_(pages) {
        frame_names_.fill(none);
        for (unsigned i = 0; i < state.bounds.pages; i++)
            page_names_[pages[i]] = static_cast<u8>(i);
        for (unsigned i = 0; i < state.bounds.cpus; i++)
            cpu_names_[cpus[i]] = static_cast<u8>(i);
        for (auto& names : value_names_)
            names.fill(none);
        indexed_ = !state.opening && !state.crashed;
        find_version_bases();
    }

    uint64_t hash() {
        byte(state_.opening | state_.went_bad << 1 | state_.noticed << 2 | state_.gone << 3);
        byte(static_cast<u8>(state_.damage));
        frame_name(state_.damaged_frame);
        if (state_.bounds.grows)
            superblocks();
        for (unsigned i = 0; i < state_.bounds.cpus; i++)
            cpu(state_.cpus[cpus_[i]]);
        for (unsigned i = 0; i < state_.bounds.pages; i++)
            page(state_.pages[pages_[i]]);
        for (unsigned i = 0; i < state_.bounds.stripes; i++)
            stripe(state_.stripe(pages_[i]));
        for (unsigned i = 0; i < state_.bounds.stripes && state_.bounds.memory; i++)
            gate(state_.gate(pages_[i]));
        frames();
        // Without stores to mappings both halves were promised the same.
        for (unsigned i = 0; i < state_.bounds.pages; i++)
            for (unsigned half = 0; half < state_.bounds.apart(); half++)
                promise(pages_[i], half);
        return mix();
    }

private:
    void byte(unsigned value) { bytes_[size_++] = static_cast<u8>(value); }

    void frame_name(u8 frame) {
        if (frame == none)
            return byte(none);
        if (frame_names_[frame] == none) {
            order_[named_] = frame;
            frame_names_[frame] = static_cast<u8>(named_++);
        }
        byte(frame_names_[frame]);
    }

    void page_name(u8 page) { byte(page == none ? none : page_names_[page]); }

    void claim(u8 packed) { byte(holds_page(packed) ? rename_claim(packed) : packed); }

    unsigned rename_claim(u8 packed) {
        tiered_claim renamed = unpack(packed);

        renamed.version = version_name(static_cast<unsigned>(renamed.page), renamed.version);
        renamed.page = page_names_[renamed.page];
        return pack(renamed);
    }

    // Only the distance between versions matters, so they are counted from the index's or, while
    // there is no index, from the first one met. A page that the index does not know starts at
    // version 0: there they stay as they are.
    u8 version_name(unsigned page, u8 version) {
        u8& base = version_bases_[page];

        if (base == none)
            base = indexed_ ? 0 : version;
        return static_cast<u8>(version - base) % TIERED_VERSIONS;
    }

    void find_version_bases() {
        version_bases_.fill(none);
        for (unsigned p = 0; p < state_.bounds.pages; p++)
            if (state_.pages[p].holder != none)
                version_bases_[p] = unpack(state_.pages[p].claim).version;
    }

    void value(u8 value) {
        if (value >= max_pages * max_ids)
            return byte(value);
        const unsigned page = value / max_ids;

        byte(make_value(page_names_[page], value_name(page, value_id(value))));
    }

    unsigned value_name(unsigned page, unsigned id) {
        u8& name = value_names_[page][id];

        if (name == none)
            name = values_named_[page]++;
        return name;
    }

    void cpu_mask(Mask mask) {
        unsigned renamed = 0;

        for (unsigned i = 0; i < state_.bounds.cpus; i++)
            renamed |= (mask >> cpus_[i] & 1u) << i;
        byte(renamed);
    }

    // Every write number in a mask has been met before: forget_unseen() saw to that.
    void id_mask(unsigned page, Mask mask) {
        unsigned renamed = 0;

        for (unsigned id = 0; mask >> id; id++)
            if (mask >> id & 1)
                renamed |= 1u << value_name(page, id);
        byte(renamed & 0xff);
        byte(renamed >> 8);
    }

    void cell_state(const Cell& cell) {
        byte(cell.count);
        for (unsigned i = 0; i < state_.bounds.cpus; i++)
            byte(cell.pending[cpus_[i]]);
        if (cell.undrained)
            byte(0x80u | cell.undrained << 2 | cpu_names_[cell.undrained_cpu]);
    }

    void word(const Cell& cell) {
        cell_state(cell);
        for (unsigned i = 0; i < cell.count; i++)
            claim(cell.values[i]);
    }

    void contents(const Cell& cell) {
        cell_state(cell);
        for (unsigned i = 0; i < cell.count; i++)
            value(cell.values[i]);
    }

    // Pages are not alike: the last one may be beyond the end.
    void superblocks() {
        page_name(static_cast<u8>(state_.bounds.pages - 1));
        byte(state_.volume_pages);
        byte(state_.standing | state_.grown << 1);
        for (const Cell& slot : state_.superblocks) {
            cell_state(slot);
            for (unsigned i = 0; i < slot.count; i++)
                byte(slot.values[i]);
        }
    }

    void cpu(const Cpu& cpu) {
        byte(static_cast<u8>(cpu.op));
        page_name(cpu.page);
        if (state_.bounds.memory)
            byte(cpu.half);
        byte(cpu.steps);
        for (unsigned i = 0; i < cpu.frames_count; i++)
            frame_name(cpu.frames[i]);
        for (unsigned i = 0; i < cpu.values_count; i++)
            value(cpu.values[i]);
        for (unsigned i = 0; i < cpu.claims_count; i++)
            claim(cpu.claims[i]);
        for (unsigned i = 0; i < cpu.numbers_count; i++)
            byte(cpu.numbers[i]);
    }

    void page(const Page& page) {
        frame_name(page.holder);
        claim(page.claim);
        byte(page.home_busy | page.unflushed << 1 | page.home_in_flight << 2 | page.changing << 3);
        cpu_mask(page.covered);
        cpu_mask(page.spoiled);
        contents(page.home[0]);
        if (!state_.bounds.memory)
            return;
        contents(page.home[1]);
        byte(page.exclusive | page.mapping.writable << 1);
        frame_name(page.mapping.frame);
    }

    void stripe(const Stripe& stripe) {
        byte(stripe.locked_by == none ? none : cpu_names_[stripe.locked_by]);
        frame_name(stripe.unfenced_frame);
    }

    void gate(const Gate& gate) {
        cpu_mask(gate.shared);
        byte(gate.shut_by == none ? none : cpu_names_[gate.shut_by]);
    }

    void frames() {
        name_remaining_frames();
        for (unsigned i = 0; i < state_.bounds.frames; i++) {
            const Frame& frame = state_.frames[order_[i]];

            byte(static_cast<u8>(frame.use));
            byte(frame.pins | frame.condemned << 7);
            if (state_.bounds.memory)
                byte(frame.mapped | frame.stored << 1 | frame.cleaning << 2 | frame.restored << 3);
            word(frame.primary);
            word(frame.shadow);
            contents(frame.data[0]);
            contents(frame.data[1]);
        }
    }

    // Nothing refers to these, so that their contents alone may order them.
    void name_remaining_frames() {
        const unsigned first = named_;

        for (u8 f = 0; f < state_.bounds.frames; f++)
            if (frame_names_[f] == none)
                order_[named_++] = f;
        std::sort(order_.begin() + first, order_.begin() + named_, [this](u8 a, u8 b) {
            return std::memcmp(&state_.frames[a], &state_.frames[b], sizeof(Frame)) < 0;
        });
    }

    void promise(unsigned page, unsigned half) {
        const Promise& promise = state_.pages[page].promise[half];

        id_mask(page, promise.after_crash);
        id_mask(page, promise.now);
        id_mask(page, promise.acknowledged);
        id_mask(page, promise.undurable);
        byte(state_.pages[page].may_fail | promise.alone_torn << 1);
        if (state_.bounds.memory)
            id_mask(page, promise.stored);
        if (state_.bounds.through)
            id_mask(page, promise.alone);
        for (unsigned i = 0; i < state_.bounds.cpus; i++)
            id_mask(page, promise.flushing[cpus_[i]]);
        std::array<Mask, max_ids> by_name{};
        for (unsigned id = 0; id < max_ids; id++)
            if (value_names_[page][id] != none)
                by_name[value_names_[page][id]] = promise.before[id];
        for (unsigned name = 0; name < values_named_[page]; name++)
            id_mask(page, by_name[name]);
    }

    uint64_t mix() const {
        uint64_t hash = 0x9e3779b97f4a7c15ull ^ size_;

        for (unsigned at = 0; at < size_; at += sizeof(uint64_t)) {
            uint64_t piece;

            std::memcpy(&piece, &bytes_[at], sizeof(piece));
            const auto product =
                static_cast<unsigned __int128>(hash ^ piece) * 0xa0761d6478bd642full;
            hash = static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64) ^
                   0xe7037ed1a0b428dbull;
        }
        hash ^= hash >> 32;
        hash *= 0xd6e8feb86659fd93ull;
        return hash ^ hash >> 32;
    }

    const State& state_;
    const CpuOrder& cpus_;
    const PageOrder& pages_;
    std::array<u8, max_frames> frame_names_;
    std::array<u8, max_frames> order_{};
    unsigned named_ = 0;
    std::array<u8, max_pages> page_names_{};
    std::array<u8, max_cpus> cpu_names_{};
    bool indexed_ = true;
    std::array<u8, max_pages> version_bases_;
    std::array<std::array<u8, max_ids>, max_pages> value_names_;
    std::array<u8, max_pages> values_named_{};
    std::array<u8, 2048> bytes_{};
    unsigned size_ = 0;
};

} // namespace

uint64_t canonical_hash(const State& state) {
    uint64_t least = ~0ull;
    PageOrder pages{0, 1};

    do {
        CpuOrder cpus{0, 1, 2};
        do {
            least = std::min(least, Walk(state, cpus, pages).hash());
        } while (std::next_permutation(cpus.begin(), cpus.begin() + state.bounds.cpus));
    } while (std::next_permutation(pages.begin(), pages.begin() + state.bounds.pages));
    return least;
}

} // namespace model
