/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tracepoints (events/tiered in tracefs). `dev` is the volume's device number, `page` a 4 KiB index of the volume,
 * `frame` a frame number.
 *
 *   tiered_request    one for each piece of a request that is decided about at once: its sector and bytes, and whether
 *                     frames serve it (read_hit, write_fast), its home does (read_miss, write_bypass) or it waits (parked)
 *   tiered_fill       a page that passed became resident, or was dropped since it is not sure to be current
 *   tiered_evict      a clean frame was freed to make room
 *   tiered_writeback  a batch has ended: its pages, those that are clean now
 *   tiered_bad_frame  a frame turned out unreadable; lost: it alone had its page
 *   tiered_state      the volume's state as enum tiered_state
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM tiered

#if !defined(TIERED_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define TIERED_TRACE_H

#include <linux/types.h>

#include <linux/kdev_t.h>
#include <linux/tracepoint.h>

#ifndef TIERED_TRACE_DECISIONS
#define TIERED_TRACE_DECISIONS
enum tiered_decision {
	TIERED_DECIDED_READ_HIT,
	TIERED_DECIDED_READ_MISS,
	TIERED_DECIDED_WRITE_FAST,
	TIERED_DECIDED_WRITE_BYPASS,
	TIERED_DECIDED_PARKED,
};
#endif

TRACE_EVENT(tiered_request,
	TP_PROTO(dev_t dev, u64 sector, u32 bytes, unsigned int decision),
	TP_ARGS(dev, sector, bytes, decision),
	TP_STRUCT__entry(
		__field(u64, sector)
		__field(u32, dev)
		__field(u32, bytes)
		__field(u32, decision)
	),
	TP_fast_assign(
		__entry->dev = dev;
		__entry->sector = sector;
		__entry->bytes = bytes;
		__entry->decision = decision;
	),
	TP_printk("dev=%u:%u sector=%llu bytes=%u %s", MAJOR(__entry->dev), MINOR(__entry->dev), __entry->sector,
		  __entry->bytes,
		  __print_symbolic(__entry->decision, { TIERED_DECIDED_READ_HIT, "read_hit" },
				   { TIERED_DECIDED_READ_MISS, "read_miss" }, { TIERED_DECIDED_WRITE_FAST, "write_fast" },
				   { TIERED_DECIDED_WRITE_BYPASS, "write_bypass" }, { TIERED_DECIDED_PARKED, "parked" }))
);

TRACE_EVENT(tiered_fill,
	TP_PROTO(dev_t dev, u64 page, bool filled),
	TP_ARGS(dev, page, filled),
	TP_STRUCT__entry(
		__field(u64, page)
		__field(u32, dev)
		__field(bool, filled)
	),
	TP_fast_assign(
		__entry->dev = dev;
		__entry->page = page;
		__entry->filled = filled;
	),
	TP_printk("dev=%u:%u page=%llu %s", MAJOR(__entry->dev), MINOR(__entry->dev), __entry->page,
		  __entry->filled ? "filled" : "dropped")
);

TRACE_EVENT(tiered_evict,
	TP_PROTO(dev_t dev, u64 page, u32 frame),
	TP_ARGS(dev, page, frame),
	TP_STRUCT__entry(
		__field(u64, page)
		__field(u32, dev)
		__field(u32, frame)
	),
	TP_fast_assign(
		__entry->dev = dev;
		__entry->page = page;
		__entry->frame = frame;
	),
	TP_printk("dev=%u:%u page=%llu frame=%u", MAJOR(__entry->dev), MINOR(__entry->dev), __entry->page, __entry->frame)
);

TRACE_EVENT(tiered_writeback,
	TP_PROTO(dev_t dev, u32 pages, u32 written),
	TP_ARGS(dev, pages, written),
	TP_STRUCT__entry(
		__field(u32, dev)
		__field(u32, pages)
		__field(u32, written)
	),
	TP_fast_assign(
		__entry->dev = dev;
		__entry->pages = pages;
		__entry->written = written;
	),
	TP_printk("dev=%u:%u pages=%u written=%u", MAJOR(__entry->dev), MINOR(__entry->dev), __entry->pages,
		  __entry->written)
);

TRACE_EVENT(tiered_bad_frame,
	TP_PROTO(dev_t dev, u64 page, u32 frame, bool lost),
	TP_ARGS(dev, page, frame, lost),
	TP_STRUCT__entry(
		__field(u64, page)
		__field(u32, dev)
		__field(u32, frame)
		__field(bool, lost)
	),
	TP_fast_assign(
		__entry->dev = dev;
		__entry->page = page;
		__entry->frame = frame;
		__entry->lost = lost;
	),
	TP_printk("dev=%u:%u page=%llu frame=%u %s", MAJOR(__entry->dev), MINOR(__entry->dev), __entry->page,
		  __entry->frame, __entry->lost ? "lost" : "whole at home")
);

TRACE_EVENT(tiered_state,
	TP_PROTO(dev_t dev, unsigned int state),
	TP_ARGS(dev, state),
	TP_STRUCT__entry(
		__field(u32, dev)
		__field(u32, state)
	),
	TP_fast_assign(
		__entry->dev = dev;
		__entry->state = state;
	),
	TP_printk("dev=%u:%u state=%u", MAJOR(__entry->dev), MINOR(__entry->dev), __entry->state)
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
