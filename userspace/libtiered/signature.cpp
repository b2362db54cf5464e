// SPDX-License-Identifier: GPL-2.0-or-later
// Signatures, by libblkid.
#include "signature.hpp"

#include "error.hpp"
#include "unique_fd.hpp"

#include <blkid/blkid.h>
#include <fcntl.h>
#include <memory>

namespace tiered {

namespace {

struct probe_deleter {
    void operator()(blkid_probe probe) const { ::blkid_free_probe(probe); }
};
using probe_handle = std::unique_ptr<blkid_struct_probe, probe_deleter>;

unique_fd open_for_probe(const std::string& path, int flags) {
    // libblkid reads into unaligned buffers, which O_DIRECT does not allow.
    unique_fd fd(::open(path.c_str(), flags | O_CLOEXEC));
    if (!fd)
        fail("cannot open {}: {}", path, errno_text(errno));
    return fd;
}

probe_handle new_probe(int fd, const std::string& path) {
    probe_handle probe(::blkid_new_probe());
    if (!probe || ::blkid_probe_set_device(probe.get(), fd, 0, 0))
        fail("cannot look for signatures on {}: {}", path, errno_text(errno));
    ::blkid_probe_enable_superblocks(probe.get(), 1);
    ::blkid_probe_set_superblocks_flags(probe.get(), BLKID_SUBLKS_DEFAULT | BLKID_SUBLKS_MAGIC |
                                                         BLKID_SUBLKS_BADCSUM);
    ::blkid_probe_enable_partitions(probe.get(), 1);
    ::blkid_probe_set_partitions_flags(probe.get(), BLKID_PARTS_MAGIC);
    return probe;
}

std::string value(blkid_probe probe, const char* name) {
    const char* data = nullptr;
    if (::blkid_probe_lookup_value(probe, name, &data, nullptr))
        return {};
    return data;
}

} // namespace

std::string signature::described() const {
    if (ambiguous)
        return "signatures of more than one kind";
    std::string text = fmt::format("data ({})", type);
    if (!label.empty())
        text += fmt::format(" labelled '{}'", label);
    if (!uuid.empty())
        text += fmt::format(" with UUID {}", uuid);
    return text;
}

std::optional<signature> find_signature(const std::string& path) {
    const unique_fd fd = open_for_probe(path, O_RDONLY);
    const probe_handle probe = new_probe(fd.get(), path);
    signature found;
    switch (::blkid_do_safeprobe(probe.get())) {
    case 1:
        return std::nullopt;
    case 0:
        break;
    case -2:
        found.ambiguous = true;
        return found;
    default:
        fail("cannot look for signatures on {}: {}", path, errno_text(errno));
    }
    found.type = value(probe.get(), "TYPE");
    found.uuid = value(probe.get(), "UUID");
    found.label = value(probe.get(), "LABEL");
    if (found.type.empty()) {
        found.type = value(probe.get(), "PTTYPE") + " partition table";
        found.uuid = value(probe.get(), "PTUUID");
    }
    return found;
}

void wipe_signatures(const std::string& path) {
    const unique_fd fd = open_for_probe(path, O_RDWR);
    const probe_handle probe = new_probe(fd.get(), path);
    int r = 0;
    while ((r = ::blkid_do_probe(probe.get())) == 0)
        if (::blkid_do_wipe(probe.get(), 0))
            fail("cannot remove the old signatures from {}: {}", path, errno_text(errno));
    if (r < 0)
        fail("cannot look for signatures on {}: {}", path, errno_text(errno));
    if (::fsync(fd.get()))
        fail("cannot make the removal of old signatures from {} durable: {}", path,
             errno_text(errno));
}

} // namespace tiered
