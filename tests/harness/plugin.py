# SPDX-License-Identifier: GPL-2.0-or-later
"""The pytest plugin that makes a suite of VM tests out of pytest; loaded by tests/run with -p."""
from __future__ import annotations

import contextlib
import random
import re
import signal
from collections.abc import Generator, Iterator
from types import FrameType
from typing import Any

import images
import pytest
from qemu import VM, BootError, LostVM, UsageError, VMError, VMTimeout, accel, process
from qemu.spec import Spec

from tests.harness import gate, pool, settings, shapes, shards, skips, stamps
from tests.harness.hooks import hook
from tests.harness.settings import Settings

SETTINGS = pytest.StashKey[Settings]()
POOL = pytest.StashKey[pool.Pool]()
STAMPS = pytest.StashKey[stamps.Stamps]()
ALLOWED = pytest.StashKey[list[skips.Allowed]]()
DONE = pytest.StashKey[int]()
MACHINE = pytest.StashKey[VM]()
LOG_START = pytest.StashKey[int]()
FAILED = pytest.StashKey[bool]()
OUTCOMES = pytest.StashKey[dict[str, int]]()

# How long a test may take in all, in seconds with KVM; the `limit` marker gives another number.
LIMIT_SECONDS = 60.0
SOAK_STRETCH = 60.0
TAIL_LINES = 40

MARKERS = (
    "vm(nvdimm, disks, kernel, smp, mem, icount, cpu, append, fresh): the machine behind the fixture `vm`",
    "expects_log(regex, reason): lines of the kernel's log that the test provokes on purpose",
    "limit(seconds): how long the test may take, counted for KVM",
    "not_on_debug(reason): the debug kernel lacks something that the test needs, or is too slow for it",
)


class TroubleInLog(Exception):
    """The kernel complained during a test."""


class TooLong(VMTimeout):
    """A test as a whole went beyond its limit."""


# ---- the run ----------------------------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of the suite."""
    settings.add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Read the options once, for all hooks."""
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)
    try:
        chosen = settings.read(config)
    except ValueError as error:
        raise pytest.UsageError(str(error)) from None
    config.stash[SETTINGS] = chosen
    config.stash[POOL] = pool.Pool(chosen.logs)
    outcomes: dict[str, int] = {}
    config.stash[OUTCOMES] = outcomes
    config.stash[DONE] = 0
    try:
        config.stash[ALLOWED] = skips.read(chosen.allowed_skips)
    except (OSError, ValueError) as error:
        raise pytest.UsageError(str(error)) from None
    if chosen.soak:
        config.stash[STAMPS] = stamps.Stamps(chosen)


def pytest_report_header(config: pytest.Config) -> str:
    """What the run runs on."""
    chosen = config.stash[SETTINGS]
    try:
        spec = Spec(kernel=chosen.kernel, accel=chosen.accel)
        machine = VM(spec)
    except (VMError, images.Problem) as error:
        pytest.exit(str(error), returncode=3)
    machine.close()
    verdict = machine.verdict
    return (
        f"QEMU {process.version(spec.qemu)} | accel={verdict.accel} ({verdict.reason}) | "
        f"kernel {machine.release} | seed {chosen.seed}{' | soak' if chosen.soak else ''}"
    )


@hook(trylast=True)  # after -k has chosen
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put tests of one shape next to each other; leave out what an interrupted soak has done."""
    chosen = config.stash[SETTINGS]
    if chosen.soak:
        passed = config.stash[STAMPS].passed
        config.stash[DONE] = sum(item.nodeid in passed for item in items)
        items[:] = [item for item in items if item.nodeid not in passed]
    try:
        shape_of = {item: shapes.of(item, chosen) for item in items}
    except UsageError as error:
        raise pytest.UsageError(str(error)) from None
    others = {
        item
        for item, shape in shape_of.items()
        if _wants_another_kernel(shape, chosen.kernel) or _not_on_debug(item, shape, chosen.kernel)
    }
    _leave_out(config, items, others)
    order: dict[Spec, int] = {}
    for item in items:
        shape = shape_of[item]
        if shape is not None:
            order.setdefault(shape.spec, len(order))

    def place(item: pytest.Item) -> int:
        # What drives no machine of the pool comes last.
        shape = shape_of[item]
        return order[shape.spec] if shape else len(order)

    items.sort(key=place)
    mine = shards.part_of([_weight(item) for item in items], chosen.shard)
    _leave_out(config, items, {item for place, item in enumerate(items) if place not in mine})


