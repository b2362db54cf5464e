# SPDX-License-Identifier: GPL-2.0-or-later
"""The options that tierctl explains are those that the driver reads, with its defaults and limits."""
from __future__ import annotations

import re
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
DRIVER = (CHECKOUT / "driver/target.c").read_text(encoding="utf-8")
TIERCTL = (CHECKOUT / "userspace/libtiered/volume_options.cpp").read_text(encoding="utf-8")


def _shown() -> dict[str, tuple[str, int]]:
    """Default and largest value of each number that tierctl shows, by name."""
    numbers = re.findall(
        r'volume_option\{\s*"(\w+)",\s*volume_option::kind::number,.*?"(\w+)",\s*\d+,\s*([\d\']+)\}',
        TIERCTL,
        re.DOTALL,
    )
    return {name: (default, int(most.replace("'", ""))) for name, default, most in numbers}


def _define(name: str) -> str:
    match = re.search(rf"^#define {name} (\w+)$", DRIVER, re.MULTILINE)
    assert match, f"driver/target.c does not define {name}"
    return match[1]


def test_defaults_and_limits_are_the_drivers() -> None:
    percent = int(re.findall(r"\{ 1, (\d+), \"A percentage", DRIVER)[0])
    assert _shown() == {
        "dirty_high": (_define("DIRTY_HIGH_PERCENT"), percent),
        "dirty_low": (_define("DIRTY_LOW_PERCENT"), percent),
        "latency_target_us": (_define("LATENCY_TARGET_US"), int(_define("LATENCY_TARGET_US_MAX"))),
    }


def test_every_admission_of_the_driver_is_offered() -> None:
    source = (CHECKOUT / "driver/core/admission.c").read_text(encoding="utf-8")
    known = re.findall(r'\[TIERED_ADMIT_\w+\] = "(\w+)"', source)
    shown = re.search(r"admissions\{(.*?)\}", TIERCTL)
    assert shown and re.findall(r'"(\w+)"', shown[1]) == known


def test_driver_reads_every_option_that_is_shown() -> None:
    names = re.findall(r'volume_option\{\s*"(\w+)"', TIERCTL)
    assert len(names) >= 5
    for name in names:
        assert f'strcasecmp(name, "{name}")' in DRIVER, name
