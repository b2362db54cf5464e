// SPDX-License-Identifier: GPL-2.0-or-later
// Runs a fuzz target without libFuzzer: each file of a folder as it is, then variants of them for
// some time. TARGET CORPUS SECONDS
//
// Without coverage to guide it this finds little that is new; it keeps what was found from coming
// back.
#include "fuzz.hpp"

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <iterator>
#include <random>
#include <vector>

namespace {

using bytes = std::vector<std::uint8_t>;

std::vector<bytes> read_corpus(const char* folder) {
    std::vector<bytes> corpus;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
        std::ifstream file(entry.path(), std::ios::binary);
        corpus.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
    }
    return corpus;
}

/// Changes, removes or repeats a few bytes.
void vary(bytes& input, std::mt19937& random) {
    for (unsigned changes = 1 + random() % 4; changes > 0 && !input.empty(); changes--) {
        const auto at = static_cast<std::ptrdiff_t>(random() % input.size());
        switch (random() % 4) {
        case 0:
            input[static_cast<std::size_t>(at)] ^= static_cast<std::uint8_t>(1 << random() % 8);
            break;
        case 1:
            input[static_cast<std::size_t>(at)] = static_cast<std::uint8_t>(random());
            break;
        case 2:
            input.erase(input.begin() + at);
            break;
        default:
            input.insert(input.begin() + at, input[random() % input.size()]);
        }
    }
}

} // namespace

int main(int argc, char** argv) {
    if (argc != 3)
        return 2;
    const std::vector<bytes> corpus = read_corpus(argv[1]);
    if (corpus.empty()) {
        fmt::print(stderr, "there is no input in {}\n", argv[1]);
        return 1;
    }
    for (const bytes& input : corpus)
        LLVMFuzzerTestOneInput(input.data(), input.size());
    using clock = std::chrono::steady_clock;
    const auto end = clock::now() + std::chrono::duration<double>(std::atof(argv[2]));
    std::mt19937 random(1);
    std::uint64_t runs = corpus.size();
    for (; clock::now() < end; runs++) {
        bytes input = corpus[random() % corpus.size()];
        vary(input, random);
        LLVMFuzzerTestOneInput(input.data(), input.size());
    }
    fmt::print("{} executions\n", runs);
    return 0;
}
