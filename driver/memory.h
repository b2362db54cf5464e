/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The volume as memory: /dev/tiered/NAME, whose shared mappings are the volume's pages. It lives as long as the volume or
 * somebody who has it open, whichever is longer, and while it is open the mapped device is in use.
 */
#ifndef TIERED_MEMORY_H
#define TIERED_MEMORY_H

struct dm_dev;
struct tiered_volume;

/* Of the module. */
int tiered_memory_module_init(void);
void tiered_memory_module_exit(void);

/*
 * Makes the device of @volume, on the fast tier @fast, unless it exists. A volume goes without when that fails, and says so
 * in the log.
 */
void tiered_memory_bring(struct tiered_volume *volume, struct dm_dev *fast);
/* The volume runs, or is suspended, or is closed. May be without. */
void tiered_memory_start(struct tiered_volume *volume);
void tiered_memory_stop(struct tiered_volume *volume);
void tiered_memory_end(struct tiered_volume *volume);

#endif
