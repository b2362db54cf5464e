// SPDX-License-Identifier: GPL-2.0-or-later
// Any bytes as a trace: CSV, iolog, blkparse, plain and compressed.
#include "fuzz.hpp"
#include "trace_file.hpp"

#include <cstdlib>
#include <sys/mman.h>
#include <unistd.h>

using namespace tiered;

namespace {

/// A file in memory, written anew for each input; its path ends as the reader wants it.
class memory_file {
public:
    explicit memory_file(const char* end) {
        const std::string folder = "/dev/shm/tiered-fuzz-" + std::to_string(::getpid());
        path_ = folder + end;
    }
    ~memory_file() { ::unlink(path_.c_str()); }

    const std::string& put(const std::uint8_t* data, std::size_t size) const {
        std::FILE* file = std::fopen(path_.c_str(), "wb");
        if (!file || std::fwrite(data, 1, size, file) != size || std::fclose(file))
            std::abort();
        return path_;
    }

private:
    std::string path_;
};

void read_all(const std::string& path) {
    sim::trace_file trace(path);
    for (int round = 0; round < 2; round++) {
        sim::request request;
        while (trace.next(request))
            if (request.bytes == 0 || request.end() > sim::largest_offset)
                std::abort();
        trace.rewind();
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const memory_file plain(".csv");
    static const memory_file compressed(".zst");
    fuzz::allow_refusal([&] { read_all(plain.put(data, size)); });
    fuzz::allow_refusal([&] { read_all(compressed.put(data, size)); });
    return 0;
}
