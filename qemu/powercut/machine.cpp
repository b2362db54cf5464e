// SPDX-License-Identifier: GPL-2.0-or-later
// Reaches into QEMU by the names that its binary exports. Nothing here keeps state of the guest.
#include "machine.hpp"

#include "qemu_api.hpp"

#include <cstring>
#include <dlfcn.h>
#include <fstream>
#include <sstream>
#include <sys/stat.h>
#include <sys/sysmacros.h>

namespace powercut {

namespace {

template <typename Pointer>
Pointer exported(const char* name) {
    return reinterpret_cast<Pointer>(dlsym(RTLD_DEFAULT, name));
}

using get_cpu_t = qemu_cpu* (*)(int);
using physical_t = std::uint64_t (*)(qemu_cpu*, std::uint64_t, void*);
using memory_t = int (*)(qemu_cpu*, std::uint64_t, void*, std::size_t, bool);
using ram_address_t = std::uint64_t (*)(void*);

const auto get_cpu = exported<get_cpu_t>("qemu_get_cpu");
const auto get_physical = exported<physical_t>("x86_cpu_get_phys_page_attrs_debug");
const auto access_memory = exported<memory_t>("cpu_memory_rw_debug");
const auto get_ram_address = exported<ram_address_t>("qemu_ram_addr_from_host");

bool flag(const char* name, bool otherwise) {
    const bool* value = exported<const bool*>(name);
    return value ? *value : otherwise;
}

#if POWERCUT_API < 2
using read_register_t = int (*)(qemu_cpu*, GByteArray*, int);
const auto read_register = exported<read_register_t>("x86_cpu_gdb_read_register");
#endif

/// gdb's order of the registers, by the processor's numbers.
constexpr std::array<int, 16> gdb_number{0, 2, 3, 1, 7, 6, 4, 5, 8, 9, 10, 11, 12, 13, 14, 15};
constexpr std::array<const char*, 16> register_name{"rax", "rcx", "rdx", "rbx", "rsp", "rbp",
                                                    "rsi", "rdi", "r8",  "r9",  "r10", "r11",
                                                    "r12", "r13", "r14", "r15"};

} // namespace

std::string internals::missing() const {
    if (!get_cpu || !get_physical || !access_memory)
        return "This QEMU does not export qemu_get_cpu, x86_cpu_get_phys_page_attrs_debug and "
               "cpu_memory_rw_debug, "
               "without which the address of a flush is not known: use the QEMU of Debian or "
               "Ubuntu";
#if POWERCUT_API < 2
    if (!read_register || !get_ram_address)
        return "This QEMU does not export x86_cpu_gdb_read_register and qemu_ram_addr_from_host, "
               "without which the "
               "address of a flush is not known: use the QEMU of Debian or Ubuntu";
#endif
    return "";
}

bool internals::uses_kvm() const {
    return flag("kvm_allowed", false) || !flag("tcg_allowed", true);
}

bool internals::uses_many_threads() const {
    return flag("mttcg_enabled", true);
}

#if POWERCUT_API < 2

std::uint64_t internals::register_value(unsigned vcpu, int number) const {
    static GByteArray* const bytes = g_byte_array_new();
    g_byte_array_set_size(bytes, 0);
    read_register(get_cpu(static_cast<int>(vcpu)), bytes,
                  gdb_number[static_cast<std::size_t>(number)]);
    std::uint64_t value = 0;
    std::memcpy(&value, bytes->data, std::min<std::size_t>(bytes->len, sizeof(value)));
    return value;
}

#else

namespace {

/// The handle of a register. QEMU gives the same ones for all processors of a kind.
qemu_plugin_register* handle_of(int number) {
    static const std::array<qemu_plugin_register*, 16> handles = [] {
        std::array<qemu_plugin_register*, 16> found{};
        const GArray* all = qemu_plugin_get_registers();
        const auto* descriptors = reinterpret_cast<const qemu_plugin_reg_descriptor*>(all->data);
        for (unsigned at = 0; at < all->len; at++)
            for (std::size_t one = 0; one < found.size(); one++)
                if (std::strcmp(descriptors[at].name, register_name[one]) == 0)
                    found[one] = descriptors[at].handle;
        return found;
    }();
    return handles[static_cast<std::size_t>(number)];
}

} // namespace

std::uint64_t internals::register_value(unsigned, int number) const {
    static GByteArray* const bytes = g_byte_array_new();
    g_byte_array_set_size(bytes, 0);
    qemu_plugin_read_register(handle_of(number), bytes);
    std::uint64_t value = 0;
    std::memcpy(&value, bytes->data, std::min<std::size_t>(bytes->len, sizeof(value)));
    return value;
}

#endif

std::size_t internals::read_memory(unsigned vcpu, std::uint64_t vaddr,
                                   std::span<std::uint64_t> to) const {
    return access_memory(get_cpu(static_cast<int>(vcpu)), vaddr, to.data(), to.size_bytes(),
                         false) == 0
               ? to.size()
               : 0;
}

std::optional<std::uint64_t> internals::physical(unsigned vcpu, std::uint64_t vaddr) const {
    alignas(16) std::array<std::byte, 64>
        attributes{}; // a MemTxAttrs, whose size differs by version
    const std::uint64_t page = get_physical(get_cpu(static_cast<int>(vcpu)),
                                            vaddr & ~std::uint64_t{0xfff}, attributes.data());
    if (page == ~std::uint64_t{0})
        return std::nullopt;
    return page | (vaddr & 0xfff);
}

std::optional<std::uint64_t> internals::ram_address(void* host) const {
    if (!get_ram_address)
        return std::nullopt;
    const std::uint64_t address = get_ram_address(host);
    return address == ~std::uint64_t{0} ? std::nullopt : std::optional(address);
}

nvdimm::nvdimm(const std::string& path) {
    struct stat file {};
    if (stat(path.c_str(), &file) != 0)
        return;
    std::ifstream maps("/proc/self/maps");
    for (std::string line; std::getline(maps, line);) {
        std::istringstream fields(line);
        std::string range, mode, offset, device;
        std::uint64_t inode = 0;
        fields >> range >> mode >> offset >> device >> inode;
        unsigned major_number = 0, minor_number = 0;
        std::sscanf(device.c_str(), "%x:%x", &major_number, &minor_number);
        if (inode != file.st_ino || makedev(major_number, minor_number) != file.st_dev ||
            std::stoull(offset, nullptr, 16) != 0)
            continue;
        const std::uint64_t start = std::stoull(range, nullptr, 16);
        words_ = {reinterpret_cast<std::uint64_t*>(start),
                  static_cast<std::size_t>(file.st_size) / 8};
        return;
    }
}

} // namespace powercut
