/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a program can ask of a volume that it has open as memory (/dev/tiered/NAME), beyond what calls of the kernel say:
 *
 *   TIERED_IOC_COLD     the range will not be used soon: its pages leave the page tables and are the first to leave the fast
 *                       tier. The same as posix_fadvise(POSIX_FADV_DONTNEED). A hint: nothing is promised, and a volume that
 *                       is suspended lets it pass
 *   TIERED_IOC_DISCARD  the range reads as zeroes from here on, in mappings too, and its space on the disk is free where the
 *                       disk can do that; as BLKDISCARD on the block device. Stores to it meanwhile wait. Interrupted by a
 *                       signal that kills, a beginning of the range is discarded
 *
 * Both take a struct tiered_ioc_range and return 0, or -1 with errno:
 *   EINVAL  the range is not made of whole pages of 4096 bytes of the volume, one at least
 *   EBADF   TIERED_IOC_DISCARD: the file is not open for writing
 *   EFAULT  the structure cannot be read
 *   EINTR   the program was killed
 *   EIO     the disk failed
 *   ENODEV  the volume was closed under its users
 *   EROFS   it was made read-only or to write through, or its fast tier is gone
 *   ENOTTY  the request is none of these
 */
#ifndef TIERED_CORE_IOCTL_H
#define TIERED_CORE_IOCTL_H

#include <linux/ioctl.h>
#include <linux/types.h>

struct tiered_ioc_range {
	__u64 offset_bytes; /* from the beginning of the volume */
	__u64 length_bytes;
};

#define TIERED_IOC_TYPE 0xe7

#define TIERED_IOC_COLD _IOW(TIERED_IOC_TYPE, 1, struct tiered_ioc_range)
#define TIERED_IOC_DISCARD _IOW(TIERED_IOC_TYPE, 2, struct tiered_ioc_range)

#endif
