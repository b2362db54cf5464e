// SPDX-License-Identifier: GPL-2.0-or-later
// Device-mapper devices, by libdevmapper.
#include "dm.hpp"

#include "error.hpp"
#include "signals.hpp"
#include "text.hpp"

#include <algorithm>
#include <array>
#include <cstdarg>
#include <cstdio>
#include <libdevmapper.h>
#include <memory>
#include <unistd.h>

namespace tiered {

namespace {

constexpr int log_level_error = 3; // libdevmapper's _LOG_ERR
constexpr int log_level_mask = 7;

/// What libdevmapper complained of last; it would print it to stderr itself.
std::string& last_complaint() {
    static std::string text;
    return text;
}

__attribute__((format(printf, 5, 6))) void keep_complaint(int level, const char*, int, int,
                                                          const char* format, ...) {
    if ((level & log_level_mask) > log_level_error)
        return;
    std::array<char, 512> line;
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(line.data(), line.size(), format, arguments);
    va_end(arguments);
    last_complaint() = line.data();
}

/// Without a running udev nobody makes the nodes in /dev/mapper, and nobody ends a wait for them.
bool udev_runs() {
    return ::access("/run/udev/control", F_OK) == 0;
}

/// False as long as the kernel has no device mapper, which then has no devices either.
bool device_mapper_present() {
    const std::vector<std::string> words = split_words(read_text_file("/proc/misc").value_or(""));
    return std::ranges::find(words, "device-mapper") != words.end();
}

void prepare_library() {
    static const bool prepared = [] {
        ::dm_log_with_errno_init(keep_complaint);
        ::dm_udev_set_sync_support(udev_runs() ? 1 : 0);
        return true;
    }();
    (void)prepared;
}

struct task_deleter {
    void operator()(dm_task* task) const { ::dm_task_destroy(task); }
};

class task {
public:
    explicit task(int type) {
        prepare_library();
        last_complaint().clear();
        handle_.reset(::dm_task_create(type));
        if (!handle_)
            fail("cannot talk to the device mapper: {}", last_complaint());
    }
    task(int type, const std::string& name) : task(type) {
        require(::dm_task_set_name(get(), name.c_str()));
    }

    dm_task* get() const { return handle_.get(); }

    void require(int succeeded) const {
        if (!succeeded)
            fail("the device mapper refused: {}", last_complaint());
    }

    void run() const { require(::dm_task_run(get())); }

