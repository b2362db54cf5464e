/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the driver tells user space: the fields of the status line in their order, and the messages it understands.
 * Scripts count positions: append, never insert, rename or remove.
 *
 * The line is `<state> <needs_check|-> <field>...` with the numeric fields of TIERED_STATUS_FIELDS in order, or the
 * single word `fail`. All counters are 64 bit, count since the volume was opened and are not reset.
 */
#ifndef TIERED_CORE_STATUS_H
#define TIERED_CORE_STATUS_H

/*
 * state: rw    reads and writes are served
 *        ro    opened read-only, by option or by need
 *        degraded  served, but something is wrong: a page is lost (frames_lost), the disk takes no write-back or no
 *              FLUSH, the fast tier is gone (then what it alone held and all writes are errors), or the disk was opened
 *              alone (`-` in the table; the counts of frames are 0)
 *        fail  the volume cannot be served
 * Each change raises a device-mapper event (`dmsetup wait`).
 */
#define TIERED_STATE_RW "rw"
#define TIERED_STATE_RO "ro"
#define TIERED_STATE_DEGRADED "degraded"
#define TIERED_STATE_FAIL "fail"

/*
 * FIELD(name): unit and meaning
 *   frame_bytes       bytes a frame holds (4096)
 *   frames_total      frames of the fast tier = free + clean + dirty + lost + retired; free ones include those that
 *                     still rest between two owners
 *   read_hits         4 KiB pages touched by reads that a frame served; read_misses: that a capacity tier served
 *   write_hits        pages touched by writes that were resident before; write_fills: that became resident by the
 *                     write; write_bypass: that went to a capacity tier
 *   read_fills        pages made resident from reads, and because they are pinned
 *   fills_dropped     fills given up: the page changed meanwhile, its home was not flushed yet, or no frame was free
 *   evictions         clean frames freed to make room
 *   writeback_bytes   written to homes from dirty frames; fill_bytes: copied into frames by fills (reads and writes)
 *   promotions, demotions  extents moved between capacity tiers (always 0 with one)
 *   flushes           FLUSH requests received; flushes_passed: that had to be passed to a capacity tier
 *   parked            requests that had to wait for a frame or for an exclusive range
 *   media_errors      pages whose frame could not be read
 *   NAME_p50_ns, NAME_p99_ns  latency of read_hit, read_miss, write_fast, write_bypass in nanoseconds, from a
 *                     sample of the requests; upper bound of a histogram bucket (12 % wide); 0: no sample
 *   dram_bytes        memory that this volume holds for its index, pins and policy
 *   metadata_bytes    of the fast tier that hold words, shadows and superblocks
 *   flush_left_pages  pages that a flush (the message) has still to write home; 0: none is under way
 *   flush_eta_ms      how long that will take at the rate so far, in milliseconds; 0: no guess
 *   memory_faults     faults of programs that have the volume as memory; memory_fills: pages made resident for them, with
 *                     those read ahead; memory_unmaps: pages taken out of their page tables, to be written back, written
 *                     to, evicted or made durable
 */
#define TIERED_STATUS_FIELDS(FIELD) \
	FIELD(frame_bytes)          \
	FIELD(frames_total)         \
	FIELD(frames_free)          \
	FIELD(frames_clean)         \
	FIELD(frames_dirty)         \
	FIELD(frames_lost)          \
	FIELD(frames_retired)       \
	FIELD(read_hits)            \
	FIELD(read_misses)          \
	FIELD(write_hits)           \
	FIELD(write_fills)          \
	FIELD(write_bypass)         \
	FIELD(read_fills)           \
	FIELD(fills_dropped)        \
	FIELD(evictions)            \
	FIELD(writeback_bytes)      \
	FIELD(fill_bytes)           \
	FIELD(promotions)           \
	FIELD(demotions)            \
	FIELD(flushes)              \
	FIELD(flushes_passed)       \
	FIELD(parked)               \
	FIELD(media_errors)         \
	FIELD(read_hit_p50_ns)      \
	FIELD(read_hit_p99_ns)      \
	FIELD(read_miss_p50_ns)     \
	FIELD(read_miss_p99_ns)     \
	FIELD(write_fast_p50_ns)    \
	FIELD(write_fast_p99_ns)    \
	FIELD(write_bypass_p50_ns)  \
	FIELD(write_bypass_p99_ns)  \
	FIELD(dram_bytes)           \
	FIELD(metadata_bytes)       \
	FIELD(flush_left_pages)     \
	FIELD(flush_eta_ms)         \
	FIELD(memory_faults)        \
	FIELD(memory_fills)         \
	FIELD(memory_unmaps)

