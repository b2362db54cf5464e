// SPDX-License-Identifier: GPL-2.0-or-later
// The references: replacement policies of the literature, as their papers describe them.
#include "replacement.hpp"

#include "frequency_sketch.hpp"
#include "queues.hpp"

#include <algorithm>
#include <queue>

namespace tiered::sim {

namespace {

class lru final : public replacement {
public:
    explicit lru(std::uint32_t pages) : capacity(pages), queues(1, pages + 1) {}

    bool resident(std::uint64_t page) const override { return queues.find(page) != queues.none; }

    bool hit(std::uint64_t page) override {
        const std::uint32_t i = queues.find(page);
        if (i == queues.none)
            return false;
        queues.move(i, 0);
        return true;
    }

    admission offer(std::uint64_t page) override {
        admission result{true};
        if (queues.size(0) == capacity)
            result.evicted = queues.remove(queues.oldest(0));
        queues.push(0, page);
        return result;
    }

private:
    const std::uint32_t capacity;
    page_queues queues;
};

/// Megiddo and Modha, "ARC: A Self-Tuning, Low Overhead Replacement Cache", FAST 2003, figure 4.
class arc final : public replacement {
public:
    explicit arc(std::uint32_t pages) : capacity(pages), queues(4, 2 * std::size_t{pages} + 1) {}

    bool resident(std::uint64_t page) const override {
        const int queue = queues.queue_of(page);
        return queue == t1 || queue == t2;
    }

    bool hit(std::uint64_t page) override {
        const std::uint32_t i = queues.find(page);
        if (i == queues.none || queues.at(i).queue > t2)
            return false;
        queues.move(i, t2);
        return true;
    }

    admission offer(std::uint64_t page) override {
        admission result{true};
        const int ghost = queues.queue_of(page);
        if (ghost == b1 || ghost == b2) {
            adapt(ghost);
            result.evicted = replace(ghost == b2);
            queues.move(queues.find(page), t2);
            return result;
        }
        result.evicted = make_room();
        queues.push(t1, page);
        return result;
    }

private:
    enum : std::uint8_t { t1, t2, b1, b2 };

    void adapt(int ghost) {
        const std::uint32_t size1 = queues.size(b1), size2 = queues.size(b2);
        if (ghost == b1)
            target = std::min(capacity, target + std::max(size2 / size1, 1u));
        else
            target -= std::min(target, std::max(size1 / size2, 1u));
    }

    /// Case IV: the page is in none of the queues.
    std::uint64_t make_room() {
        const std::uint32_t recent = queues.size(t1) + queues.size(b1);
        const std::uint32_t all = recent + queues.size(t2) + queues.size(b2);
        if (recent == capacity) {
            if (queues.size(t1) == capacity)
                return queues.remove(queues.oldest(t1));
            queues.remove(queues.oldest(b1));
            return replace(false);
        }
        if (all < capacity)
            return admission::nobody;
        if (all == 2 * capacity)
            queues.remove(queues.oldest(b2));
        return replace(false);
    }

    std::uint64_t replace(bool was_in_b2) {
        const std::uint32_t recent = queues.size(t1);
        if (recent + queues.size(t2) < capacity)
            return admission::nobody;
        const bool from_recent =
            recent > 0 && (recent > target || (was_in_b2 && recent == target) || !queues.size(t2));
        const std::uint32_t victim = queues.oldest(from_recent ? t1 : t2);
        queues.move(victim, from_recent ? b1 : b2);
        return queues.at(victim).page;
    }

    const std::uint32_t capacity;
    std::uint32_t target = 0;
    page_queues queues;
};

/// Yang et al., "FIFO Queues are All You Need for Cache Eviction", SOSP 2023, algorithm 1.
class s3_fifo final : public replacement {
public:
    explicit s3_fifo(std::uint32_t pages)
        : capacity(pages), small_pages(std::max(1u, pages / 10)),
          queues(3, 2 * std::size_t{pages} + 1) {}

    bool resident(std::uint64_t page) const override {
        const int queue = queues.queue_of(page);
        return queue == small || queue == main;
    }

