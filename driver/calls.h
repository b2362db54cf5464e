/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The volume as memory by calls: read() and write() of /dev/tiered/NAME, what a debugger reads and writes in a mapping, and
 * the requests of core/ioctl.h. The steps and races stand in README.md, section Memory.
 */
#ifndef TIERED_CALLS_H
#define TIERED_CALLS_H

#include <linux/types.h>

struct iov_iter;
struct kiocb;
struct tiered_hints;
struct tiered_mappings;
struct vm_area_struct;

/*
 * Both return the bytes that went, which are fewer than were asked for at the volume's end and where an error follows, or
 * a negative errno when not one did. What a write took is durable when it returns.
 */
ssize_t tiered_calls_read(struct tiered_mappings *mappings, struct tiered_hints *hints, struct kiocb *iocb,
			  struct iov_iter *to);
ssize_t tiered_calls_write(struct tiered_mappings *mappings, struct kiocb *iocb, struct iov_iter *from);

/*
 * A debugger reads @bytes at @address of a mapping into @buffer, or writes them. Returns how many, at most up to the end of a
 * page, or a negative errno. It does not wait for a volume that is suspended: the mapping's mmap_lock is held.
 */
int tiered_calls_access(struct tiered_mappings *mappings, struct vm_area_struct *vma, unsigned long address,
			void *buffer, int bytes, bool write);

/* A request of core/ioctl.h. @may_write: the file is open for writing. Returns 0 or a negative errno. */
long tiered_calls_ioctl(struct tiered_mappings *mappings, bool may_write, unsigned int request, unsigned long argument);

#endif