/*
 * Messages (`dmsetup message NAME 0 <message>`):
 *   flush     write every page home that is dirty now; returns at once, flush_left_pages and flush_eta_ms tell the
 *             rest. It ends however much is written meanwhile; while the disk fails it is tried again each second. An error
 *             (ENODEV) when the fast tier is gone
 *   flush_stop  end that before its time; pages not written home stay dirty
 *   heat [<extent>]  replies what of the volume is in the fast tier, as EXTENT:RESIDENT:DIRTY:RECENT for each extent that
 *             has a resident page, in order, from an extent on (0 when left out): the extent's number (its offset in
 *             units of 1 MiB), its resident pages, how many of them are dirty, and how many were used again since
 *             reclaim last came by. Then `-`, or the extent from which to ask again
 *   histogram <path>  replies the sampled latencies of read_hit, read_miss, write_fast or write_bypass since the volume
 *             was opened, as END:COUNT for each bucket that is not empty: COUNT samples of less than END nanoseconds,
 *             and at least the bucket before's (12 % less). It ends with `-`. One hit or fast write in 64 is sampled,
 *             and all that a capacity tier serves
 *   lost [<frame>]  replies the pages that are lost, from a frame on (0 when left out), and then `-`, or the frame from
 *             which to ask again because the reply was full
 *   pin <first> <pages>...  bring ranges of pages into the fast tier and keep them there until unpin, all of them or, when
 *             one is refused, none: beyond the volume's end (EINVAL), or more than half of the frames in use, or
 *             4096 ranges (ENOSPC). Returns at once; pins tells the rest. They last until the volume is closed
 *   pins [<page>]  replies what is pinned, as FIRST:PAGES:RESIDENT for each range, in order, from a page on (0 when left
 *             out). Ranges that overlap or touch are one. Then `-`, or the page from which to ask again
 *   samples [<place>]  replies a sample of the requests, for what a fast tier of another size would do: first N:SINCE,
 *             then TIME:SECTOR:SECTORS:OP:ACCESSES:HITS for each. Of the volume's groups of 64 pages one in N is
 *             sampled, always the same ones, and a request that touches one is told of as far as it lies in it. Times
 *             are in us since the volume was opened; no sample later than SINCE is missing, while older ones of some
 *             CPUs are overwritten. OP is r or w, and + behind it: the CPU's next sample is the rest of the same
 *             request. ACCESSES and HITS are the pages that the CPU touched since its last sample, in any group, and
 *             those of them that frames served. One CPU after the other, each from its newest sample on to older ones,
 *             from a place on (0 when left out). Then `-`, or the place from which to ask again. Of programs that have
 *             the volume as memory only the faults are seen that find a page missing
 *   unpin <first> <pages>...  let ranges go, pinned or not; what is resident stays until something else takes its place
 *   uuid      replies the volume's UUID in text form
 *   why [<place>]  replies the last decision about each extent, as EXTENT:REASON:SECONDS with the name of the reason and
 *             how long ago it was, in no order, from a place of the table on (0 when left out), and then `-`, or the place from
 *             which to ask again. Where the volume has more extents than the table has places, the newest decision
 *             of those that share a place
 */
#define TIERED_MESSAGE_FLUSH "flush"
#define TIERED_MESSAGE_FLUSH_STOP "flush_stop"
#define TIERED_MESSAGE_HEAT "heat"
#define TIERED_MESSAGE_HISTOGRAM "histogram"
#define TIERED_MESSAGE_LOST "lost"
#define TIERED_MESSAGE_PIN "pin"
#define TIERED_MESSAGE_PINS "pins"
#define TIERED_MESSAGE_SAMPLES "samples"
#define TIERED_MESSAGE_UNPIN "unpin"
#define TIERED_MESSAGE_UUID "uuid"
#define TIERED_MESSAGE_WHY "why"

/*
 * REASON(name, what was decided about a page of the extent). filled: it became resident. passed: the request went to the
 * capacity tier because of what it is. dropped: it was to become resident and did not.
 */
#define TIERED_REASONS(REASON)                                                                          \
	REASON(filled_read, "a small read missed, and what it read was kept")                           \
	REASON(filled_write, "a small write was taken by the fast tier")                                \
	REASON(passed_large, "the request was larger than 64 KiB")                                      \
	REASON(passed_stream, "the request was part of a sequential stream")                            \
	REASON(passed_option, "the table says `admission none`")                                        \
	REASON(passed_partial, "less than a page was written, and the rest was not resident")           \
	REASON(dropped_busy, "a write to the disk was under way nearby, or the read was too long to keep") \
	REASON(dropped_changed, "the page was written while it was read")                               \
	REASON(dropped_unflushed, "the disk had not been flushed since the last write there")           \
	REASON(dropped_full, "no frame was free")                                                       \
	REASON(dropped_memory, "too many fills were under way")                                         \
	REASON(passed_price, "to keep it was not expected to save more time than it takes")               \
	REASON(evicted, "a clean page made room for others and was not used again before that") \
	REASON(filled_pin, "it was pinned, and brought into the fast tier for that")                    \
	REASON(filled_touch, "a program that has the volume as memory touched it, or the pages before it")

enum tiered_reason {
	TIERED_REASON_NONE,
#define TIERED_REASON_ENUM(name, text) TIERED_REASON_##name,
	TIERED_REASONS(TIERED_REASON_ENUM)
#undef TIERED_REASON_ENUM
	TIERED_REASONS_END
};

#endif