    bool hit(std::uint64_t page) override {
        const std::uint32_t i = queues.find(page);
        if (i == queues.none || queues.at(i).queue == ghost)
            return false;
        queues.at(i).count = static_cast<std::uint8_t>(std::min(queues.at(i).count + 1, 3));
        return true;
    }

    admission offer(std::uint64_t page) override {
        admission result{true};
        if (queues.size(small) + queues.size(main) >= capacity)
            result.evicted = evict();
        const std::uint32_t i = queues.find(page);
        if (i == queues.none) {
            queues.push(small, page);
            return result;
        }
        queues.at(i).count = 0;
        queues.move(i, main);
        return result;
    }

private:
    enum : std::uint8_t { small, main, ghost };

    std::uint64_t evict() {
        std::uint64_t evicted = admission::nobody;
        while (evicted == admission::nobody)
            evicted = queues.size(small) >= small_pages || !queues.size(main) ? evict_small()
                                                                              : evict_main();
        return evicted;
    }

    /// Either a page goes, or one gets on into the main queue.
    std::uint64_t evict_small() {
        const std::uint32_t i = queues.oldest(small);
        if (queues.at(i).count > 1) {
            queues.at(i).count = 0;
            queues.move(i, main);
            return admission::nobody;
        }
        queues.move(i, ghost);
        if (queues.size(ghost) > capacity - small_pages)
            queues.remove(queues.oldest(ghost));
        return queues.at(i).page;
    }

    std::uint64_t evict_main() {
        const std::uint32_t i = queues.oldest(main);
        if (queues.at(i).count == 0)
            return queues.remove(i);
        queues.at(i).count--;
        queues.move(i, main);
        return admission::nobody;
    }

    const std::uint32_t capacity;
    const std::uint32_t small_pages;
    page_queues queues;
};

/// Zhang et al., "SIEVE is Simpler than LRU", NSDI 2024, algorithm 1.
class sieve final : public replacement {
public:
    explicit sieve(std::uint32_t pages) : capacity(pages), queues(1, pages + 1) {}

    bool resident(std::uint64_t page) const override { return queues.find(page) != queues.none; }

    bool hit(std::uint64_t page) override {
        const std::uint32_t i = queues.find(page);
        if (i == queues.none)
            return false;
        queues.at(i).count = 1;
        return true;
    }

    admission offer(std::uint64_t page) override {
        admission result{true};
        if (queues.size(0) == capacity)
            result.evicted = evict();
        queues.push(0, page);
        return result;
    }

private:
    std::uint64_t evict() {
        std::uint32_t i = hand == queues.none ? queues.oldest(0) : hand;
        while (queues.at(i).count) {
            queues.at(i).count = 0;
            const std::uint32_t newer = queues.at(i).before;
            i = newer == queues.none ? queues.oldest(0) : newer;
        }
        hand = queues.at(i).before;
        return queues.remove(i);
    }

    const std::uint32_t capacity;
    std::uint32_t hand = page_queues::none;
    page_queues queues;
};

/// Einziger, Friedman and Manes, "TinyLFU: A Highly Efficient Cache Admission Policy", ACM TOS
/// 2017: a window of 1 % and a segmented LRU of which 80 % are protected.
class w_tinylfu final : public replacement {
public:
    explicit w_tinylfu(std::uint32_t pages)
        : window_pages(std::max(1u, pages / 100)),
          main_pages(pages - std::min(pages, window_pages)), protected_pages(main_pages * 4 / 5),
          queues(3, pages + 2), sketch(pages) {}

    bool resident(std::uint64_t page) const override { return queues.find(page) != queues.none; }

    bool hit(std::uint64_t page) override {
        sketch.add(page);
        const std::uint32_t i = queues.find(page);
        if (i == queues.none)
            return false;
        if (queues.at(i).queue != probation) {
            queues.move(i, queues.at(i).queue);
            return true;
        }
        queues.move(i, protected_);
        if (queues.size(protected_) > protected_pages)
            queues.move(queues.oldest(protected_), probation);
        return true;
    }

