// SPDX-License-Identifier: GPL-2.0-or-later
// What a reference decides: which pages are resident. Everything else (costs, widths, dirty pages)
// is the tier's.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

namespace tiered::sim {

struct admission {
    static constexpr std::uint64_t nobody = UINT64_MAX;

    bool admitted = false;
    std::uint64_t evicted = nobody;
};

class replacement {
public:
    virtual ~replacement() = default;

    virtual bool resident(std::uint64_t page) const = 0;
    /// An access: true when the page is resident.
    virtual bool hit(std::uint64_t page) = 0;
    /// Offers a page that is not resident. What is evicted may be the page itself.
    virtual admission offer(std::uint64_t page) = 0;

    /// Before hit() or offer() of an accessed page: the time that its slow access costs, a page's
    /// share of the request.
    virtual void saving(double /*us*/) {}
    /// Before hit() or offer() of an accessed page: when it is accessed next.
    virtual void next_use(std::uint64_t /*access*/) {}
};

/// Makes a reference for a fast tier of so many pages over a device where a random page costs so
/// much.
using replacement_maker =
    std::function<std::unique_ptr<replacement>(std::uint32_t pages, double page_cost_us)>;

struct reference {
    std::string_view name;
    replacement_maker make;
    /// Its decisions depend on the device's costs.
    bool by_device = false;
};

/// LRU, ARC, S3-FIFO, SIEVE, W-TinyLFU, TinyLFU with bypass and ski-rental.
const std::vector<reference>& references();

std::unique_ptr<replacement> make_lru(std::uint32_t pages);
std::unique_ptr<replacement> make_arc(std::uint32_t pages);
std::unique_ptr<replacement> make_s3_fifo(std::uint32_t pages);
std::unique_ptr<replacement> make_sieve(std::uint32_t pages);
std::unique_ptr<replacement> make_w_tinylfu(std::uint32_t pages);
std::unique_ptr<replacement> make_tinylfu_bypass(std::uint32_t pages);
std::unique_ptr<replacement> make_ski_rental(std::uint32_t pages, double page_cost_us);
std::unique_ptr<replacement> make_clairvoyant(std::uint32_t pages);

} // namespace tiered::sim
