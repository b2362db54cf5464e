/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * All that the core sees of its surroundings: integer types, byte order, CRC32C and the primitives of
 * persistence. The kernel module maps them onto the kernel's own; in user space a program that runs the
 * protocol (a test, the model checker) supplies tiered_pm_*() itself and so decides what survives a crash.
 */
#ifndef TIERED_CORE_SHIM_H
#define TIERED_CORE_SHIM_H

#ifdef __KERNEL__

#include <linux/bitops.h>
#include <linux/sched.h>
#include <linux/types.h>
#include <linux/string.h>
#include <linux/compiler.h>
#include <linux/errno.h>
#include <linux/crc32c.h>
#include <linux/libnvdimm.h>
#include <asm/barrier.h>
#include <asm/byteorder.h>

/* An aligned 8-byte store into persistent memory: never torn, durable only after flush and fence. */
static inline void tiered_pm_store(__le64 *word, __le64 value)
{
	WRITE_ONCE(*word, value);
}

/* Starts writing the cache line that holds @word back to the medium (clwb or what the CPU has). */
static inline void tiered_pm_flush(const __le64 *word)
{
	arch_wb_cache_pmem((void *)word, sizeof(*word));
}

/* Everything this CPU flushed or stored around the cache before is durable after it. */
static inline void tiered_pm_fence(void)
{
	/* The kernel's barrier for persistence: sfence on x86, more than wmb() where that does not wait for the medium. */
	pmem_wmb();
}

static inline u32 tiered_crc32c(u32 crc, const void *data, size_t bytes)
{
	return crc32c(crc, data, bytes);
}

/* In what takes long: others may want the CPU. In process context without locks that spin. */
static inline void tiered_yield(void)
{
	cond_resched();
}

#else /* user space */

#include <asm/types.h>
#include <endian.h>
#include <errno.h>
#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int32_t s32;
typedef int64_t s64;

#define cpu_to_le16(x) htole16(x)
#define cpu_to_le32(x) htole32(x)
#define cpu_to_le64(x) htole64(x)
#define le16_to_cpu(x) le16toh(x)
#define le32_to_cpu(x) le32toh(x)
#define le64_to_cpu(x) le64toh(x)

#define hweight64(x) ((unsigned int)__builtin_popcountll(x))

static inline void tiered_yield(void)
{
}

#ifdef __cplusplus
extern "C" {
#endif
void tiered_pm_store(__le64 *word, __le64 value);
void tiered_pm_flush(const __le64 *word);
void tiered_pm_fence(void);
u32 tiered_crc32c(u32 crc, const void *data, size_t bytes);
#ifdef __cplusplus
}
#endif

#endif

#endif
