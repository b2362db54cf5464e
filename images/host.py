# SPDX-License-Identifier: GPL-2.0-or-later
"""Small services of the host that the rest of the package shares: folders, locks, commands, stamps."""
from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
# Where things are made; elsewhere when this is no checkout that may be written but an installed package.
BUILD = Path(os.environ.get("TIERED_BUILD", CHECKOUT / "build")).absolute()


class Problem(Exception):
    """Something the user has to know: one sentence that says what is wrong and what to do next."""


def cache_dir() -> Path:
    """Where downloads and everything made from packages alone is kept."""
    override = os.environ.get("TIERED_CACHE")
    path = Path(override) if override else Path.home() / ".cache" / "dm-tiered"
    path = path.absolute()
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Problem(f"The cache folder {path} cannot be made ({error.strerror}): "
                      "set TIERED_CACHE to a folder that you may write.") from error
    return path


def say(text: str) -> None:
    """Report progress of a long step."""
    print(f"images: {text}", file=sys.stderr, flush=True)


def run(command: Sequence[str | Path], *, cwd: Path | None = None, show: bool = False) -> str:
    """Run a command and return its stdout; `show` passes its output on as progress instead.

    Sbin is added to PATH because an ordinary user's PATH on Debian lacks it, and depmod lives there.
    """
    words = [str(word) for word in command]
    path = os.environ.get("PATH", "/usr/bin:/bin") + ":/usr/sbin:/sbin"
    environment = {**os.environ, "PATH": path, "LC_ALL": "C"}
    try:
        # Open files pass on to the command, so that it goes on holding our locks when this process is killed.
        done = subprocess.run(words, cwd=cwd, env=environment, text=True, check=False, close_fds=False,
                              stdin=subprocess.DEVNULL,
                              stdout=sys.stderr if show else subprocess.PIPE,
                              stderr=None if show else subprocess.PIPE)
    except FileNotFoundError as error:
        raise Problem(f"The command {words[0]} is missing: run ci/setup to install it.") from error
    if done.returncode != 0:
        detail = "" if show else "\n" + ((done.stdout or "") + (done.stderr or ""))[-4000:].rstrip()
        raise Problem(f"The command '{' '.join(words)}' failed with status {done.returncode}.{detail}")
    return done.stdout or ""


@contextlib.contextmanager
def locked(name: str, folder: Path | None = None) -> Iterator[None]:
    """Hold the lock `name`, so that two runs at once do not do the same work twice.

    It lies in the folder that it guards, or else in the cache: one checkout may be used with several caches.
    """
    path = (folder or cache_dir()) / "locks" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="ascii") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another run that is busy with {name}")
            fcntl.flock(handle, fcntl.LOCK_EX)
        os.set_inheritable(handle.fileno(), True)
        yield


def digest(*parts: object) -> str:
    """A short content hash of anything JSON can write."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def fingerprint(paths: Sequence[Path]) -> list[tuple[str, int, int]]:
    """What tells quickly whether any of these files changed."""
    result = []
    for path in paths:
        status = path.stat()
        result.append((str(path), status.st_mtime_ns, status.st_size))
    return result


def read_stamp(directory: Path) -> dict[str, str]:
    """The stamp that `make_directory` left, or nothing when the folder is absent or of another time."""
    try:
        content = json.loads((directory / "stamp.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(key): str(value) for key, value in content.items()}


def write_file(path: Path, content: str | bytes) -> None:
    """Write a file so that it is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.unfinished")
    temporary.write_bytes(content.encode() if isinstance(content, str) else content)
    temporary.rename(path)


def remove_tree(path: Path) -> None:
    """Remove a tree that packages made: some of their folders are not writable."""
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.exists():
        for folder, _, _ in os.walk(path):
            with contextlib.suppress(OSError):
                os.chmod(folder, 0o700)
        shutil.rmtree(path)


def make_directory(directory: Path, key: str, fill: Callable[[Path], Mapping[str, str]]) -> dict[str, str]:
    """Return the stamp of `directory`, filling it first when it is missing or was made by another recipe.

    `fill` works in a temporary neighbour that is renamed when it is complete: a run that is killed at any
    point leaves either the old folder, or none, and rubbish that the next run removes.
    """
    stamp = read_stamp(directory)
    if stamp.get("key") == key:
        return stamp
    directory.parent.mkdir(parents=True, exist_ok=True)
    with locked(f"{directory.parent.name}-{directory.name}"):
        stamp = read_stamp(directory)
        if stamp.get("key") == key:
            return stamp
        temporary = directory.with_name(f".{directory.name}.unfinished")
        remove_tree(temporary)
        temporary.mkdir()
        stamp = {**fill(temporary), "key": key}
        write_file(temporary / "stamp.json", json.dumps(stamp, indent=1, sort_keys=True) + "\n")
        remove_tree(directory)
        temporary.rename(directory)
        return stamp
