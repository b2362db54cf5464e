# SPDX-License-Identifier: GPL-2.0-or-later
"""The volume and its neighbours side by side: make bench."""
