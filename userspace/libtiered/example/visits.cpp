// SPDX-License-Identifier: GPL-2.0-or-later
// Counts visits in the memory of a volume: visits VOLUME NAME [TIMES]
// A count that was printed outlives a kill and a power cut.
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <tiered.hpp>

namespace {

/// One name, in a list whose first is the root object.
struct visitor {
    visitor* next; // everything is mapped where it was the last time, so that pointers stay good
    std::uint64_t count;
    char name[48];
};

constexpr tiered::root_layout layout{.id = 0x7669'7369'7473'0001, .bytes = sizeof(visitor)};

visitor& add(tiered::root& root, std::string_view name) {
    const std::uint64_t at = root.end_offset();
    visitor& fresh = *root.at<visitor>(at);
    fresh = {root.object<visitor>(), 0, {}};
    name.copy(fresh.name, sizeof(fresh.name) - 1);
    // First what the root will refer to, then the root.
    root.memory().persist(&fresh, sizeof(fresh));
    root.set(at, at + sizeof(fresh));
    return fresh;
}

visitor& find_or_add(tiered::root& root, std::string_view name) {
    for (visitor* v = root.object<visitor>(); v; v = v->next)
        if (name.substr(0, sizeof(v->name) - 1) == v->name)
            return *v;
    return add(root, name);
}

void visit(const tiered::root& root, visitor& v) {
    // One store of 8 bytes is there after a power cut, or it is not.
    std::atomic_ref(v.count).fetch_add(1, std::memory_order_relaxed);
    root.memory().persist(&v.count, sizeof(v.count));
    std::printf("%s %llu\n", v.name, static_cast<unsigned long long>(v.count));
    std::fflush(stdout);
}

} // namespace

int main(int argc, char** argv) try {
    if (argc < 3)
        tiered::fail("name a volume and who visits it: visits VOLUME NAME [TIMES]");
    auto root =
        tiered::root::open_or_make(argv[1], layout, {.stores = tiered::durability::if_possible});
    if (!root.memory().is_synchronous())
        std::fprintf(stderr, "visits: %s\n", root.memory().not_synchronous_because().c_str());
    visitor& v = find_or_add(root, argv[2]);
    for (long left = argc > 3 ? std::atol(argv[3]) : 1; left > 0; left--)
        visit(root, v);
    return 0;
} catch (const tiered::error& e) {
    std::fprintf(stderr, "visits: %s\n", e.what());
    return 1;
}
