// SPDX-License-Identifier: GPL-2.0-or-later
// What has to be known of a trace before tiers can be simulated on it.
#include "survey.hpp"

#include "error.hpp"
#include "unique_fd.hpp"

#include <algorithm>
#include <cstdlib>
#include <fcntl.h>
#include <sys/mman.h>
#include <unordered_map>

namespace tiered::sim {

namespace {

/// A bit a page, in pieces where there are pages: a trace may touch any of a million terabytes.
class page_set {
public:
    bool insert(std::uint64_t page) {
        if (!words || page / piece_pages != piece) {
            piece = page / piece_pages;
            words = pieces[piece].data();
        }
        std::uint64_t& word = words[page % piece_pages / 64];
        const std::uint64_t bit = 1ull << page % 64;
        const bool fresh = !(word & bit);
        word |= bit;
        return fresh;
    }

private:
    static constexpr std::uint64_t piece_pages = 512;
    std::unordered_map<std::uint64_t, std::array<std::uint64_t, piece_pages / 64>> pieces;
    std::uint64_t piece = 0;
    std::uint64_t* words = nullptr;
};

unique_fd nameless_file(std::uint64_t bytes) {
    const char* dir = std::getenv("TMPDIR");
    const std::string where = dir ? dir : "/tmp";
    unique_fd fd(::open(where.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    if (!fd || ::ftruncate(fd.get(), static_cast<off_t>(bytes)) != 0)
        fail("a temporary file of {} bytes cannot be made in {}: {}; set TMPDIR to a folder with "
             "room, or leave out the clairvoyant policy",
             bytes, where, errno_text(errno));
    return fd;
}

} // namespace

survey survey_trace(request_source& source, std::span<const device_model> devices,
                    const progress_report& report) {
    survey s;
    s.all_slow_us.resize(devices.size());
    page_set seen;
    std::optional<request> before;
    source.rewind();
    for (request r; source.next(r); before = r) {
        if (report && s.requests % report_every == 0)
            report(source.progress());
        s.requests++;
        s.page_accesses += r.pages();
        s.written_bytes += r.write ? r.bytes : 0;
        for (std::uint64_t page = r.first_page(); page <= r.last_page(); page++)
            s.footprint_pages += seen.insert(page);
        for (std::size_t d = 0; d < devices.size(); d++)
            s.all_slow_us[d] += all_slow_us(devices[d], r, continues(r, before));
    }
    return s;
}

future::future(request_source& source, std::uint64_t page_accesses) {
    const std::uint64_t bytes = std::max<std::uint64_t>(page_accesses, 1) * sizeof(uses[0]);
    const unique_fd fd = nameless_file(bytes);
    void* const map = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
    if (map == MAP_FAILED)
        fail("a temporary file of {} bytes cannot be mapped: {}; leave out the clairvoyant policy",
             bytes, errno_text(errno));
    uses = {static_cast<std::uint64_t*>(map), page_accesses};
    std::unordered_map<std::uint64_t, std::uint64_t> last;
    std::uint64_t number = 0;
    source.rewind();
    for (request r; source.next(r);)
        for (std::uint64_t page = r.first_page(); page <= r.last_page(); page++, number++) {
            const auto [at, fresh] = last.try_emplace(page, number);
            if (!fresh)
                uses[std::exchange(at->second, number)] = number;
            uses[number] = UINT64_MAX;
        }
}

future::~future() {
    ::munmap(uses.data(), std::max<std::size_t>(uses.size_bytes(), sizeof(uses[0])));
}

} // namespace tiered::sim
