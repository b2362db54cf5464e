// SPDX-License-Identifier: GPL-2.0-or-later
// A guest of one page for tests: stores, flushes and fences go into a record as the plugin would
// write it.
#pragma once

#include "recorder.hpp"

#include <filesystem>
#include <gtest/gtest.h>
#include <memory>
#include <string>
#include <unistd.h>
#include <vector>

namespace powercut::test {

class guest {
public:
    explicit guest(bool full = true) : memory(words_per_page), full_(full) {}
    ~guest() { std::filesystem::remove(path); }

    /// Begins to record; what is in the memory by now is durable.
    void arm() { record_ = std::make_unique<recorder>(path, memory, full_, 2); }

    void store(std::uint64_t word, std::uint64_t value, unsigned processor = 0) {
        memory[word] = value;
        if (full_)
            record_->store(processor, word * word_bytes, word_bytes, false, [&] {
                return place{0x100 + word, {}};
            });
    }
    void nt_store(std::uint64_t word, std::uint64_t value, unsigned processor = 0) {
        memory[word] = value;
        record_->store(processor, word * word_bytes, word_bytes, true, [&] {
            return place{0x200 + word, {}};
        });
    }
    void flush(std::uint64_t word, unsigned processor = 0) {
        record_->flush(processor, word * word_bytes, {0x300, {0xffffffff81000000}});
    }
    void fence(unsigned processor = 0) { record_->fence(processor, {0x400, {}}); }

    recorder& record() { return *record_; }

    std::vector<std::uint64_t> memory;
    const std::string path = testing::TempDir() + "powercut-" + std::to_string(getpid()) + ".log";

private:
    bool full_;
    std::unique_ptr<recorder> record_;
};

} // namespace powercut::test
