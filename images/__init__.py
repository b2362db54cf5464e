# SPDX-License-Identifier: GPL-2.0-or-later
"""Kernels, the driver's module and guest images, made from distribution packages without root."""
from __future__ import annotations

from images.host import BUILD, Problem, cache_dir

__all__ = ["BUILD", "Problem", "cache_dir"]
