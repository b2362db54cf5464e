/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * All differences between kernel versions that the driver meets. Each is found by what the headers define, never by a
 * version number: distributions carry changes back.
 */
#ifndef TIERED_COMPAT_H
#define TIERED_COMPAT_H

#include <linux/blkdev.h>
#include <linux/fs.h>

/* The mode a table was loaded with has a type of its own since block devices have their own open flags. */
#ifdef BLK_OPEN_WRITE
#define TIERED_MODE_WRITE BLK_OPEN_WRITE
#else
#define TIERED_MODE_WRITE FMODE_WRITE
#endif

#endif
