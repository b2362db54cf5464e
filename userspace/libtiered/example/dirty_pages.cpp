// SPDX-License-Identifier: GPL-2.0-or-later
// How much of each volume is only in its fast tier: dirty_pages [FAST_TIER_OR_IMAGE...]
// Without arguments, of those that are open on this machine.
#include <cstdio>
#include <tiered.hpp>

namespace {

void report(const std::string& name, std::uint64_t size_bytes, std::uint64_t dirty_pages) {
    std::printf("%s: %s, %s pages dirty\n", name.c_str(), tiered::size_text(size_bytes).c_str(),
                tiered::count_text(dirty_pages).c_str());
}

} // namespace

int main(int argc, char** argv) try {
    for (int i = 1; i < argc; i++) {
        tiered::file_storage fast(argv[i], tiered::file_storage::access::read_only);
        const tiered::superblock_search found = tiered::find_superblock(fast);
        if (!found.chosen)
            tiered::fail("{} holds no volume: its superblock {}", argv[i], found.fault);
        report(found.chosen->name(), found.chosen->volume_bytes(),
               tiered::count_dirty_pages(fast, *found.chosen));
    }
    for (const tiered::dm_device& device : tiered::open_dm_volumes())
        if (const auto volume = tiered::describe(device); argc == 1 && volume.status.counters)
            report(volume.name, volume.size_bytes, volume.status.counters->frames_dirty);
    return 0;
} catch (const tiered::error& e) {
    std::fprintf(stderr, "dirty_pages: %s\n", e.what());
    return 1;
}
