# SPDX-License-Identifier: GPL-2.0-or-later
"""make demo: a volume serves a file system and SQLite, loses its power, and keeps every promise."""
