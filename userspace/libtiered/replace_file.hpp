// SPDX-License-Identifier: GPL-2.0-or-later
// Writing a whole file so that its readers see the old contents or the new, never a part.
#pragma once

#include <string>
#include <string_view>
#include <sys/types.h>

namespace tiered {

/// Replaces `path` by `text`, durably. A file that is there keeps its mode, owner and group; a new
/// one gets `mode`. Throws a sentence and leaves what is there when it cannot be done, or is a
/// symbolic link, a device or anything else but a file.
void replace_file(const std::string& path, std::string_view text, mode_t mode);

} // namespace tiered
