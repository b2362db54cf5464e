# SPDX-License-Identifier: GPL-2.0-or-later
"""Command line of the package: python3 -m images fetch|module|overlay|info|key."""
from __future__ import annotations

import argparse
import sys

from images import distribution, guest, kernels, module
from images.host import Problem, cache_dir, digest
from images.variants import VARIANTS


def main() -> int:
    """Run a command; a Problem becomes one sentence on stderr."""
    parser = argparse.ArgumentParser(prog="python3 -m images", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    fetch = verbs.add_parser("fetch", help="fetch and make all that a VM needs")
    fetch.add_argument("--kernel", action="append", help="kernel to fetch; may be repeated (6.1 unless told)")
    fetch.add_argument("--init", choices=sorted(VARIANTS), default="agent", help="what runs the guest")
    fetch.add_argument("--refresh", action="store_true", help="look for newer packages")
    for verb, text in (("module", "build the driver and print the module's path"),
                       ("overlay", "pack what the checkout built and print the archive's path")):
        verbs.add_parser(verb, help=text).add_argument("--kernel", default="6.1")
    verbs.add_parser("info", help="show what is in the cache")
    key = verbs.add_parser("key", help="print a key for caches that changes with the newest packages")
    key.add_argument("--kernel", action="append")
    arguments = parser.parse_args()
    try:
        return run(arguments)
    except Problem as problem:
        print(f"images: {problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def run(arguments: argparse.Namespace) -> int:
    """Dispatch on the verb."""
    if arguments.verb == "fetch":
        if arguments.refresh:
            guest.refresh()
        for name in arguments.kernel or ["6.1"]:
            kernel = kernels.get(name, refresh=arguments.refresh)
            guest.base(kernel, arguments.init)
            print(f"{kernel.name}: {kernel.release} ({kernel.version})")
    elif arguments.verb == "module":
        print(module.build(kernels.get(arguments.kernel)))
    elif arguments.verb == "overlay":
        print(guest.overlay(kernels.get(arguments.kernel)))
    elif arguments.verb == "key":
        print(digest(guest.versions(), [kernels.candidate(name) for name in arguments.kernel or ["6.1"]]))
    else:
        info()
    return 0


def info() -> None:
    """Say what the cache holds."""
    host = distribution.host()
    print(f"host: {host.name} {host.arch}")
    print(f"cache: {cache_dir()}")
    for source in host.kernels:
        kernel = kernels.installed(source.name)
        state = f"{kernel.release} (packages {kernel.version})" if kernel else "not fetched"
        print(f"kernel {source.name}: {state}")


if __name__ == "__main__":
    sys.exit(main())
