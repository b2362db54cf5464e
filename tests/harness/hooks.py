# SPDX-License-Identifier: GPL-2.0-or-later
"""pytest.hookimpl with a type, which it has not in every version."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import pytest

Function = TypeVar("Function", bound=Callable[..., Any])


def hook(**options: bool) -> Callable[[Function], Function]:
    """How a plugin's hook is called."""
    mark: Callable[[Function], Function] = pytest.hookimpl(**options)
    return mark