def _weight(item: pytest.Item) -> float:
    """A guess of how long a test takes: who asks for more time than usual needs more of it than others do."""
    seconds = _seconds(item)
    return seconds if seconds <= LIMIT_SECONDS else 2 * seconds


def _seconds(item: pytest.Item) -> float:
    """How long a test may take, counted for KVM."""
    marker = item.get_closest_marker("limit")
    return float(marker.args[0]) if marker else LIMIT_SECONDS


def _wants_another_kernel(shape: shapes.Shape | None, chosen: str) -> bool:
    """A run on a kernel of one's choice is about that alone; the debug kernel is used in such a run only."""
    if shape is None or shape.spec.kernel == chosen:
        return False
    return chosen != settings.DEFAULT_KERNEL or shape.spec.kernel == "debug"


def _not_on_debug(item: pytest.Item, shape: shapes.Shape | None, chosen: str) -> bool:
    """Most of the instructions of the debug kernel are those of its checks: counting them says nothing."""
    if chosen != "debug":
        return False
    return item.get_closest_marker("not_on_debug") is not None or (shape is not None and shape.spec.icount)


def _leave_out(config: pytest.Config, items: list[pytest.Item], others: set[pytest.Item]) -> None:
    config.hook.pytest_deselected(items=[item for item in items if item in others])
    items[:] = [item for item in items if item not in others]


@hook(hookwrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Generator[None, Any, None]:
    """A module that skips itself as a whole skips tests that no list names."""
    outcome = yield
    report: pytest.CollectReport = outcome.get_result()
    if report.outcome != "skipped":
        return
    if not _may_skip(collector.config, collector.nodeid, _skip_reason(report.longrepr)):
        report.outcome = "failed"
        report.longrepr = f"{collector.nodeid} was skipped, but is not in the list of tests that may be."


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """End the last machine. A soak in which everything had passed before has passed."""
    session.config.stash[POOL].discard()
    done: int = session.config.stash[DONE]
    if exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED and done:
        session.exitstatus = pytest.ExitCode.OK


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Failures by kind: a lost machine and a timeout are not what a failed assertion is."""
    outcomes = config.stash[OUTCOMES]
    done = config.stash[DONE]
    if done:
        terminalreporter.line(f"{done} more of these tests passed in an earlier run of this soak")
    if outcomes:
        words = ", ".join(f"{count} {word}" for word, count in sorted(outcomes.items()))
        terminalreporter.line(f"outcomes: {words}")


# ---- one test ---------------------------------------------------------------------------------


@contextlib.contextmanager
def _time_limit(item: pytest.Item) -> Iterator[None]:
    chosen = item.config.stash[SETTINGS]
    seconds = _seconds(item)
    machine = item.stash.get(MACHINE, None)
    seconds *= machine.factor if machine else accel.TCG_FACTOR
    if chosen.soak:
        seconds *= SOAK_STRETCH

    def expire(_number: int, _frame: FrameType | None) -> None:
        tail = machine.give_up() if machine else ""
        raise TooLong(f"The test took longer than {seconds:.0f} s.\n{tail}".rstrip())

    before = signal.signal(signal.SIGALRM, expire)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@hook(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool:
    """Call the test within its time limit, then look at the kernel's log."""
    names = pyfuncitem._fixtureinfo.argnames
    with _time_limit(pyfuncitem):
        pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names})
    _check_log(pyfuncitem)
    return True


def _log_of(item: pytest.Item) -> str:
    """The console's output since the test began."""
    machine = item.stash.get(MACHINE, None)
    return machine.console()[item.stash[LOG_START]:] if machine else ""


def _check_log(item: pytest.Item) -> None:
    expected = []
    for marker in item.iter_markers("expects_log"):
        if len(marker.args) != 1 or not marker.kwargs.get("reason"):
            raise pytest.UsageError(f"{item.nodeid}: write expects_log(regex, reason='...').")
        expected.append(gate.Expected(re.compile(marker.args[0]), marker.kwargs["reason"]))
    lines = gate.trouble_in(_log_of(item), expected)
    if lines:
        raise TroubleInLog("The kernel complained during the test:\n" + "\n".join(lines))