    admission offer(std::uint64_t page) override {
        queues.push(window, page);
        if (queues.size(window) <= window_pages)
            return {true};
        const std::uint32_t candidate = queues.oldest(window);
        if (queues.size(probation) + queues.size(protected_) < main_pages) {
            queues.move(candidate, probation);
            return {true};
        }
        const std::uint32_t victim = queues.oldest(queues.size(probation) ? probation : protected_);
        if (victim == queues.none ||
            sketch.estimate(queues.at(candidate).page) <= sketch.estimate(queues.at(victim).page))
            return {true, queues.remove(candidate)};
        queues.move(candidate, probation);
        return {true, queues.remove(victim)};
    }

private:
    enum : std::uint8_t { window, probation, protected_ };

    const std::uint32_t window_pages, main_pages, protected_pages;
    page_queues queues;
    frequency_sketch sketch;
};

/// TinyLFU's admission before a plain LRU: a page that is not more frequent than the victim passes
/// by.
class tinylfu_bypass final : public replacement {
public:
    explicit tinylfu_bypass(std::uint32_t pages)
        : capacity(pages), queues(1, pages + 1), sketch(pages) {}

    bool resident(std::uint64_t page) const override { return queues.find(page) != queues.none; }

    bool hit(std::uint64_t page) override {
        sketch.add(page);
        const std::uint32_t i = queues.find(page);
        if (i == queues.none)
            return false;
        queues.move(i, 0);
        return true;
    }

    admission offer(std::uint64_t page) override {
        admission result{true};
        if (queues.size(0) == capacity) {
            const std::uint32_t victim = queues.oldest(0);
            if (sketch.estimate(page) <= sketch.estimate(queues.at(victim).page))
                return {};
            result.evicted = queues.remove(victim);
        }
        queues.push(0, page);
        return result;
    }

private:
    const std::uint32_t capacity;
    page_queues queues;
    frequency_sketch sketch;
};

/// Ski-rental (Karlin et al., "Competitive Snoopy Caching", 1988): a page is bought when what was
/// paid in rent for it, the savings forgone, exceeds its price, the write that puts it out again.
/// Least recently used pages go.
class ski_rental final : public replacement {
public:
    ski_rental(std::uint32_t pages, double page_cost_us)
        : capacity(pages), cost_us(page_cost_us), queues(2, 5 * std::size_t{pages} + 2) {}

    bool resident(std::uint64_t page) const override { return queues.queue_of(page) == kept; }

    void saving(double us) override { saving_us = us; }

    bool hit(std::uint64_t page) override {
        const std::uint32_t i = queues.find(page);
        if (i == queues.none || queues.at(i).queue == watched)
            return false;
        queues.move(i, kept);
        return true;
    }

    admission offer(std::uint64_t page) override {
        std::uint32_t i = queues.find(page);
        if (i == queues.none)
            i = watch(page);
        // In eighths of the price, rounded, so that savings fit into a byte.
        const double eighths = queues.at(i).count + 8 * saving_us / cost_us + 0.5;
        queues.at(i).count = static_cast<std::uint8_t>(std::clamp(eighths, 0.0, 255.0));
        queues.move(i, watched);
        if (queues.at(i).count <= 8)
            return {};
        admission result{true};
        if (queues.size(kept) == capacity) {
            const std::uint32_t victim = queues.oldest(kept);
            queues.at(victim).count = 0;
            queues.move(victim, watched);
            result.evicted = queues.at(victim).page;
        }
        queues.move(i, kept);
        return result;
    }

private:
    enum : std::uint8_t { kept, watched };

    std::uint32_t watch(std::uint64_t page) {
        if (queues.size(watched) >= 4 * std::uint64_t{capacity})
            queues.remove(queues.oldest(watched));
        return queues.push(watched, page);
    }

