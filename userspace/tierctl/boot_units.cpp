// SPDX-License-Identifier: GPL-2.0-or-later
// tierctl boot-units: what systemd's generator of this project runs. Makes links to units out of
// /etc/tiered.d, as systemd.generator(7) wants them.
#include "configuration.hpp"
#include "error.hpp"
#include "unit_name.hpp"
#include "verbs.hpp"

#include <filesystem>
#include <memory>

namespace tierctl {

namespace {

using namespace tiered;
namespace fs = std::filesystem;

struct unit_folders {
    std::string generated;     ///< where links are made
    std::string configuration; ///< what is read
    std::string units = "/usr/lib/systemd/system";
};

/// Has `target` pull in `unit`; `how` is "wants" or "requires".
void link_unit(const unit_folders& folders, const std::string& target, const char* how,
               const std::string& unit, const std::string& file) {
    const fs::path folder = fs::path(folders.generated) / fmt::format("{}.{}", target, how);
    std::error_code ec;
    fs::create_directories(folder, ec);
    fs::remove(folder / unit, ec);
    fs::create_symlink(fs::path(folders.units) / file, folder / unit, ec);
    if (ec)
        fail("{} cannot be made ({}); run this as systemd's generator, with a folder to write to",
             (folder / unit).string(), ec.message());
}

/// The volume is opened at boot, or when somebody wants its device; and who wants the device learns
/// at once that the volume could not be opened.
void link_volume(const unit_folders& folders, const std::string& name) {
    const std::string escaped = unit_escaped(name);
    const std::string unit = fmt::format("tiered@{}.service", escaped);
    link_unit(folders, "sysinit.target", "wants", unit, "tiered@.service");
    link_unit(folders, fmt::format("dev-mapper-{}.device", escaped), "requires", unit,
              "tiered@.service");
}

int make_units(const unit_folders& folders) {
    for (const char* unit : {"tiered-shutdown.service", "tiered-records.service"})
        link_unit(folders, "sysinit.target", "wants", unit, unit);
    const configuration configured = read_configuration(folders.configuration);
    for (const configured_volume& volume : configured.volumes)
        if (volume.open == open_when::boot)
            link_volume(folders, volume.name);
    for (const std::string& complaint : configured.complaints)
        fmt::print(stderr, "tierctl: {}\n", complaint);
    return configured.complaints.empty() ? 0 : 1;
}

} // namespace

void add_boot_units(CLI::App& app, action& chosen) {
    auto folders = std::make_shared<unit_folders>();
    folders->configuration = configuration_folder;
    CLI::App* verb = app.add_subcommand("boot-units", "Make links to systemd's units");
    verb->group("");
    verb->add_option("FOLDER", folders->generated, "Where links are made")->required();
    verb->add_option("--configuration", folders->configuration, "Read instead of /etc/tiered.d");
    verb->callback([folders, &chosen] { chosen = [folders] { return make_units(*folders); }; });
}

} // namespace tierctl
