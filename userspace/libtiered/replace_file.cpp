// SPDX-License-Identifier: GPL-2.0-or-later
// Replacing a file by way of another next to it.
#include "replace_file.hpp"

#include "error.hpp"
#include "unique_fd.hpp"

#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <sys/stat.h>
#include <unistd.h>

namespace tiered {

namespace {

[[noreturn]] void fail_to_write(const std::string& path) {
    fail("{} cannot be written ({}); make its folder writable and room there, then try again", path,
         errno_text(errno));
}

/// The new contents, under a name of their own until they take the old one's place.
class fresh_file {
public:
    explicit fresh_file(const std::string& path) : path_(path), name_(path + ".XXXXXX") {
        fd_ = unique_fd(::mkostemp(name_.data(), O_CLOEXEC));
        if (!fd_)
            fail_to_write(path);
    }
    ~fresh_file() {
        if (!placed_)
            ::unlink(name_.c_str());
    }
    fresh_file(const fresh_file&) = delete;
    fresh_file& operator=(const fresh_file&) = delete;

    void write(std::string_view text) {
        while (!text.empty()) {
            const ssize_t done = ::write(fd_.get(), text.data(), text.size());
            if (done < 0)
                fail_to_write(path_);
            text.remove_prefix(static_cast<std::size_t>(done));
        }
    }

    void take_rights(mode_t mode) {
        struct stat old {};
        const bool there = ::stat(path_.c_str(), &old) == 0;
        if ((there && ::fchown(fd_.get(), old.st_uid, old.st_gid)) ||
            ::fchmod(fd_.get(), there ? old.st_mode & 07777 : mode))
            fail_to_write(path_);
    }

    void place() {
        if (::fsync(fd_.get()) || ::rename(name_.c_str(), path_.c_str()))
            fail_to_write(path_);
        placed_ = true;
    }

private:
    const std::string& path_;
    std::string name_;
    unique_fd fd_;
    bool placed_ = false;
};

/// What is no file has no contents to replace: a new file would take the place of a device's node.
void require_replaceable(const std::string& path) {
    struct stat there {};
    if (::lstat(path.c_str(), &there) || S_ISREG(there.st_mode))
        return;
    fail("{} is {}, in whose place no file is put; name an ordinary file, or one that is not there "
         "yet",
         path, S_ISLNK(there.st_mode) ? "a symbolic link" : "no ordinary file");
}

void sync_folder_of(const std::string& path) {
    const std::filesystem::path parent = std::filesystem::path(path).parent_path();
    const unique_fd folder(
        ::open(parent.empty() ? "." : parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!folder || ::fsync(folder.get()))
        fail_to_write(path);
}

} // namespace

void replace_file(const std::string& path, std::string_view text, mode_t mode) {
    require_replaceable(path);
    fresh_file fresh(path);
    fresh.write(text);
    fresh.take_rights(mode);
    fresh.place();
    sync_folder_of(path);
}

} // namespace tiered
