#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Installs libtiered and libtiered-memory below the build folder, builds the examples with nothing but what was installed, and
# runs them.
# Usage: build_and_run.sh BUILD_FOLDER EXAMPLE_FOLDER COMPILER SOVERSION
set -eu

build=$1 example=$2 compiler=$3 soversion=$4
root=$build/installed
rm -rf "$root"
for component in libtiered libtiered-memory; do
    DESTDIR=$root cmake --install "$build" --component $component --prefix /usr
done >"$build/install.log"

libraries=$(dirname "$(find "$root" -name libtiered.so)")
PKG_CONFIG_PATH=$libraries/pkgconfig
export PKG_CONFIG_PATH
[ "$(pkg-config --modversion tiered)" != "" ]
# In a folder without the sources, so that only installed headers can be found.
cd "$root"
# build PROGRAM PACKAGE: the example, which then needs the package's library.
build() {
    # shellcheck disable=SC2046
    "$compiler" -std=c++20 -Wall -Wextra -Werror -o "$1" "$example/$1.cpp" $(pkg-config --cflags --libs "$2")
    readelf -d "$1" | grep -q "NEEDED.*\[lib$2.so.$soversion\]" || {
        echo "the example $1 does not ask for lib$2.so.$soversion" >&2
        exit 1
    }
}
build dirty_pages tiered
build visits tiered
build large_map tiered-memory
if readelf -d "$libraries/libtiered.so" | grep -q memkind; then
    echo "libtiered needs memkind, which only libtiered-memory may" >&2
    exit 1
fi
# Nothing of the C++ library, fmt or the core is exported under its own name.
if nm -D --defined-only "$libraries/libtiered.so" "$libraries/libtiered-memory.so" | grep -v ':$' | grep . | c++filt | grep -vE ' (tiered::|tiered_(superblock|geometry)_|(vtable|typeinfo|typeinfo name) for tiered::|TIERED_)'; then
    echo "the libraries export the above" >&2
    exit 1
fi

# A fast tier of nothing but zeros: the library's sentence, not a crash.
truncate -s 4M image
status=0
said=$(LD_LIBRARY_PATH=$libraries ./dirty_pages image 2>&1) || status=$?
if [ $status -ne 1 ] || [ "${said#dirty_pages: image holds no volume: its superblock }" = "$said" ]; then
    echo "without a volume the example exited $status and said: $said" >&2
    exit 1
fi

# And a volume that another program made with the library.
cat >format.cpp <<'END'
#include <tiered.hpp>
int main() {
    tiered::file_storage fast("image", tiered::file_storage::access::exclusive);
    tiered::tier_identity disk;
    disk.size_sectors = 64 * 2048;
    tiered::write_format(fast, tiered::make_superblock(tiered::new_format_spec("demo", disk), fast.size_bytes()));
}
END
# shellcheck disable=SC2046
"$compiler" -std=c++20 -o format format.cpp $(pkg-config --cflags --libs tiered)
LD_LIBRARY_PATH=$libraries ./format
said=$(LD_LIBRARY_PATH=$libraries ./dirty_pages image)
if [ "$said" != "demo: 64.0 MiB, 0 pages dirty" ]; then
    echo "of a new volume the example said: $said" >&2
    exit 1
fi

LD_LIBRARY_PATH=$libraries "$example/run_on_files.sh" "$root/visits" "$root/large_map"
