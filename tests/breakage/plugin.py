# SPDX-License-Identifier: GPL-2.0-or-later
"""Beside the suite's own plugin: runs a test once for each fault that it is to notice, with that planted."""
from __future__ import annotations

import contextlib
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from qemu import VM, VMError

from tests.breakage.faults import Fault, chosen
from tests.harness import pool
from tests.harness.hooks import hook

FAULT = pytest.StashKey[Fault]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Which faults, and where they were built."""
    parser.addoption("--faults", default="", help="names of the faults, with commas")
    text = "folder of what was built with them; without it none is planted"
    parser.addoption("--built", type=Path, default=None, help=text)


def _for_fault(item: pytest.Function, fault: Fault) -> pytest.Function:
    """The test once more, under the name of the fault."""
    make: Any = pytest.Function.from_parent
    again: pytest.Function = make(
        item.parent,
        name=fault.name,
        callspec=getattr(item, "callspec", None),
        callobj=item.obj,
        fixtureinfo=item._fixtureinfo,
        originalname=item.originalname,
    )
    again.stash[FAULT] = fault
    return again


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """One test for each fault, in place of those that were named."""
    known = {item.nodeid: item for item in items if isinstance(item, pytest.Function)}
    faults = chosen(config.getoption("--faults").split(","))
    items[:] = [_for_fault(known[fault.test], fault) for fault in faults]


def _place(vm: VM, fault: Fault) -> str:
    return f"/usr/lib/modules/{vm.release}/extra/dm-tiered.ko" if fault.in_driver else "/usr/sbin/tierctl"


def _plant(vm: VM, fault: Fault, built: Path) -> None:
    place = _place(vm, fault)
    vm.run(f"rmmod dm_tiered; cp {place} /root/whole")
    vm.put(built, place)
    vm.run(f"chmod --reference=/root/whole {place} && modprobe dm-tiered")


def _restore(vm: VM, fault: Fault) -> None:
    # A machine that is lost takes its fault along.
    with contextlib.suppress(VMError):
        if vm.alive:
            vm.run(f"test ! -e /root/whole || mv /root/whole {_place(vm, fault)}")


@hook(hookwrapper=True)
def pytest_runtest_call(item: pytest.Function) -> Generator[None, Any, None]:
    """Plant the fault in the test's machine, or in those that the test makes for itself."""
    folder, fault = item.config.getoption("--built"), item.stash[FAULT]
    if folder is None:
        yield
        return
    built = folder / fault.name
    vm = item.funcargs.get("vm")
    if not isinstance(vm, VM):
        pool.on_boot = lambda booted: _plant(booted, fault, built)
    else:
        _plant(vm, fault, built)
    yield
    pool.on_boot = None
    if isinstance(vm, VM):
        _restore(vm, fault)
