#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Tells dracut whether it may stop waiting for devices as far as volumes are concerned.
[ -e /run/tiered-opened ]
