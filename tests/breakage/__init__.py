# SPDX-License-Identifier: GPL-2.0-or-later
"""Breaks the project on purpose, one promise at a time, and requires the test of that promise to go red."""
