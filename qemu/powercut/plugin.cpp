// SPDX-License-Identifier: GPL-2.0-or-later
// The TCG plugin: watches what the guest does to one emulated NVDIMM, and has it recorded.
//
// Before it is armed it only looks for marks while QEMU translates. Arming makes QEMU forget all
// translations, so that every instruction that matters is watched from then on, and nothing else
// ever is.
//
// Arguments: nvdimm=FILE,base=ADDRESS,log=FILE and, as needed, mode=light|full, arm=mark|start,
// disk=FILE.
#include "instruction.hpp"
#include "machine.hpp"
#include "qemu_api.hpp"
#include "recorder.hpp"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <fcntl.h>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <sys/mman.h>
#include <system_error>
#include <unistd.h>
#include <vector>

extern "C" {
[[gnu::visibility("default")]] extern int qemu_plugin_version;
int qemu_plugin_version = POWERCUT_API;
[[gnu::visibility("default")]] int qemu_plugin_install(qemu_plugin_id_t, const qemu_info_t*, int,
                                                       char**);
}

namespace powercut {

namespace {

/// What cannot go on; the text is for the user.
struct refusal : std::runtime_error {
    using std::runtime_error::runtime_error;
};

struct options {
    std::string nvdimm;
    std::string log;
    std::string disk;
    std::uint64_t base = 0;
    bool full = false;
    bool at_start = false;
};

/// An instruction that is watched. It lives as long as the plugin, for translated code points to
/// it.
struct watched {
    std::uint64_t pc;
    std::uint64_t end;
    instruction decoded;
    bool known_address;
};

constexpr int rdi = 7;
constexpr int rsi = 6;
constexpr int rsp = 4;
constexpr std::size_t stack_words = 64;
constexpr std::size_t callers_kept = 6;
constexpr std::uint64_t kernel_text = 0xffffffff80000000;
constexpr std::size_t instruction_bytes_max = 15;

/// The number of completed requests, which whoever serves the recorded disk keeps in a file.
class disk_counter {
public:
    explicit disk_counter(const std::string& path) {
        if (path.empty())
            return;
        const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            throw refusal("disk=" + path +
                          " cannot be opened: give the counter of a recorded disk");
        void* page = mmap(nullptr, sizeof(std::uint64_t), PROT_READ, MAP_SHARED, fd, 0);
        close(fd);
        if (page == MAP_FAILED)
            throw refusal("disk=" + path +
                          " cannot be mapped: give the counter of a recorded disk");
        value_ = static_cast<const std::uint64_t*>(page);
    }

    std::uint64_t value() const { return value_ ? __atomic_load_n(value_, __ATOMIC_ACQUIRE) : 0; }

private:
    const std::uint64_t* value_ = nullptr;
};

class plugin {
public:
    plugin(qemu_plugin_id_t id, options chosen, unsigned processors)
        : id_(id), options_(std::move(chosen)), processors_(processors), disk_(options_.disk) {}

    void install();
    void translate(qemu_plugin_tb* tb);
    void arm();
    void finish();

    void on_store(unsigned vcpu, qemu_plugin_meminfo_t info, std::uint64_t vaddr,
                  const watched& from);
    void on_flush(unsigned vcpu, const watched& from);
    void on_fence(unsigned vcpu, const watched& from);
    void on_mark(unsigned vcpu, const watched& from);
    void on_visit(unsigned vcpu, const watched& from);
    void on_whole_cache() { record_->count(end_whole_cache); }

private:
    enum class phase { idle, arming, armed, done };

    void check_machine() const;
    static bool speaks(const qemu_plugin_tb* tb);
    void read_block(const qemu_plugin_tb* tb);
    void watch(qemu_plugin_insn* one, std::size_t at);
    void watch_place(qemu_plugin_insn* one, std::size_t at);
    void note_place(const watched& from, std::uint64_t address);
    const watched* remember(qemu_plugin_insn* one, std::size_t at);
    place where(unsigned vcpu, const watched& from) const;
    std::optional<std::uint64_t> offset_of(unsigned vcpu, const qemu_plugin_hwaddr* address,
                                           std::uint64_t vaddr);
    void find_numbering(unsigned vcpu, std::uint64_t reported, std::uint64_t vaddr);
    std::uint64_t linear_address(unsigned vcpu, const watched& from) const;
    void note_disk() { record_->disk(disk_.value()); }

