// SPDX-License-Identifier: GPL-2.0-or-later
// The bounds of each exploration.
#include "scenarios.h"

#include <utility>

namespace model {

namespace {

using Starts = std::array<Start, max_pages>;

constexpr Starts none_resident{Start::absent, Start::absent};
constexpr Starts dirty_and_clean{Start::dirty, Start::clean};
constexpr Starts dirty_and_absent{Start::dirty, Start::absent};
constexpr Starts both_dirty{Start::dirty, Start::dirty};
constexpr Starts both_mapped{Start::mapped, Start::mapped};
constexpr Starts both_stored{Start::stored, Start::stored};
constexpr Starts stored_and_mapped{Start::stored, Start::mapped};

constexpr Bounds shared_stripe{.cpus = 2, .pages = 2, .stripes = 1, .frames = 4};
constexpr Bounds one_page{.cpus = 2, .pages = 1, .stripes = 1, .frames = 3};
constexpr Bounds two_stripes{.cpus = 2, .pages = 2, .stripes = 2, .frames = 4};

Bounds with_frames(Bounds bounds, unsigned frames) {
    bounds.frames = frames;
    return bounds;
}

Bounds with_cpus(Bounds bounds, unsigned cpus) {
    bounds.cpus = cpus;
    return bounds;
}

Bounds with_damage(Bounds bounds) {
    bounds.damage = true;
    return bounds;
}

Bounds that_unbind(Bounds bounds) {
    bounds.unbinds = true;
    return bounds;
}

Bounds through(Bounds bounds) {
    bounds.through = true;
    return bounds;
}

Bounds that_grows(Bounds bounds) {
    bounds.grows = true;
    return bounds;
}

Bounds as_memory(Bounds bounds, unsigned halves_stored = 1) {
    bounds.memory = halves_stored;
    return bounds;
}

Scenario scenario(std::string name, const Bounds& bounds, const Starts& start, unsigned operations,
                  unsigned crashes, Grain grain = Grain::coarse) {
    return {std::move(name), bounds, start, operations, crashes, grain};
}

} // namespace

std::vector<Scenario> short_scenarios() {
    return {
        scenario("one-page", one_page, both_dirty, any_number, any_number),
        scenario("one-page-every-store", one_page, both_dirty, any_number, any_number, Grain::fine),
        scenario("one-page-damage", with_damage(one_page), both_dirty, any_number, any_number),
        scenario("shared-stripe", shared_stripe, dirty_and_clean, 5, 1),
        scenario("two-stripes", two_stripes, dirty_and_clean, 6, 1),
        scenario("from-empty", shared_stripe, none_resident, 5, 1),
        scenario("scarce-frames", with_frames(two_stripes, 3), both_dirty, 5, 1),
        scenario("three-cpus", with_cpus(two_stripes, 3), dirty_and_clean, 4, 1),
        scenario("two-crashes", shared_stripe, dirty_and_clean, 4, 2),
        scenario("every-store", two_stripes, dirty_and_clean, 4, 1, Grain::fine),
        scenario("damage", with_damage(shared_stripe), dirty_and_clean, 3, 2),
        scenario("one-page-unbound", that_unbind(one_page), both_dirty, any_number, any_number),
        scenario("unbound", that_unbind(shared_stripe), dirty_and_clean, 3, 1),
        scenario("one-page-through", through(one_page), both_dirty, any_number, any_number),
        scenario("through", through(shared_stripe), dirty_and_clean, 3, 1),
        scenario("grow", that_grows(two_stripes), dirty_and_absent, 4, 2),
        scenario("memory-stored", as_memory(one_page), both_stored, 5, 1),
        scenario("memory-mapped", as_memory(one_page), both_mapped, 5, 1),
        scenario("memory-halves", as_memory(one_page, 2), both_stored, 4, 1),
        scenario("memory-every-store", as_memory(one_page), both_stored, 4, 1, Grain::fine),
        scenario("memory-three-cpus", as_memory(with_cpus(one_page, 3)), both_stored, 4, 1),
        scenario("memory-shared-gate", as_memory(shared_stripe), stored_and_mapped, 3, 1),
        scenario("memory-two-gates", as_memory(two_stripes), stored_and_mapped, 3, 1),
        scenario("memory-damage", with_damage(as_memory(one_page)), both_dirty, 4, 1),
    };
}

std::vector<Scenario> deep_scenarios() {
    return {
        scenario("one-page-many-frames", with_frames(one_page, 5), both_dirty, any_number,
                 any_number),
        scenario("one-page-three-cpus", with_cpus(one_page, 3), both_dirty, any_number, any_number),
        scenario("shared-stripe", shared_stripe, dirty_and_clean, 8, 1),
        scenario("two-stripes", two_stripes, dirty_and_clean, 8, 1),
        scenario("scarce-frames", with_frames(two_stripes, 3), both_dirty, 9, 1),
        scenario("many-frames", with_frames(two_stripes, 6), dirty_and_clean, 6, 1),
        scenario("three-cpus", with_cpus(two_stripes, 3), dirty_and_clean, 5, 1),
        scenario("three-crashes", shared_stripe, dirty_and_clean, 7, 3),
        scenario("every-store", shared_stripe, dirty_and_clean, 7, 1, Grain::fine),
        scenario("one-page-damage-every-store", with_damage(one_page), both_dirty, any_number,
                 any_number, Grain::fine),
        scenario("damage", with_damage(shared_stripe), dirty_and_clean, 5, 2),
        scenario("unbound", that_unbind(two_stripes), dirty_and_clean, 5, 2),
        scenario("through", through(two_stripes), dirty_and_clean, 5, 2),
        scenario("grow", that_grows(shared_stripe), dirty_and_absent, 5, 2),
        scenario("memory-stored", as_memory(one_page), both_stored, 7, 1),
        scenario("memory-halves", as_memory(one_page, 2), both_mapped, 6, 1),
        scenario("memory-three-cpus", as_memory(with_cpus(one_page, 3)), both_mapped, 5, 1),
        scenario("memory-two-crashes", as_memory(one_page), both_stored, 6, 2),
        scenario("memory-every-store", as_memory(one_page), both_mapped, 6, 1, Grain::fine),
        scenario("memory-shared-gate", as_memory(shared_stripe), stored_and_mapped, 5, 1),
        scenario("memory-two-gates", as_memory(two_stripes), stored_and_mapped, 5, 1),
        scenario("memory-damage", with_damage(as_memory(one_page)), both_dirty, 5, 1),
    };
}

} // namespace model
