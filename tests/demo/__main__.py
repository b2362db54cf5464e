# SPDX-License-Identifier: GPL-2.0-or-later
"""Command line of the demo: python3 -m tests.demo."""
import sys

from tests.demo.cli import main

sys.exit(main())