    qemu_plugin_id_t id_;
    options options_;
    unsigned processors_;
    disk_counter disk_;
    internals machine_;
    phase phase_ = phase::idle;
    std::unique_ptr<nvdimm> memory_;
    std::unique_ptr<recorder> record_;
    std::uint64_t ram_base_ = 0;
    std::optional<std::uint64_t>
        store_base_; ///< what QEMU reports for the first byte of the NVDIMM
    std::deque<watched> watched_;
    std::set<std::uint64_t> places_; ///< instructions whose execution the guest asked to record
    std::vector<instruction> block_;
};

plugin* the_plugin;

[[noreturn]] void give_up(const char* what) {
    std::fprintf(stderr, "powercut: %s.\n", what);
    std::_Exit(1);
}

/// Exceptions must not pass through QEMU's frames, which are C.
template <typename Action>
void guarded(Action action) {
    try {
        action();
    } catch (const std::exception& error) {
        give_up(error.what());
    }
}

const watched& watched_of(void* data) {
    return *static_cast<const watched*>(data);
}

void translate_callback(qemu_plugin_id_t, qemu_plugin_tb* tb) {
    guarded([&] { the_plugin->translate(tb); });
}
void store_callback(unsigned vcpu, qemu_plugin_meminfo_t info, std::uint64_t vaddr, void* data) {
    if (qemu_plugin_mem_is_store(info)) // QEMU 7.2 reports loads as well
        guarded([&] { the_plugin->on_store(vcpu, info, vaddr, watched_of(data)); });
}
void flush_callback(unsigned vcpu, void* data) {
    guarded([&] { the_plugin->on_flush(vcpu, watched_of(data)); });
}
void fence_callback(unsigned vcpu, void* data) {
    guarded([&] { the_plugin->on_fence(vcpu, watched_of(data)); });
}
void mark_callback(unsigned vcpu, void* data) {
    guarded([&] { the_plugin->on_mark(vcpu, watched_of(data)); });
}
void visit_callback(unsigned vcpu, void* data) {
    guarded([&] { the_plugin->on_visit(vcpu, watched_of(data)); });
}
void whole_cache_callback(unsigned, void*) {
    guarded([&] { the_plugin->on_whole_cache(); });
}
void reset_callback(qemu_plugin_id_t) {
    guarded([&] { the_plugin->arm(); });
}
void exit_callback(qemu_plugin_id_t, void*) {
    guarded([&] { the_plugin->finish(); });
}

void plugin::install() {
    qemu_plugin_register_atexit_cb(id_, exit_callback, nullptr);
    qemu_plugin_register_vcpu_tb_trans_cb(id_, translate_callback);
}

/// What can only be told once the guest runs.
void plugin::check_machine() const {
    if (machine_.uses_kvm())
        throw refusal("KVM runs the guest, which no plugin sees: give -accel tcg");
    if (processors_ > 1 && machine_.uses_many_threads())
        throw refusal("nothing orders the stores of several processors: give -accel "
                      "tcg,thread=single or -smp 1");
}

/// All vCPUs stand still.
void plugin::arm() {
    check_machine();
    memory_ = std::make_unique<nvdimm>(options_.nvdimm);
    if (memory_->words().empty())
        throw refusal("QEMU has not mapped nvdimm=" + options_.nvdimm +
                      ": give the file of its memory-backend-file, with share=on");
    ram_base_ = machine_.ram_address(memory_->host()).value_or(options_.base);
    try {
        record_ =
            std::make_unique<recorder>(options_.log, memory_->words(), options_.full, processors_);
    } catch (const std::system_error& error) {
        throw refusal("log=" + options_.log + " cannot be made: " + error.code().message());
    }
    phase_ = phase::armed;
    install();
}

void plugin::finish() {
    if (phase_ != phase::armed)
        return;
    note_disk();
    phase_ = phase::done;
    if (!record_->end())
        throw refusal("log=" + options_.log + " cannot be written: see to space on that disk");
}

using instruction_buffer = std::array<std::uint8_t, instruction_bytes_max>;

/// An instruction's bytes, in `buffer` where QEMU copies them.
std::span<const std::uint8_t> bytes_of(const qemu_plugin_insn* one, instruction_buffer& buffer) {
    const std::size_t size = std::min(qemu_plugin_insn_size(one), buffer.size());
#if POWERCUT_API < 3
    (void)buffer;
    return {static_cast<const std::uint8_t*>(qemu_plugin_insn_data(one)), size};
#else
    return {buffer.data(), qemu_plugin_insn_data(one, buffer.data(), size)};
#endif
}

/// Whether there is a mark in the block: all that matters before arming, and told quickly.
bool plugin::speaks(const qemu_plugin_tb* tb) {
    instruction_buffer buffer;
    const std::size_t count = qemu_plugin_tb_n_insns(tb);
    for (std::size_t at = 0; at < count; at++)
        if (is_mark(bytes_of(qemu_plugin_tb_get_insn(tb, at), buffer)))
            return true;
    return false;
}

void plugin::read_block(const qemu_plugin_tb* tb) {
    const std::size_t count = qemu_plugin_tb_n_insns(tb);
    block_.clear();
    for (std::size_t at = 0; at < count; at++) {
        instruction_buffer buffer;
        block_.push_back(decode(bytes_of(qemu_plugin_tb_get_insn(tb, at), buffer)));
    }
}

void plugin::translate(qemu_plugin_tb* tb) {
    if (phase_ == phase::done)
        return;
    if (phase_ == phase::idle && options_.at_start) {
        phase_ = phase::arming;
        qemu_plugin_reset(id_, reset_callback);
        return;
    }
    if (phase_ != phase::armed && !speaks(tb))
        return;
    read_block(tb);
    for (std::size_t at = 0; at < block_.size(); at++)
        watch(qemu_plugin_tb_get_insn(tb, at), at);
}

const watched* plugin::remember(qemu_plugin_insn* one, std::size_t at) {
    const std::uint64_t pc = qemu_plugin_insn_vaddr(one);
    const instruction& decoded = block_[at];
    std::uint16_t needed = registers_of(decoded.address);
    if (decoded.what == meaning::mark)
        needed = 1u << rdi | 1u << rsi;
    // From version 2 on QEMU brings its copy of the registers up to date for whoever asks.
    const bool known =
        decoded.address.plain && (POWERCUT_API >= 2 || registers_are_known(block_, at, needed));
    watched_.push_back({pc, pc + qemu_plugin_insn_size(one), decoded, known});
    return &watched_.back();
}

void plugin::watch(qemu_plugin_insn* one, std::size_t at) {
    const meaning what = block_[at].what;
    if (what == meaning::mark)
        qemu_plugin_register_vcpu_insn_exec_cb(one, mark_callback, QEMU_PLUGIN_CB_R_REGS,
                                               const_cast<watched*>(remember(one, at)));
    if (phase_ != phase::armed || what == meaning::mark)
        return;
    watch_place(one, at);
    const bool stores = what == meaning::nt_store || (options_.full && block_[at].may_store);
    if (what == meaning::other && !stores)
        return;
    auto* data = const_cast<watched*>(remember(one, at));
    record_->count(end_instrumented);
    if (what == meaning::flush)
        qemu_plugin_register_vcpu_insn_exec_cb(one, flush_callback, QEMU_PLUGIN_CB_R_REGS, data);
    if (what == meaning::fence || what == meaning::locked)
        qemu_plugin_register_vcpu_insn_exec_cb(one, fence_callback, QEMU_PLUGIN_CB_R_REGS, data);
    if (what == meaning::whole_cache)
        qemu_plugin_register_vcpu_insn_exec_cb(one, whole_cache_callback, QEMU_PLUGIN_CB_NO_REGS,
                                               data);
    if (stores)
        qemu_plugin_register_vcpu_mem_cb(one, store_callback, QEMU_PLUGIN_CB_R_REGS,
                                         QEMU_PLUGIN_MEM_W, data);
}

void plugin::watch_place(qemu_plugin_insn* one, std::size_t at) {
    if (places_.contains(qemu_plugin_insn_vaddr(one)))
        qemu_plugin_register_vcpu_insn_exec_cb(one, visit_callback, QEMU_PLUGIN_CB_R_REGS,
                                               const_cast<watched*>(remember(one, at)));
}

/// Addresses of kernel code on the stack: the callers, and what calls before them left there.
place plugin::where(unsigned vcpu, const watched& from) const {
    place found{from.pc, {}};
    if (from.pc < kernel_text)
        return found;
    std::array<std::uint64_t, stack_words> stack{};
    const std::uint64_t top = machine_.register_value(vcpu, rsp);
    const std::size_t count = machine_.read_memory(vcpu, top, stack);
    for (std::size_t at = 0; at < count && found.callers.size() < callers_kept; at++)
        if (stack[at] >= kernel_text && stack[at] < ~std::uint64_t{0xffffff})
            found.callers.push_back(stack[at]);
    return found;
}

/// QEMU 7.2 reports stores by an address of its own for RAM, later versions by the guest's. Both
/// are looked up for the first store that may be the NVDIMM's, which also shows whether `base` is
/// right.
void plugin::find_numbering(unsigned vcpu, std::uint64_t reported, std::uint64_t vaddr) {
    const std::optional<std::uint64_t> real = machine_.physical(vcpu, vaddr);
    if (!real)
        return;
    const std::uint64_t bytes = memory_->bytes();
    const bool by_guest = reported == *real;
    const bool inside = by_guest ? reported - options_.base < bytes : reported - ram_base_ < bytes;
    if (!inside)
        return;
    if (*real - options_.base != reported - (by_guest ? options_.base : ram_base_))
        throw refusal(
            "base= is wrong: the guest stores to the NVDIMM at another address than given; "
            "ask QEMU's monitor for query-memory-devices");
    store_base_ = by_guest ? options_.base : ram_base_;
}

std::optional<std::uint64_t> plugin::offset_of(unsigned vcpu, const qemu_plugin_hwaddr* address,
                                               std::uint64_t vaddr) {
    if (!address || qemu_plugin_hwaddr_is_io(address))
        return std::nullopt;
    const std::uint64_t reported = qemu_plugin_hwaddr_phys_addr(address);
    const std::uint64_t bytes = memory_->bytes();
    if (!store_base_) {
        if (reported - options_.base >= bytes && reported - ram_base_ >= bytes)
            return std::nullopt;
        find_numbering(vcpu, reported, vaddr);
        if (!store_base_)
            return std::nullopt;
    }
    const std::uint64_t offset = reported - *store_base_;
    return offset < bytes ? std::optional(offset) : std::nullopt;
}

void plugin::on_store(unsigned vcpu, qemu_plugin_meminfo_t info, std::uint64_t vaddr,
                      const watched& from) {
    const auto offset = offset_of(vcpu, qemu_plugin_get_hwaddr(info, vaddr), vaddr);
    if (!offset || phase_ != phase::armed)
        return;
    note_disk();
    record_->store(vcpu, *offset, 1u << qemu_plugin_mem_size_shift(info),
                   from.decoded.what == meaning::nt_store, [&] { return where(vcpu, from); });
}

std::uint64_t plugin::linear_address(unsigned vcpu, const watched& from) const {
    const address_form& form = from.decoded.address;
    std::uint64_t address = static_cast<std::uint64_t>(std::int64_t{form.displacement});
    if (form.rip_relative)
        address += from.end;
    if (form.base != no_register)
        address += machine_.register_value(vcpu, form.base);
    if (form.index != no_register)
        address += machine_.register_value(vcpu, form.index) * form.scale;
    return address;
}

void plugin::on_flush(unsigned vcpu, const watched& from) {
    if (phase_ != phase::armed)
        return;
    if (!from.known_address)
        return record_->count(end_unknown_address);
    const auto physical = machine_.physical(vcpu, linear_address(vcpu, from));
    if (!physical || *physical - options_.base >= memory_->bytes())
        return;
    note_disk();
    record_->flush(vcpu, *physical - options_.base, where(vcpu, from));
}

void plugin::on_fence(unsigned vcpu, const watched& from) {
    if (phase_ != phase::armed || !record_->owes(vcpu))
        return;
    note_disk();
    record_->fence(vcpu, where(vcpu, from));
}

void plugin::on_visit(unsigned vcpu, const watched& from) {
    if (phase_ != phase::armed)
        return;
    note_disk();
    record_->visit(vcpu, where(vcpu, from));
}

/// Only what is translated from now on can be watched, and arming has all translated anew.
void plugin::note_place(const watched& from, std::uint64_t address) {
    if (phase_ != phase::idle || options_.at_start)
        throw refusal("the guest asks to watch a place when recording has begun: let it ask first, "
                      "and arm then");
    if (!from.known_address)
        throw refusal("the guest asks to watch a place in a way that cannot be followed: use "
                      "powercut_watch() of mark.h");
    places_.insert(address);
}

void plugin::on_mark(unsigned vcpu, const watched& from) {
    switch (from.decoded.operation) {
    case mark_arm:
        if (phase_ == phase::idle) {
            phase_ = phase::arming;
            qemu_plugin_reset(id_, reset_callback);
        } else if (phase_ == phase::armed) {
            record_->count(end_armed_twice);
        }
        return;
    case mark_disarm:
        return finish();
    case mark_watch:
        return note_place(from, machine_.register_value(vcpu, rdi));
    case mark_value:
        if (phase_ != phase::armed)
            return;
        if (!from.known_address)
            return record_->count(end_unknown_address);
        note_disk();
        return record_->mark(vcpu, machine_.register_value(vcpu, rdi),
                             machine_.register_value(vcpu, rsi));
    default:
        return;
    }
}

std::uint64_t parse_number(const std::string& text) {
    char* end = nullptr;
    const std::uint64_t value = std::strtoull(text.c_str(), &end, 0);
    if (text.empty() || *end)
        throw refusal("base=" + text + " is not a number: write it as 0x140000000");
    return value;
}

bool parse_choice(std::string_view name, std::string_view value, std::string_view yes,
                  std::string_view no) {
    if (value != yes && value != no)
        throw refusal(std::string(name) + "=" + std::string(value) + " is not known: give " +
                      std::string(no) + " or " + std::string(yes));
    return value == yes;
}

options parse(std::span<char* const> arguments) {
    options chosen;
    bool has_base = false;
    for (const char* argument : arguments) {
        const std::string text = argument;
        const auto equals = text.find('=');
        const std::string name = text.substr(0, equals);
        const std::string value = equals == std::string::npos ? "" : text.substr(equals + 1);
        if (name == "nvdimm")
            chosen.nvdimm = value;
        else if (name == "log")
            chosen.log = value;
        else if (name == "disk")
            chosen.disk = value;
        else if (name == "base") {
            chosen.base = parse_number(value);
            has_base = true;
        } else if (name == "mode")
            chosen.full = parse_choice(name, value, "full", "light");
        else if (name == "arm")
            chosen.at_start = parse_choice(name, value, "start", "mark");
        else
            throw refusal("the argument " + name +
                          " is not known: give nvdimm, base, log, mode, arm or disk");
    }
    if (chosen.nvdimm.empty() || chosen.log.empty() || !has_base)
        throw refusal("give nvdimm=FILE, base=ADDRESS and log=FILE");
    return chosen;
}

void check_host(const qemu_info_t& info) {
    const bool known = POWERCUT_API == 1
                           ? info.version.cur == 1
                           : info.version.min <= POWERCUT_API && info.version.cur >= POWERCUT_API;
    if (!known)
        throw refusal(
            "this QEMU has plugin interface " + std::to_string(info.version.cur) +
            ", and this plugin was built for " + std::to_string(POWERCUT_API) +
            ": use powercut-api1.so for QEMU 7.2 to 8.2 and powercut-api4.so from 9.2 on");
    if (!info.system_emulation || std::strcmp(info.target_name, "x86_64") != 0)
        throw refusal("only qemu-system-x86_64 has NVDIMMs that can be followed");
    if (info.system.max_vcpus > static_cast<int>(processors_max))
        throw refusal("more than 64 processors are not followed: give -smp a smaller number");
    if (const std::string missing = internals().missing(); !missing.empty())
        throw refusal(missing);
    if (internals().uses_kvm())
        throw refusal("KVM runs the guest, which no plugin sees: give -accel tcg");
}

} // namespace

} // namespace powercut

int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t* info, int argc, char** argv) {
    using namespace powercut;
    try {
        check_host(*info);
        // Never freed: translated code uses it until the process ends.
        the_plugin = new plugin(id, parse({argv, static_cast<std::size_t>(argc)}),
                                static_cast<unsigned>(info->system.smp_vcpus));
        the_plugin->install();
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "powercut: %s.\n", error.what());
        return 1;
    }
}
