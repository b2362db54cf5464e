/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Access to the memory of the fast tier, which may vanish (its namespace is unbound) and may have sectors that cannot
 * be read. Whoever touches it does so between tiered_fast_enter() and tiered_fast_leave(): a namespace that goes waits
 * for them, and is not entered any more.
 */
#ifndef TIERED_FAST_H
#define TIERED_FAST_H

#include <linux/badblocks.h>
#include <linux/dax.h>

struct dm_dev;

struct tiered_fast {
	struct dax_device *dax;
	void *base; /* the device, mapped in one piece */
	u64 bytes;
	struct badblocks *bad_blocks; /* what the kernel knows to be bad; NULL: the device keeps no list */
	u64 first_sector;	      /* of a partition, on the whole device that the list is about */
};

/* False when the namespace is gone. May nest; may be held while sleeping, but keeps the namespace from going. */
static inline bool tiered_fast_enter(const struct tiered_fast *fast, int *id)
{
	*id = dax_read_lock();
	if (likely(dax_alive(fast->dax)))
		return true;
	dax_read_unlock(*id);
	return false;
}

static inline void tiered_fast_leave(int id)
{
	dax_read_unlock(id);
}

/* True when the namespace was unbound under the volume. It does not come back: the volume has to be closed. */
static inline bool tiered_fast_gone(const struct tiered_fast *fast)
{
	int id;

	if (!fast->dax)
		return false;
	if (!tiered_fast_enter(fast, &id))
		return true;
	tiered_fast_leave(id);
	return false;
}

/*
 * Maps @dev for @fast; @dm_major is the major number of device-mapper's devices, of which it must be none. Returns 0, or
 * a negative errno with *@error the predicate of a sentence about the device.
 */
int tiered_fast_map(struct tiered_fast *fast, struct dm_dev *dev, int dm_major, const char **error);

bool tiered_fast_listed_bad(const struct tiered_fast *fast, const void *at, u32 bytes);

static inline bool tiered_fast_has_bad(const struct tiered_fast *fast)
{
	return fast->bad_blocks && unlikely(READ_ONCE(fast->bad_blocks->count));
}

/* True when @bytes at @at lie on a known bad block. Inside enter. */
static inline bool tiered_fast_is_bad(const struct tiered_fast *fast, const void *at, u32 bytes)
{
	return tiered_fast_has_bad(fast) && tiered_fast_listed_bad(fast, at, bytes);
}

/* Copies from the fast tier. Returns false when part of it cannot be read; @to then holds anything. Inside enter. */
bool tiered_fast_read(const struct tiered_fast *fast, void *to, const void *from, u32 bytes);

#endif