    /// Runs and waits until udev has made or removed the nodes.
    void run_and_wait() const {
        std::uint32_t cookie = 0;
        require(::dm_task_set_cookie(get(), &cookie, 0));
        const int succeeded = ::dm_task_run(get());
        const std::string complaint = last_complaint();
        ::dm_udev_wait(cookie);
        if (!succeeded)
            fail("the device mapper refused: {}", complaint);
        ::dm_task_update_nodes();
    }

private:
    std::unique_ptr<dm_task, task_deleter> handle_;
};

struct first_segment {
    std::string target;
    std::string parameters;
    std::uint64_t sectors = 0;
};

first_segment segment_of(const task& done) {
    std::uint64_t start = 0;
    std::uint64_t length = 0;
    char* target = nullptr;
    char* parameters = nullptr;
    ::dm_get_next_target(done.get(), nullptr, &start, &length, &target, &parameters);
    return {target ? target : "", parameters ? parameters : "", length};
}

std::vector<std::string> dm_device_names() {
    const task list(DM_DEVICE_LIST);
    list.run();
    std::vector<std::string> names;
    const dm_names* entry = ::dm_task_get_names(list.get());
    if (!entry || !entry->dev)
        return names;
    for (;;) {
        names.emplace_back(entry->name);
        if (!entry->next)
            return names;
        entry =
            reinterpret_cast<const dm_names*>(reinterpret_cast<const char*>(entry) + entry->next);
    }
}

void load_table(const std::string& name, std::uint64_t sectors, const std::string& parameters,
                bool read_only) {
    const task load(DM_DEVICE_RELOAD, name);
    load.require(::dm_task_add_target(load.get(), 0, sectors, dm_target, parameters.c_str()));
    if (read_only)
        load.require(::dm_task_set_ro(load.get()));
    load.run();
}

/// A file system on the device is not frozen for it: what is under way is waited for.
void swap_table(const std::string& name) {
    const task resume(DM_DEVICE_RESUME, name);
    resume.require(::dm_task_skip_lockfs(resume.get()));
    resume.run_and_wait();
}

} // namespace

std::optional<dm_device> find_dm_device(const std::string& name) {
    if (!device_mapper_present())
        return std::nullopt;
    const task status(DM_DEVICE_STATUS, name);
    status.require(::dm_task_no_flush(status.get()));
    dm_info info{};
    if (!::dm_task_run(status.get())) {
        if (::dm_task_get_errno(status.get()) == ENXIO)
            return std::nullopt;
        fail("the device mapper does not say how {} is: {}", name, last_complaint());
    }
    if (!::dm_task_get_info(status.get(), &info) || !info.exists)
        return std::nullopt;
    const task table(DM_DEVICE_TABLE, name);
    table.require(::dm_task_no_flush(table.get()));
    table.run();

    const first_segment segment = segment_of(status);
    dm_device device;
    device.name = name;
    const char* uuid = ::dm_task_get_uuid(status.get());
    device.uuid = uuid ? uuid : "";
    device.target = segment.target;
    device.status = segment.parameters;
    device.sectors = segment.sectors;
    device.table = segment_of(table).parameters;
    device.major = info.major;
    device.minor = info.minor;
    device.open_count = static_cast<std::uint32_t>(info.open_count);
    // A volume that is memory alone makes its device read-only; the table was loaded for writing.
    device.read_only = info.read_only && device.table.find(" memory_only") == std::string::npos;
    device.suspended = info.suspended;
    return device;
}

std::vector<dm_device> open_dm_volumes() {
    std::vector<dm_device> volumes;
    if (!device_mapper_present())
        return volumes;
    for (const std::string& name : dm_device_names())
        if (auto device = find_dm_device(name); device && device->is_volume())
            volumes.push_back(std::move(*device));
    return volumes;
}

bool dm_target_registered() {
    const task list(DM_DEVICE_LIST_VERSIONS);
    list.run();
    const dm_versions* entry = ::dm_task_get_versions(list.get());
    for (;;) {
        if (std::string_view(entry->name) == dm_target)
            return true;
        if (!entry->next)
            return false;
        entry = reinterpret_cast<const dm_versions*>(reinterpret_cast<const char*>(entry) +
                                                     entry->next);
    }
}

void create_dm_device(const std::string& name, const std::string& uuid, std::uint64_t sectors,
                      const std::string& parameters, bool read_only) {
    const signals_held held; // half a device, with no table, would stand in the way under its name
    const task create(DM_DEVICE_CREATE, name);
    create.require(::dm_task_set_uuid(create.get(), uuid.c_str()));
    create.require(::dm_task_add_target(create.get(), 0, sectors, dm_target, parameters.c_str()));
    if (read_only)
        create.require(::dm_task_set_ro(create.get()));
    create.require(::dm_task_set_add_node(create.get(), DM_ADD_NODE_ON_CREATE));
    create.run_and_wait();
}

void reload_dm_device(const dm_device& device, std::uint64_t sectors,
                      const std::string& parameters) {
    load_table(device.name, sectors, parameters, device.read_only);
    try {
        swap_table(device.name);
    } catch (...) {
        const signals_held held; // half done, the device would stay suspended
        load_table(device.name, device.sectors, device.table, device.read_only);
        swap_table(device.name);
        throw;
    }
}

void suspend_dm_device(const std::string& name) {
    task(DM_DEVICE_SUSPEND, name).run();
}

void resume_dm_device(const std::string& name) {
    task(DM_DEVICE_RESUME, name).run_and_wait();
}

void remove_dm_device(const std::string& name) {
    const task remove(DM_DEVICE_REMOVE, name);
    remove.require(::dm_task_retry_remove(remove.get()));
    remove.run_and_wait();
}

std::string send_dm_message(const std::string& name, const std::string& message) {
    const task send(DM_DEVICE_TARGET_MSG, name);
    send.require(::dm_task_set_sector(send.get(), 0));
    send.require(::dm_task_set_message(send.get(), message.c_str()));
    send.run();
    const char* reply = ::dm_task_get_message_response(send.get());
    return reply ? reply : "";
}

} // namespace tiered
