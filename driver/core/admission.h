/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Admission: whether a request that misses becomes resident (a fill) or passes by (bypass). Small requests are
 * admitted, streams are not: a scan would push out pages that return for pages that do not.
 */
#ifndef TIERED_CORE_ADMISSION_H
#define TIERED_CORE_ADMISSION_H

#include "format.h"

#ifdef __cplusplus
extern "C" {
#endif

enum tiered_admission_mode {
	TIERED_ADMIT_SMALL, /* `admission small`, the default: small requests that are not part of a stream */
	TIERED_ADMIT_ALL,   /* `admission all`: everything up to the size that a fill can carry */
	TIERED_ADMIT_NONE,  /* `admission none`: nothing new becomes resident */
	TIERED_ADMIT_THRIFTY, /* `admission thrifty`: what pays, out of time already saved (policy.h decides) */
};

/* The mode called @name, or -EINVAL. */
int tiered_admission_mode_parse(const char *name);
const char *tiered_admission_mode_name(enum tiered_admission_mode mode);

#define TIERED_ADMIT_SMALL_BYTES (64 * 1024)
#define TIERED_STREAM_BYTES (256 * 1024)
#define TIERED_STREAMS 8

/*
 * Recent streams, the least recently continued one first to go. One of these a CPU: it is a guess, and sharing it
 * would cost more than it tells.
 */
struct tiered_streams {
	struct {
		u64 next_sector;
		u32 run_bytes;
		u32 used_at;
	} stream[TIERED_STREAMS];
	u32 clock;
};

enum tiered_admission {
	TIERED_ADMITTED,
	TIERED_PASSED_LARGE,
	TIERED_PASSED_STREAM,
	TIERED_PASSED_MODE, /* `admission none` */
	TIERED_PASSED_PRICE, /* it does not pay, says the policy */
};

/*
 * Notes a request of @bytes at @sector that missed and says whether to admit it, or why not.
 */
enum tiered_admission tiered_admit(struct tiered_streams *streams, enum tiered_admission_mode mode, u64 sector,
				   u32 bytes);

/* Notes a request of @bytes at @sector and says whether it continues another. */
bool tiered_stream_continues(struct tiered_streams *streams, u64 sector, u32 bytes);

#ifdef __cplusplus
}
#endif

#endif
