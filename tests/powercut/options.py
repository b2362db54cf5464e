# SPDX-License-Identifier: GPL-2.0-or-later
"""The campaign's options, and the runs and faulty drivers that they mean."""
from __future__ import annotations

import argparse

from tests.powercut import mutants
from tests.powercut.campaign import Run

OPERATIONS = 1000
CUTS = 20000


def parser() -> argparse.ArgumentParser:
    """The options that make passes on."""
    top = argparse.ArgumentParser(prog="make powercut")
    top.add_argument("--kernel", default="6.1")
    top.add_argument("--seed", type=int, help="of the only workload and its cuts")
    top.add_argument("--seeds", type=int, default=1,
                     help="how many workloads, each on one and on two processors (default 1)")
    top.add_argument("--cuts", type=int, default=CUTS, help=f"images in all (default {CUTS})")
    top.add_argument("--cut", type=int, help="judge only this image of the kept records of --seed")
    top.add_argument("--mutant", help="only this faulty driver, by name or number; none: only the driver")
    return top


def chosen_mutants(text: str | None) -> tuple[mutants.Mutant, ...]:
    """The faulty drivers that are asked for."""
    if text is None:
        return mutants.MUTANTS
    if text == "none":
        return ()
    for number, mutant in enumerate(mutants.MUTANTS, 1):
        if text in (mutant.name, str(number)):
            return (mutant,)
    raise ValueError(f"there is no mutant {text}: give 1 to {len(mutants.MUTANTS)}, a name, or none")


def clean_runs(options: argparse.Namespace) -> list[Run]:
    """The runs of the driver as it is."""
    seeds = [options.seed] if options.seed is not None else list(range(1, options.seeds + 1))
    return [Run(options.kernel, processors, seed, OPERATIONS) for seed in seeds for processors in (1, 2)]
