# SPDX-License-Identifier: GPL-2.0-or-later
"""The campaign's options, and the runs and faulty drivers that they mean."""
from __future__ import annotations

import argparse

from tests.powercut import mutants
from tests.powercut.campaign import Choice, Run

OPERATIONS = 1500
CUTS = 20000
BOOTS = 4


def parser() -> argparse.ArgumentParser:
    """The options that make passes on."""
    top = argparse.ArgumentParser(prog="make powercut")
    top.add_argument("--kernel", default="6.1")
    top.add_argument("--seed", type=_number, help="of the only workload and its cuts")
    top.add_argument("--seeds", type=_number, default=1,
                     help="how many workloads, each on one and on two processors (default 1)")
    top.add_argument("--cuts", type=_number, default=CUTS, help=f"images in all (default {CUTS})")
    top.add_argument("--cut", type=_number,
                     help="make and judge only this image, from the kept records of --seed")
    top.add_argument("--cut-at", choices=("fences", "stacks"), default="fences",
                     help="before every fence and mark, or once for each call stack of them")
    top.add_argument("--lose", choices=("all", "read"), default="all",
                     help="lines that may lose words: all, or those that recovery and readers read")
    top.add_argument("--boots", type=_number, default=BOOTS,
                     help=f"machines that boot from an image and read it whole (default {BOOTS})")
    top.add_argument("--mutant", help="only this faulty driver, by name or number; none: only the driver")
    return top


def _number(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text} is not a number")
    return int(text)


def choice(options: argparse.Namespace) -> Choice:
    """How images are chosen."""
    return Choice(options.cut_at == "stacks", options.lose == "read")


def chosen_mutants(text: str | None) -> tuple[mutants.Mutant, ...]:
    """The faulty drivers that are asked for."""
    if text is None:
        return mutants.MUTANTS
    if text == "none":
        return ()
    for number, mutant in enumerate(mutants.MUTANTS, 1):
        if text in (mutant.name, str(number)):
            return (mutant,)
    raise ValueError(f"There is no mutant {text}: give 1 to {len(mutants.MUTANTS)}, a name, or none.")


def clean_runs(options: argparse.Namespace) -> list[Run]:
    """The runs of the driver as it is."""
    seeds = [options.seed] if options.seed is not None else list(range(1, options.seeds + 1))
    return [Run(options.kernel, processors, seed, OPERATIONS, memory=True)
            for seed in seeds for processors in (1, 2)]
