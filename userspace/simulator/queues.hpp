// SPDX-License-Identifier: GPL-2.0-or-later
// Queues of pages in a pool of entries: what most replacement policies consist of.
#pragma once

#include "page_map.hpp"

namespace tiered::sim {

/// A number of queues over one index: a page is in at most one of them. The front is the newest.
class page_queues {
public:
    static constexpr std::uint32_t none = page_map::none;

    struct entry {
        std::uint64_t page;
        std::uint32_t before; // newer
        std::uint32_t behind; // older
        std::uint8_t queue;
        std::uint8_t count; // the policy's own: visits, frequency
    };

    page_queues(std::uint8_t queues, std::size_t expected)
        : index(expected), ends(queues, end{none, none, 0}) {
        entries.reserve(expected);
    }

    std::uint32_t find(std::uint64_t page) const { return index.find(page); }
    entry& at(std::uint32_t i) { return entries[i]; }
    const entry& at(std::uint32_t i) const { return entries[i]; }
    std::uint32_t size(std::uint8_t queue) const { return ends[queue].size; }
    std::uint32_t oldest(std::uint8_t queue) const { return ends[queue].back; }

    /// The queue that a page is in, or -1.
    int queue_of(std::uint64_t page) const {
        const std::uint32_t i = find(page);
        return i == none ? -1 : entries[i].queue;
    }

    std::uint32_t push(std::uint8_t queue, std::uint64_t page) {
        const std::uint32_t i = take();
        entries[i] = {page, none, none, queue, 0};
        link(i, queue);
        index.set(page, i);
        return i;
    }

    void move(std::uint32_t i, std::uint8_t queue) {
        unlink(i);
        link(i, queue);
    }

    std::uint64_t remove(std::uint32_t i) {
        const std::uint64_t page = entries[i].page;
        unlink(i);
        index.erase(page);
        entries[i].behind = free;
        free = i;
        return page;
    }

private:
    struct end {
        std::uint32_t front, back, size;
    };

    std::uint32_t take() {
        if (free == none) {
            entries.push_back({});
            return static_cast<std::uint32_t>(entries.size() - 1);
        }
        const std::uint32_t i = free;
        free = entries[i].behind;
        return i;
    }

    void link(std::uint32_t i, std::uint8_t queue) {
        end& e = ends[queue];
        entries[i].queue = queue;
        entries[i].before = none;
        entries[i].behind = e.front;
        (e.front == none ? e.back : entries[e.front].before) = i;
        e.front = i;
        e.size++;
    }

    void unlink(std::uint32_t i) {
        const entry& x = entries[i];
        end& e = ends[x.queue];
        (x.before == none ? e.front : entries[x.before].behind) = x.behind;
        (x.behind == none ? e.back : entries[x.behind].before) = x.before;
        e.size--;
    }

    page_map index;
    std::vector<entry> entries;
    std::vector<end> ends;
    std::uint32_t free = none;
};

} // namespace tiered::sim
