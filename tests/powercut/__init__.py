# SPDX-License-Identifier: GPL-2.0-or-later
"""The power-loss campaign: the driver under the plugin, thousands of images, and faulty drivers that
must be caught. See README.md."""
