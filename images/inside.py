# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs programs of the guest with systemd on the host, where they take a fraction of the time."""
from __future__ import annotations

import os
import tempfile
from pathlib import Path

from images import guest
from images.host import BUILD, Problem, run
from images.kernels import Kernel

# In a namespace the mounts are gone when it ends, however it ends; what is written to the guest's files stays
# in memory. The parts of an overlay have relative names, which hold neither ':' nor ','.
MOUNT = """\
set -e
scratch=$1 tree=$2 modules=$3 release=$4 share=$5
mount -t tmpfs tmpfs "$scratch/own"
cd "$scratch/own"
mkdir root tree modules built upper work
mount --bind "$tree" tree
mount --bind "$modules" modules
mount --bind "$scratch/overlay" built
mount -t overlay -o userxattr,lowerdir=built:tree,upperdir=upper,workdir=work overlay root
place=usr/lib/modules/$release
mkdir -p "root/$place"
mount -t overlay -o "userxattr,lowerdir=built/$place:modules" overlay "root/$place"
for point in dev proc sys; do
    mount --rbind "/$point" "root/$point"
done
mount --bind "$share" root/mnt/share
exec chroot root /bin/sh -c "$6"
"""


def run_inside(kernel: Kernel, script: str, share: Path) -> str:
    """Run a shell script in a chroot of the guest's user land with what the checkout built, as root there,
    with `share` at /mnt/share, and return its output."""
    namespace = _namespace()
    tree = guest.user_land("systemd")
    built = guest.overlay(kernel, "systemd")
    with tempfile.TemporaryDirectory(dir=BUILD / "guest", prefix="inside-") as name:
        scratch = Path(name)
        (scratch / "own").mkdir()
        run(["cpio", "--quiet", "-id", "-D", scratch, "-F", built])
        return run([*namespace, "sh", "-c", MOUNT, "sh", scratch, tree, kernel.modules, kernel.release, share,
                    script])


def _namespace() -> list[str]:
    if os.geteuid() == 0:
        return ["unshare", "--mount"]
    unshare = ["unshare", "--map-root-user", "--mount"]
    try:
        run([*unshare, "true"])
    except Problem as problem:
        raise Problem("This host lets an ordinary user make no namespaces, which programs of the guest take: "
                      "allow it (sysctl kernel.apparmor_restrict_unprivileged_userns=0), or run this as root."
                      ) from problem
    return unshare
