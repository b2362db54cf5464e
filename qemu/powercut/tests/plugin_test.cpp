// SPDX-License-Identifier: GPL-2.0-or-later
// The plugin in a program that stands in for QEMU: what it refuses to be loaded into, and what of
// its arguments. Built with FAKE_BARE_QEMU the stand-in lacks what distributions' binaries export.
#include "qemu_api.hpp"

#include <array>
#include <gtest/gtest.h>
#include <string>
#include <vector>

extern "C" {

int qemu_plugin_install(qemu_plugin_id_t, const qemu_info_t*, int, char**);

// What the plugin looks up by name.
[[gnu::visibility("default")]] bool kvm_allowed;
[[gnu::visibility("default")]] bool tcg_allowed = true;
#ifndef FAKE_BARE_QEMU
[[gnu::visibility("default")]] void* qemu_get_cpu(int) {
    return nullptr;
}
[[gnu::visibility("default")]] std::uint64_t x86_cpu_get_phys_page_attrs_debug(void*, std::uint64_t,
                                                                               void*) {
    return 0;
}
[[gnu::visibility("default")]] int cpu_memory_rw_debug(void*, std::uint64_t, void*, std::size_t,
                                                       bool) {
    return 0;
}
[[gnu::visibility("default")]] int x86_cpu_gdb_read_register(void*, GByteArray*, int) {
    return 0;
}
[[gnu::visibility("default")]] std::uint64_t qemu_ram_addr_from_host(void*) {
    return 0;
}
#endif

// What it is linked with. No guest runs here, so nothing of it is called but the registrations.
void qemu_plugin_reset(qemu_plugin_id_t, qemu_plugin_simple_cb_t) {}
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t, qemu_plugin_udata_cb_t, void*) {}
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t, qemu_plugin_vcpu_tb_trans_cb_t) {}
void qemu_plugin_register_vcpu_insn_exec_cb(qemu_plugin_insn*, qemu_plugin_vcpu_udata_cb_t,
                                            qemu_plugin_cb_flags, void*) {}
void qemu_plugin_register_vcpu_mem_cb(qemu_plugin_insn*, qemu_plugin_vcpu_mem_cb_t,
                                      qemu_plugin_cb_flags, qemu_plugin_mem_rw, void*) {}
std::size_t qemu_plugin_tb_n_insns(const qemu_plugin_tb*) {
    return 0;
}
qemu_plugin_insn* qemu_plugin_tb_get_insn(const qemu_plugin_tb*, std::size_t) {
    return nullptr;
}
std::size_t qemu_plugin_insn_size(const qemu_plugin_insn*) {
    return 0;
}
std::uint64_t qemu_plugin_insn_vaddr(const qemu_plugin_insn*) {
    return 0;
}
const void* qemu_plugin_insn_data(const qemu_plugin_insn*) {
    return nullptr;
}
unsigned qemu_plugin_mem_size_shift(qemu_plugin_meminfo_t) {
    return 0;
}
bool qemu_plugin_mem_is_store(qemu_plugin_meminfo_t) {
    return false;
}
qemu_plugin_hwaddr* qemu_plugin_get_hwaddr(qemu_plugin_meminfo_t, std::uint64_t) {
    return nullptr;
}
bool qemu_plugin_hwaddr_is_io(const qemu_plugin_hwaddr*) {
    return true;
}
std::uint64_t qemu_plugin_hwaddr_phys_addr(const qemu_plugin_hwaddr*) {
    return 0;
}
GByteArray* g_byte_array_new() {
    return nullptr;
}
GByteArray* g_byte_array_set_size(GByteArray* bytes, unsigned) {
    return bytes;
}

} // extern "C"

namespace {

qemu_info_t debian_12() {
    return {"x86_64", {0, 1}, true, {1, 1}};
}

/// What the plugin says when it is loaded; empty when it is content.
std::string refusal(const qemu_info_t& host, std::vector<std::string> arguments = {
                                                 "nvdimm=/a", "base=0x100000000", "log=/b"}) {
    std::vector<char*> words;
    for (std::string& argument : arguments)
        words.push_back(argument.data());
    testing::internal::CaptureStderr();
    const int r = qemu_plugin_install(1, &host, static_cast<int>(words.size()), words.data());
    std::string said = testing::internal::GetCapturedStderr();
    EXPECT_EQ(r != 0, !said.empty()) << said;
    return said;
}

void expect_refusal(const std::string& said, const std::string& part) {
    EXPECT_TRUE(said.starts_with("powercut: ") && said.ends_with(".\n")) << said;
    EXPECT_NE(said.find(part), std::string::npos) << said;
}

#ifdef FAKE_BARE_QEMU

TEST(Plugin, RefusesAQemuThatDoesNotTellRegisters) {
    expect_refusal(refusal(debian_12()), "use the QEMU of Debian or Ubuntu");
}

#else

TEST(Plugin, TakesTheQemuItIsMadeFor) {
    EXPECT_EQ(refusal(debian_12()), "");
}

TEST(Plugin, RefusesAnotherInterface) {
    qemu_info_t newer = debian_12();
    newer.version = {2, 4};
    expect_refusal(refusal(newer), "this QEMU has plugin interface 4");
    qemu_info_t unknown = debian_12();
    unknown.version = {9, 9};
    expect_refusal(refusal(unknown), "use powercut-api1.so for QEMU 7.2 to 8.2");
}

TEST(Plugin, RefusesOtherMachines) {
    qemu_info_t arm = debian_12();
    arm.target_name = "aarch64";
    expect_refusal(refusal(arm), "only qemu-system-x86_64");
    qemu_info_t program = debian_12();
    program.system_emulation = false;
    expect_refusal(refusal(program), "only qemu-system-x86_64");
    qemu_info_t wide = debian_12();
    wide.system.max_vcpus = 65;
    expect_refusal(refusal(wide), "give -smp a smaller number");
}

TEST(Plugin, RefusesKvm) {
    kvm_allowed = true;
    expect_refusal(refusal(debian_12()), "KVM runs the guest");
    kvm_allowed = false;
    tcg_allowed = false;
    expect_refusal(refusal(debian_12()), "give -accel tcg");
    tcg_allowed = true;
}

TEST(Plugin, RefusesWrongArguments) {
    const qemu_info_t host = debian_12();
    expect_refusal(refusal(host, {"nvdimm=/a", "log=/b"}),
                   "give nvdimm=FILE, base=ADDRESS and log=");
    expect_refusal(refusal(host, {"base="}), "is not a number");
    expect_refusal(refusal(host, {"base=12x"}), "is not a number");
    expect_refusal(refusal(host, {"mode=some"}), "give light or full");
    expect_refusal(refusal(host, {"arm=later"}), "give mark or start");
    expect_refusal(refusal(host, {"colour"}), "the argument colour is not known");
    expect_refusal(refusal(host, {"nvdimm=/a", "base=0x1", "log=/b", "disk=/no/such/counter"}),
                   "give the counter of a recorded disk");
}

#endif

} // namespace