def _may_skip(config: pytest.Config, nodeid: str, reason: str) -> bool:
    return any(one.covers(nodeid, reason) for one in config.stash[ALLOWED])


def _skip_reason(longrepr: Any) -> str:
    return str(longrepr[2]) if isinstance(longrepr, tuple) else str(longrepr)


def _word(report: pytest.TestReport, error: BaseException | None) -> str:
    if report.outcome != "failed":
        return report.outcome
    if isinstance(error, VMTimeout):
        return "timeout"
    return "lost" if isinstance(error, (LostVM, BootError)) else "failed"


@hook(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, None]:
    """Name the outcome, refuse skips that are not listed, show the console of what failed."""
    outcome = yield
    report = outcome.get_result()
    reason = _skip_reason(report.longrepr) if report.skipped else ""
    if report.skipped and not _may_skip(item.config, item.nodeid, reason):
        list_name = item.config.stash[SETTINGS].allowed_skips.name
        report.outcome = "failed"
        report.longrepr = f"The test was skipped, but {list_name} does not list it: {reason}"
    report.word = _word(report, call.excinfo.value if call.excinfo else None)
    if report.failed:
        _note_failure(item, report)
    elif report.when == "teardown" and STAMPS in item.config.stash and not item.stash.get(FAILED, False):
        item.config.stash[STAMPS].add(item.nodeid)


def _note_failure(item: pytest.Item, report: Any) -> None:
    item.stash[FAILED] = True
    outcomes = item.config.stash[OUTCOMES]
    outcomes[report.word] = outcomes.get(report.word, 0) + 1
    # Those of the test are copied into each of its reports when that is made.
    for properties in (item.user_properties, report.user_properties):
        properties.append(("outcome", report.word))
    lines = _log_of(item).splitlines()
    if not lines:
        return
    name = re.sub(r"[^A-Za-z0-9.-]+", "-", item.nodeid)
    path = item.config.stash[SETTINGS].logs / "failed" / f"{name}.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    report.sections.append((f"console, its last lines (all in {path})", "\n".join(lines[-TAIL_LINES:])))


def pytest_report_teststatus(report: pytest.TestReport) -> tuple[str, str, str] | None:
    """LOST and TIMEOUT stand where FAILED would."""
    word = getattr(report, "word", "")
    if word not in ("lost", "timeout"):
        return None
    return "failed" if report.when == "call" else "error", word[0].upper(), word.upper()


# ---- fixtures ---------------------------------------------------------------------------------


@pytest.fixture(name="settings", scope="session")
def _settings(request: pytest.FixtureRequest) -> Settings:
    return request.config.stash[SETTINGS]


@pytest.fixture(name="rng")
def _rng(request: pytest.FixtureRequest) -> random.Random:
    """Random choices of this test: the same ones for the same seed."""
    return request.config.stash[SETTINGS].random(request.node.nodeid)


@pytest.fixture(name="vm")
def _vm(request: pytest.FixtureRequest) -> Iterator[VM]:
    """The machine that the test's vm marker declares, clean, with the module loaded."""
    item = request.node
    machines = item.config.stash[POOL]
    shape = shapes.of(item, item.config.stash[SETTINGS])
    if shape is None:
        raise pytest.UsageError(f"{item.nodeid} uses vm but declares no machine: add @pytest.mark.vm(...).")
    machine = machines.get(shape)
    item.stash[MACHINE] = machine
    item.stash[LOG_START] = len(machine.console())
    yield machine
    failed = item.stash.get(FAILED, False)
    if shape.fresh or not machine.alive:
        machines.discard()
        return
    try:
        untainted = pool.clean(machine)
        if not failed:
            _check_log(item)
        if not untainted:
            machines.discard()
    except Exception:
        machines.discard()
        if not failed:  # else this is what the failure left behind
            raise


@pytest.fixture(name="alone")
def _alone(request: pytest.FixtureRequest) -> None:
    """For tests that start machines of their own: none of the suite's runs meanwhile."""
    request.config.stash[POOL].discard()
