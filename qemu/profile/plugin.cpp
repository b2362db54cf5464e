// SPDX-License-Identifier: GPL-2.0-or-later
// A TCG plugin that counts what a guest executes, block by block, between two marks.
//
// Marks are those of ../powercut/guest/mark.h: `powercut-mark arm` begins a window, `disarm` ends
// it. Each window is written to a file of its own, OUT.1, OUT.2 and so on, as lines of
//
//     ADDRESS INSTRUCTIONS EXECUTIONS
//
// for each block of code that was executed, with addresses as the guest sees them. Argument:
// out=FILE.
#include "../powercut/qemu_api.hpp"

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <string>
#include <string_view>

extern "C" {
[[gnu::visibility("default")]] extern int qemu_plugin_version;
int qemu_plugin_version = POWERCUT_API;
[[gnu::visibility("default")]] int qemu_plugin_install(qemu_plugin_id_t, const qemu_info_t*, int,
                                                       char**);
void qemu_plugin_register_vcpu_tb_exec_cb(qemu_plugin_tb*, qemu_plugin_vcpu_udata_cb_t,
                                          qemu_plugin_cb_flags, void*);
std::uint64_t qemu_plugin_tb_vaddr(const qemu_plugin_tb*);
}

namespace profile {

namespace {

constexpr std::array<std::uint8_t, 4> mark_head{0x0f, 0x1f, 0x84, 0x00};
constexpr std::array<std::uint8_t, 3> mark_tail{0x00, 0x51, 0x7c};
constexpr std::uint8_t mark_arm = 1;
constexpr std::uint8_t mark_disarm = 2;

/// A translation. QEMU may translate the same code again, so an address can stand in several.
struct block {
    std::uint64_t address;
    std::size_t instructions;
    std::uint64_t executions;
};

std::string out;
std::deque<block> blocks; // never freed: translated code points to them
bool counting;
unsigned windows;

void executed(unsigned, void* data) {
    if (counting)
        static_cast<block*>(data)->executions++;
}

void begin(unsigned, void*) {
    for (block& each : blocks)
        each.executions = 0;
    counting = true;
}

void end(unsigned, void*) {
    if (!counting)
        return;
    counting = false;
    const std::string path = out + "." + std::to_string(++windows);
    std::FILE* file = std::fopen(path.c_str(), "w");
    if (!file) {
        std::fprintf(stderr,
                     "profile: %s cannot be made: give out= a file in a folder that can be "
                     "written.\n",
                     path.c_str());
        std::_Exit(1);
    }
    for (const block& each : blocks)
        if (each.executions)
            std::fprintf(file, "%#llx %zu %llu\n", static_cast<unsigned long long>(each.address),
                         each.instructions, static_cast<unsigned long long>(each.executions));
    std::fclose(file);
}

/// Which mark an instruction is; 0: none.
std::uint8_t mark_of(const qemu_plugin_insn* one) {
    std::array<std::uint8_t, 8> bytes{};
    if (qemu_plugin_insn_size(one) != bytes.size())
        return 0;
#if POWERCUT_API < 3
    std::memcpy(bytes.data(), qemu_plugin_insn_data(one), bytes.size());
#else
    qemu_plugin_insn_data(one, bytes.data(), bytes.size());
#endif
    const bool is_mark = std::memcmp(bytes.data(), mark_head.data(), mark_head.size()) == 0 &&
                         std::memcmp(&bytes[5], mark_tail.data(), mark_tail.size()) == 0;
    return is_mark ? bytes[4] : 0;
}

void translate(qemu_plugin_id_t, qemu_plugin_tb* tb) {
    const std::size_t count = qemu_plugin_tb_n_insns(tb);
    blocks.push_back({qemu_plugin_tb_vaddr(tb), count, 0});
    qemu_plugin_register_vcpu_tb_exec_cb(tb, executed, QEMU_PLUGIN_CB_NO_REGS, &blocks.back());
    for (std::size_t at = 0; at < count; at++) {
        qemu_plugin_insn* one = qemu_plugin_tb_get_insn(tb, at);
        const std::uint8_t mark = mark_of(one);
        if (mark == mark_arm || mark == mark_disarm)
            qemu_plugin_register_vcpu_insn_exec_cb(one, mark == mark_arm ? begin : end,
                                                   QEMU_PLUGIN_CB_NO_REGS, nullptr);
    }
}

} // namespace

} // namespace profile

int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t* info, int argc, char** argv) {
    constexpr std::string_view name = "out=";
    const std::string_view argument = argc == 1 ? argv[0] : "";
    if (!argument.starts_with(name) || argument.size() == name.size()) {
        std::fprintf(stderr, "profile: give out=FILE and nothing else.\n");
        return 1;
    }
    if (info->system.max_vcpus != 1) {
        std::fprintf(stderr, "profile: several processors are not told apart: give -smp 1.\n");
        return 1;
    }
    profile::out = argument.substr(name.size());
    qemu_plugin_register_vcpu_tb_trans_cb(id, profile::translate);
    return 0;
}