    const std::uint32_t capacity;
    const double cost_us;
    double saving_us = 0;
    page_queues queues;
};

/// Belady's MIN with bypass: of all pages and the one that is offered, what is used last goes.
class clairvoyant final : public replacement {
public:
    explicit clairvoyant(std::uint32_t pages) : capacity(pages), index(pages + 1) {
        pages_kept.reserve(pages);
    }

    bool resident(std::uint64_t page) const override { return index.contains(page); }

    void next_use(std::uint64_t access) override { next = access; }

    bool hit(std::uint64_t page) override {
        const std::uint32_t i = index.find(page);
        if (i == page_map::none)
            return false;
        keep(i, page);
        return true;
    }

    admission offer(std::uint64_t page) override {
        if (next == UINT64_MAX)
            return {};
        if (pages_kept.size() < capacity) {
            pages_kept.push_back({});
            keep(static_cast<std::uint32_t>(pages_kept.size() - 1), page);
            return {true};
        }
        drop_outdated();
        const std::uint32_t i = last_used.top().entry;
        if (pages_kept[i].next <= next)
            return {};
        const admission result{true, pages_kept[i].page};
        index.erase(result.evicted);
        keep(i, page);
        return result;
    }

private:
    struct kept {
        std::uint64_t page, next;
    };
    struct candidate {
        std::uint64_t next;
        std::uint32_t entry;
        bool operator<(const candidate& other) const { return next < other.next; }
    };

    void keep(std::uint32_t i, std::uint64_t page) {
        pages_kept[i] = {page, next};
        index.set(page, i);
        last_used.push({next, i});
        if (last_used.size() > 8 * std::size_t{capacity} + 1024)
            rebuild();
    }

    void rebuild() {
        std::vector<candidate> current;
        for (std::uint32_t i = 0; i < pages_kept.size(); i++)
            current.push_back({pages_kept[i].next, i});
        last_used = std::priority_queue<candidate>({}, std::move(current));
    }

    /// A hit leaves the candidate that it made earlier in the heap.
    void drop_outdated() {
        while (pages_kept[last_used.top().entry].next != last_used.top().next)
            last_used.pop();
    }

    const std::uint32_t capacity;
    std::uint64_t next = UINT64_MAX;
    page_map index;
    std::vector<kept> pages_kept;
    std::priority_queue<candidate> last_used;
};

} // namespace

std::unique_ptr<replacement> make_lru(std::uint32_t pages) {
    return std::make_unique<lru>(pages);
}
std::unique_ptr<replacement> make_arc(std::uint32_t pages) {
    return std::make_unique<arc>(pages);
}
std::unique_ptr<replacement> make_s3_fifo(std::uint32_t pages) {
    return std::make_unique<s3_fifo>(pages);
}
std::unique_ptr<replacement> make_sieve(std::uint32_t pages) {
    return std::make_unique<sieve>(pages);
}
std::unique_ptr<replacement> make_w_tinylfu(std::uint32_t pages) {
    return std::make_unique<w_tinylfu>(pages);
}
std::unique_ptr<replacement> make_tinylfu_bypass(std::uint32_t pages) {
    return std::make_unique<tinylfu_bypass>(pages);
}
std::unique_ptr<replacement> make_ski_rental(std::uint32_t pages, double page_cost_us) {
    return std::make_unique<ski_rental>(pages, page_cost_us);
}
std::unique_ptr<replacement> make_clairvoyant(std::uint32_t pages) {
    return std::make_unique<clairvoyant>(pages);
}

const std::vector<reference>& references() {
    const auto of = [](std::unique_ptr<replacement> (*make)(std::uint32_t)) -> replacement_maker {
        return [make](std::uint32_t pages, double) { return make(pages); };
    };
    static const std::vector<reference> all{
        {"lru", of(make_lru)},
        {"arc", of(make_arc)},
        {"s3-fifo", of(make_s3_fifo)},
        {"sieve", of(make_sieve)},
        {"w-tinylfu", of(make_w_tinylfu)},
        {"tinylfu-bypass", of(make_tinylfu_bypass)},
        {"ski-rental", make_ski_rental, true},
    };
    return all;
}

} // namespace tiered::sim
