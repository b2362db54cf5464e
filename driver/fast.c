// SPDX-License-Identifier: GPL-2.0-only
/* Access to the memory of the fast tier: mapping it, and knowing what of it is bad. */
#include "fast.h"

#include <linux/blkdev.h>
#include <linux/device-mapper.h>
#include <linux/sched.h>
#include <linux/uaccess.h>

#include "compat/compat.h"
#include "core/format.h"

static void *page_address_of(struct dax_device *dax, pgoff_t page)
{
	void *address = NULL;

	return dax_direct_access(dax, page, 1, DAX_ACCESS, &address, NULL) > 0 ? address : NULL;
}

/* The first page that can be mapped from @page on, in steps of @step, and where it is. */
static void *find_good_page(struct dax_device *dax, pgoff_t start, long pages, long page, long step, long *found)
{
	void *address;

	for (; page >= 0 && page < pages; page += step) {
		address = page_address_of(dax, start + page);
		if (address) {
			*found = page;
			return address;
		}
		cond_resched();
	}
	return NULL;
}

/*
 * The mapping of @pages pages from @start. Asked for all of it, libnvdimm refuses when one page has a bad block; but the
 * mapping is one piece all the same, so any good page tells where it begins. The last good page has to agree.
 */
static void *find_base(struct dax_device *dax, pgoff_t start, long pages)
{
	void *first, *last = NULL, *address;
	long at, at_last;

	if (dax_direct_access(dax, start, pages, DAX_ACCESS, &address, NULL) >= pages)
		return address;
	first = find_good_page(dax, start, pages, 0, 1, &at);
	if (first)
		last = find_good_page(dax, start, pages, pages - 1, -1, &at_last);
	if (!last || last - first != (at_last - at) << TIERED_FRAME_SHIFT)
		return NULL;
	return first - (at << TIERED_FRAME_SHIFT);
}

static int check_kind(struct dm_dev *dev, int dm_major, const char **error)
{
	if (MAJOR(dev->bdev->bd_dev) == dm_major) {
		*error = "is a device-mapper device, whose table could change under the mapping; give the namespace itself";
		return -EINVAL;
	}
	if (!dev->dax_dev) {
		*error = "has no DAX; make it an fsdax namespace with `ndctl create-namespace -f -e NAMESPACE -m fsdax`";
		return -EINVAL;
	}
	if (!dax_synchronous(dev->dax_dev)) {
		*error = "needs a request to the host for each flush (virtio-pmem); use an NVDIMM, whose stores are durable "
			 "by themselves";
		return -EINVAL;
	}
	return 0;
}

int tiered_fast_map(struct tiered_fast *fast, struct dm_dev *dev, int dm_major, const char **error)
{
	u64 bytes = bdev_nr_bytes(dev->bdev), sector = get_start_sect(dev->bdev);
	int r = check_kind(dev, dm_major, error), id;

	if (r)
		return r;
	fast->dax = dev->dax_dev;
	fast->bytes = bytes;
	fast->first_sector = sector;
	*error = "is gone; bind its namespace again";
	if (!tiered_fast_enter(fast, &id))
		return -ENODEV;
	fast->bad_blocks = dev->bdev->bd_disk->bb;
	fast->base = find_base(fast->dax, sector / TIERED_SECTORS_PER_PAGE, bytes >> TIERED_FRAME_SHIFT);
	tiered_fast_leave(id);
	if (fast->base)
		return 0;
	*error = "cannot be mapped; see `ndctl list -NM` and the file badblocks of the device in /sys/block";
	return -EIO;
}

bool tiered_fast_listed_bad(const struct tiered_fast *fast, const void *at, u32 bytes)
{
	u64 offset_bytes = at - fast->base;
	u64 first = offset_bytes >> TIERED_SECTOR_SHIFT;
	u64 end = DIV_ROUND_UP(offset_bytes + bytes, TIERED_SECTOR_BYTES);

	return tiered_badblocks_check(fast->bad_blocks, fast->first_sector + first, end - first);
}

bool tiered_fast_read(const struct tiered_fast *fast, void *to, const void *from, u32 bytes)
{
	return !tiered_fast_is_bad(fast, from, bytes) && !copy_mc_to_kernel(to, from, bytes);
}
