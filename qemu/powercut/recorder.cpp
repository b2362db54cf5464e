// SPDX-License-Identifier: GPL-2.0-or-later
// Compares each event with what the record explains so far, and writes down what is new.
#include "recorder.hpp"

#include <algorithm>

namespace powercut {

recorder::recorder(const std::string& path, std::span<const std::uint64_t> memory, bool full,
                   unsigned processors)
    : memory_(memory), seen_(memory.begin(), memory.end()), full_(full),
      log_(path, {log_magic, memory.size_bytes(), full ? 1u : 0u, processors}) {
    write_image();
}

void recorder::write_image() {
    for (std::size_t at = 0; at < seen_.size(); at += words_per_page) {
        const auto page =
            std::span(seen_).subspan(at, std::min<std::size_t>(words_per_page, seen_.size() - at));
        if (std::ranges::any_of(page, [](std::uint64_t word) { return word != 0; }))
            log_.put({record_type::image, 0, static_cast<std::uint16_t>(page.size()), 0,
                      at / words_per_page},
                     page);
    }
}

std::uint32_t recorder::number_of(const place& from) {
    const auto [entry, is_new] =
        places_.try_emplace(from, static_cast<std::uint32_t>(places_.size() + 1));
    if (is_new)
        log_.put({record_type::site, 0, static_cast<std::uint16_t>(from.callers.size()),
                  entry->second, from.pc},
                 from.callers);
    return entry->second;
}

void recorder::store(unsigned processor, std::uint64_t offset, unsigned bytes, bool around_cache,
                     const std::function<place()>& from) {
    const std::uint64_t first = offset / word_bytes;
    const std::uint64_t last = (offset + bytes - 1) / word_bytes;
    const auto now = memory_.subspan(first, last - first + 1);
    const auto before = std::span(seen_).subspan(first, now.size());
    if (!around_cache && std::ranges::equal(now, before))
        return;
    record head{around_cache ? record_type::nt_store : record_type::store,
                static_cast<std::uint8_t>(processor), static_cast<std::uint16_t>(now.size()), 0,
                first};
    owes_[processor] = owes_[processor] || around_cache;
    std::ranges::copy(now, before.begin());
    if (around_cache && log_.append(head, now))
        return;
    head.site = number_of(from());
    if (around_cache)
        log_.begin_run(head, now);
    else
        log_.put(head, now);
}

/// Words of a line that changed without a store in the record. In light mode that is how cached
/// stores are seen.
void recorder::find_changes(std::uint64_t line, record head) {
    const std::uint64_t end = std::min<std::uint64_t>((line + 1) * words_per_line, memory_.size());
    head.type = record_type::found;
    head.count = 1;
    for (std::uint64_t word = line * words_per_line; word < end; word++) {
        if (seen_[word] == memory_[word])
            continue;
        counters_[end_untracked] += full_;
        head.where = word;
        seen_[word] = memory_[word];
        log_.put(head, std::span(seen_).subspan(word, 1));
    }
}

void recorder::flush(unsigned processor, std::uint64_t offset, const place& from) {
    const std::uint64_t line = offset / line_bytes;
    const record head{record_type::flush, static_cast<std::uint8_t>(processor), 0, number_of(from),
                      line};
    find_changes(line, head);
    log_.put(head);
    owes_[processor] = true;
}

void recorder::fence(unsigned processor, const place& from) {
    if (!owes_[processor])
        return;
    log_.put({record_type::fence, static_cast<std::uint8_t>(processor), 0, number_of(from), 0});
    owes_[processor] = false;
}

void recorder::mark(unsigned processor, std::uint64_t first, std::uint64_t second) {
    log_.put({record_type::mark, static_cast<std::uint8_t>(processor), 1, 0, first},
             std::span(&second, 1));
}

void recorder::visit(unsigned processor, const place& from) {
    log_.put({record_type::visit, static_cast<std::uint8_t>(processor), 0, number_of(from), 0});
}

void recorder::disk(std::uint64_t completed) {
    if (completed <= disk_)
        return;
    disk_ = completed;
    log_.put({record_type::disk, 0, 0, 0, completed});
}

bool recorder::end() {
    if (ended_)
        return true;
    ended_ = true;
    // What is not flushed is not in a light record; but where it has nothing at all, the plugin
    // looked elsewhere.
    if (full_ || places_.empty())
        for (std::size_t word = 0; word < seen_.size(); word++)
            counters_[end_untracked] += seen_[word] != memory_[word];
    log_.put({record_type::end, 0, end_counters, 0, 0}, counters_);
    return log_.flush();
}

} // namespace powercut
