// SPDX-License-Identifier: GPL-2.0-or-later
// Namespaces through libndctl; the conversion is ndctl's own.
#include "nd_namespace.hpp"

#include "error.hpp"
#include "process.hpp"
#include "text.hpp"

#include <daxctl/libdaxctl.h>
#include <memory>
#include <ndctl/libndctl.h>
#include <nlohmann/json.hpp>
#include <vector>

namespace tiered {

namespace {

struct context_deleter {
    void operator()(ndctl_ctx* context) const { ::ndctl_unref(context); }
};
using context_handle = std::unique_ptr<ndctl_ctx, context_deleter>;

context_handle new_context() {
    ndctl_ctx* context = nullptr;
    if (const int r = ::ndctl_new(&context); r < 0)
        fail("cannot ask for the NVDIMMs of this machine: {}", errno_text(-r));
    return context_handle(context);
}

nd_mode mode_of(ndctl_namespace* ns) {
    switch (::ndctl_namespace_get_mode(ns)) {
    case NDCTL_NS_MODE_FSDAX:
        return nd_mode::fsdax;
    case NDCTL_NS_MODE_SECTOR:
        return nd_mode::sector;
    case NDCTL_NS_MODE_RAW:
        return nd_mode::raw;
    case NDCTL_NS_MODE_DEVDAX:
        return nd_mode::devdax;
    default:
        return nd_mode::unknown;
    }
}

bool gives_dax_device(ndctl_dax* dax, const std::string& kernel_name) {
    daxctl_region* region = ::ndctl_dax_get_daxctl_region(dax);
    if (!region)
        return false;
    daxctl_dev* device;
    daxctl_dev_foreach(region, device) {
        if (kernel_name == ::daxctl_dev_get_devname(device))
            return true;
    }
    return false;
}

bool gives_device(ndctl_namespace* ns, const std::string& kernel_name) {
    const char* block = nullptr;
    if (ndctl_dax* dax = ::ndctl_namespace_get_dax(ns))
        return gives_dax_device(dax, kernel_name);
    if (ndctl_btt* btt = ::ndctl_namespace_get_btt(ns))
        block = ::ndctl_btt_get_block_device(btt);
    else if (ndctl_pfn* pfn = ::ndctl_namespace_get_pfn(ns))
        block = ::ndctl_pfn_get_block_device(pfn);
    else
        block = ::ndctl_namespace_get_block_device(ns);
    return block && kernel_name == block;
}

std::vector<ndctl_namespace*> all_namespaces(ndctl_ctx* context) {
    std::vector<ndctl_namespace*> found;
    ndctl_bus* bus;
    ndctl_region* region;
    ndctl_namespace* ns;
    ndctl_bus_foreach(context, bus) ndctl_region_foreach(bus, region)
        ndctl_namespace_foreach(region, ns) found.push_back(ns);
    return found;
}

} // namespace

const char* nd_namespace::mode_text() const {
    switch (mode) {
    case nd_mode::fsdax:
        return "fsdax";
    case nd_mode::sector:
        return "sector";
    case nd_mode::raw:
        return "raw";
    case nd_mode::devdax:
        return "devdax";
    case nd_mode::unknown:
        break;
    }
    return "unknown";
}

std::string nd_namespace::convert_command() const {
    return fmt::format("ndctl create-namespace -f -e {} -m fsdax", name);
}

std::optional<nd_namespace> find_namespace(const std::string& kernel_name) {
    const context_handle context = new_context();
    for (ndctl_namespace* ns : all_namespaces(context.get()))
        if (gives_device(ns, kernel_name))
            return nd_namespace{::ndctl_namespace_get_devname(ns), mode_of(ns)};
    return std::nullopt;
}

std::string convert_to_fsdax(const nd_namespace& ns) {
    const command_result result =
        run_command({"ndctl", "create-namespace", "-f", "-e", ns.name, "-m", "fsdax"});
    if (result.status)
        fail("ndctl could not turn {} into fsdax mode: {}", ns.name, trimmed(result.err));
    const nlohmann::json made = nlohmann::json::parse(result.out, nullptr, false);
    if (!made.is_object() || !made.contains("blockdev"))
        fail("ndctl turned {} into fsdax mode but named no block device; look at ndctl list -N",
             ns.name);
    return "/dev/" + made["blockdev"].get<std::string>();
}

} // namespace tiered
