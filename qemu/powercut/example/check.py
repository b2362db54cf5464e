#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Example: judges an image of records.cpp. check.py IMAGE MARK: records up to MARK must be there."""
import struct
import sys
from pathlib import Path

DATA = 2 << 20  # a device-DAX namespace has its own block before the data
RECORD = struct.Struct("<Q56xQ56x")
RECORDS = 50

image = Path(sys.argv[1]).read_bytes()
for number in range(1, RECORDS + 1):
    contents, found = RECORD.unpack_from(image, DATA + number * RECORD.size)
    if found not in (0, number):
        sys.exit(f"record {number} has the number {found}")
    if found and contents != number * number:
        sys.exit(f"record {number} is valid, but holds {contents}")
    if not found and number <= int(sys.argv[2]):
        sys.exit(f"record {number} was finished and is not there")
