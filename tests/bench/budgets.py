# SPDX-License-Identifier: GPL-2.0-or-later
"""What a volume may cost for each frame: held by tests/vm/test_budgets.py, and what scale.py reckons with."""
DRAM_BYTES_A_FRAME = 28
METADATA_SHARE = 0.005
INSTRUCTIONS_A_FRAME = 500  # to open it
