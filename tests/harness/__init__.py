# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tests share: machines by shape, the gate on the kernel's log, outcomes, soak stamps."""
