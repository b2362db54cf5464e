// SPDX-License-Identifier: GPL-2.0-only
/* Loading: words are copied off the medium piece by piece, judged, and put into the index. */
#include "words.h"

#include <linux/mm.h>
#include <linux/sched.h>

#include "core/load.h"
#include "volume.h"

#define CHUNK_FRAMES 4096u /* a multiple of the words in a sector */
#define CHUNK_BYTES (CHUNK_FRAMES * sizeof(__le64))
/* What no word looks like. */
#define UNREADABLE 0xff

/*----------------------------------------------------------------*/
/* Words off the medium */

struct reader {
	struct tiered_frames *frames;
	__le64 *primary; /* CHUNK_FRAMES each */
	__le64 *shadow;
	u32 bad_sectors; /* met by this reader, and not known before */
};

static int reader_init(struct reader *reader, struct tiered_frames *frames)
{
	reader->frames = frames;
	reader->bad_sectors = 0;
	reader->primary = kvmalloc(2 * CHUNK_BYTES, GFP_KERNEL);
	reader->shadow = reader->primary + CHUNK_FRAMES;
	return reader->primary ? 0 : -ENOMEM;
}

static void reader_exit(struct reader *reader)
{
	kvfree(reader->primary);
}

/* Notes in *@map, made when it is first needed, that the sector with the word of @frame is never to be touched. */
static int note_bad_sector(struct reader *reader, const u8 **map, u32 frame)
{
	struct tiered_frames *frames = reader->frames;
	u32 sector = frame / TIERED_WORDS_PER_SECTOR;
	u32 bytes = frames->words.frames / TIERED_WORDS_PER_SECTOR / 8 + 1;
	u8 *bits = (u8 *)*map;

	if (!bits) {
		bits = kvzalloc(bytes, GFP_KERNEL);
		if (!bits)
			return -ENOMEM;
		*map = bits;
		frames->dram_bytes += bytes;
	}
	reader->bad_sectors += !(bits[sector / 8] & 1 << sector % 8);
	bits[sector / 8] |= 1 << sector % 8;
	return 0;
}

/* Reads @count words of one table from the word of frame @first on, sector by sector if that must be. */
static int read_table(struct reader *reader, __le64 *to, const __le64 *table, const u8 **bad, u32 first, u32 count)
{
	const struct tiered_fast *fast = reader->frames->fast;
	u32 at, step;
	int r = 0;

	if (tiered_fast_read(fast, to, &table[first], count * sizeof(*to)))
		return 0;
	for (at = 0; at < count && !r; at += step) {
		step = min_t(u32, count - at, TIERED_WORDS_PER_SECTOR);
		if (tiered_fast_read(fast, to + at, &table[first + at], step * sizeof(*to)))
			continue;
		memset(to + at, UNREADABLE, step * sizeof(*to));
		r = note_bad_sector(reader, bad, first + at);
	}
	return r;
}

static int read_words(struct reader *reader, u32 first, struct tiered_word_copies *copies)
{
	struct tiered_words *words = &reader->frames->words;
	u32 count = min(CHUNK_FRAMES, words->frames - first);
	int r;

	r = read_table(reader, reader->primary, words->primary, &words->bad_primary, first, count);
	if (!r)
		r = read_table(reader, reader->shadow, words->shadow, &words->bad_shadow, first, count);
	*copies = (struct tiered_word_copies){
		.primary = reader->primary,
		.shadow = reader->shadow,
		.first = first,
		.count = count,
	};
	return r;
}

/*----------------------------------------------------------------*/
/* Judging */

/* What loading the words has found so far. */
struct loading {
	struct tiered_volume *volume;
	struct tiered_frame_list losers;
	struct tiered_frame_list damaged; /* their words in memory are what their shadows say */
	u32 damaged_count; /* of those that held a page, as far as is known */
	u32 faults; /* frames that make the volume unfit to be opened */
};

static void push(struct tiered_frames *frames, struct tiered_frame_list *list, u32 frame)
{
	frames->frame[frame].link = list->first;
	list->first = frame;
	list->count++;
}

static u32 pop(struct tiered_frames *frames, struct tiered_frame_list *list)
{
	u32 frame = list->first;

	list->first = frames->frame[frame].link;
	list->count--;
	return frame;
}

static u32 find(void *context, u64 page, struct tiered_claim *claim)
{
	struct loading *loading = context;
	const struct tiered_frames *frames = &loading->volume->frames;
	u32 frame = tiered_frames_lookup(frames, page);

	if (frame != TIERED_NO_FRAME)
		*claim = tiered_frame_claim(tiered_frame_word(frames, frame));
	return frame;
}

static void hold(void *context, u32 frame, const struct tiered_claim *claim, u32 instead_of)
{
	struct loading *loading = context;

	tiered_frames_adopt(&loading->volume->frames, frame, claim, instead_of);
}

static void found(void *context, u32 frame, enum tiered_found what, const struct tiered_claim *claim, u32 other)
{
	struct loading *loading = context;
	struct tiered_volume *volume = loading->volume;
	struct tiered_frames *frames = &volume->frames;

	switch (what) {
	case TIERED_FOUND_FREE:
		tiered_frames_adopt_free(frames, frame);
		break;
	case TIERED_FOUND_HOLDER:
		break;
	case TIERED_FOUND_LOSER:
		push(frames, &loading->losers, frame);
		break;
	case TIERED_FOUND_RETIRED:
		tiered_frames_adopt_retired(frames, frame);
		break;
	case TIERED_FOUND_DAMAGED:
		/* Taken out of use for its word's sake, an earlier time. */
		if (claim->state == TIERED_CLAIM_RETIRED) {
			tiered_frames_adopt_retired(frames, frame);
			break;
		}
		frames->frame[frame].word = tiered_frame_word_of(claim);
		push(frames, &loading->damaged, frame);
		if (!tiered_claim_holds_page(claim))
			break;
		loading->damaged_count++;
		DMWARN_LIMIT("%s: the word of frame %u is damaged", volume->name, frame);
		break;
	case TIERED_FOUND_UNKNOWN:
		loading->faults++;
		DMERR_LIMIT("%s: the word of frame %u is damaged and so is its shadow", volume->name, frame);
		break;
	case TIERED_FOUND_CONFLICT:
		loading->faults++;
		DMERR_LIMIT("%s: frames %u and %u both claim page %llu", volume->name, frame, other, claim->page);
		break;
	}
}

static const struct tiered_load_ops load_ops = {
	.find = find,
	.hold = hold,
	.found = found,
};

static int load_all(struct loading *loading)
{
	struct tiered_frames *frames = &loading->volume->frames;
	struct tiered_word_copies copies;
	struct reader reader;
	u32 frame;
	int r;

	r = reader_init(&reader, frames);
	for (frame = 0; frame < frames->words.frames && !r; frame += CHUNK_FRAMES) {
		r = read_words(&reader, frame, &copies);
		if (!r)
			tiered_load_words(&frames->words, &copies, &load_ops, loading);
		cond_resched();
	}
	reader_exit(&reader);
	return r;
}

/* Only now, since a claim that was read later may be newer than what a shadow speaks of. */
static void judge_damaged(struct loading *loading)
{
	struct tiered_frames *frames = &loading->volume->frames;

	while (loading->damaged.count) {
		u32 frame = pop(frames, &loading->damaged);
		struct tiered_claim claim = tiered_frame_claim(tiered_frame_word(frames, frame));

		tiered_load_damaged(frame, &claim, &load_ops, loading);
	}
}

int tiered_words_load(struct tiered_volume *volume, struct tiered_unsettled *unsettled)
{
	struct loading loading = { .volume = volume };
	int r;

	loading.losers.first = TIERED_NO_FRAME;
	loading.damaged.first = TIERED_NO_FRAME;
	r = load_all(&loading);
	if (r)
		return r;
	judge_damaged(&loading);
	if (loading.faults)
		return TIERED_REFUSE(volume, -EUCLEAN, "%u frame words are damaged or contradict each other, and what is "
				     "lost cannot be told; run `tierctl check`", loading.faults);
	if (loading.damaged_count)
		DMWARN("%s: %u frame words were damaged; %u pages answer errors until they are overwritten, run `tierctl "
		       "check`", volume->name, loading.damaged_count, atomic_read(&volume->frames.lost));
	else if (loading.losers.count)
		DMINFO("%s: %u pages were being overwritten at the last power loss; their newest durable contents stand",
		       volume->name, loading.losers.count);
	unsettled->losers = loading.losers;
	unsettled->damaged = loading.damaged_count;
	return 0;
}

/*----------------------------------------------------------------*/
/* Settling */

/* Sectors that cannot be read are left alone. */
static void flush_table(const __le64 *table, const u8 *bad, u32 first, u32 count)
{
	u32 at, step;

	for (at = 0; at < count; at += step) {
		step = min_t(u32, count - at, TIERED_WORDS_PER_SECTOR);
		if (!tiered_word_is_bad(bad, first + at))
			arch_wb_cache_pmem((void *)&table[first + at], step * sizeof(*table));
	}
}

/*
 * A claim whose clear the last instance could not complete, because the namespace was unbound under it, may be cleared in a
 * CPU's cache and alive on the medium.
 */
static void flush_words(const struct tiered_words *words, const struct tiered_word_copies *copies)
{
	flush_table(words->primary, words->bad_primary, copies->first, copies->count);
	flush_table(words->shadow, words->bad_shadow, copies->first, copies->count);
	tiered_pm_fence();
}

static int restore_shadows(struct tiered_volume *volume)
{
	struct tiered_frames *frames = &volume->frames;
	struct tiered_word_copies copies;
	struct reader reader;
	u32 frame;
	int r;

	r = reader_init(&reader, frames);
	for (frame = 0; frame < frames->words.frames && !r; frame += CHUNK_FRAMES) {
		r = read_words(&reader, frame, &copies);
		if (r)
			break;
		preempt_disable();
		flush_words(&frames->words, &copies);
		tiered_shadows_restore(&frames->words, &copies);
		preempt_enable();
		cond_resched();
	}
	reader_exit(&reader);
	/* The frames of these words are in use as if nothing were wrong with them. */
	if (!r && reader.bad_sectors)
		r = TIERED_REFUSE(volume, -EIO, "frame words went bad since the volume was opened; close it and open it again");
	return r;
}

/* Before any I/O: were the winner overwritten and cleared first, a loser could win the next time. */
static void clear_losers(struct tiered_frames *frames, struct tiered_frame_list *losers)
{
	struct tiered_clear clear = { .unfenced_frame = TIERED_NO_FRAME };

	while (losers->count) {
		u32 frame = pop(frames, losers);

		preempt_disable();
		tiered_claim_withdraw(&frames->words, &clear, frame);
		/* Its bad word would be news at every load, if the good one did not say that it is none. */
		if (tiered_frame_has_bad_word(frames, frame))
			tiered_claim_retire(&frames->words, frame);
		preempt_enable();
		tiered_frames_adopt_free(frames, frame);
	}
}

/* A page that is lost for a damaged word has only a shadow to say so; from here on the word says it too. */
static void mark_lost(struct tiered_frames *frames)
{
	u32 frame;

	for (frame = 0; frame < frames->words.frames; frame++) {
		struct tiered_claim claim = tiered_frame_claim(tiered_frame_word(frames, frame));

		if (claim.state == TIERED_CLAIM_LOST && tiered_frames_lookup(frames, claim.page) == frame) {
			preempt_disable();
			tiered_claim_mark_lost(&frames->words, frame, claim);
			preempt_enable();
		}
		if (!(frame % CHUNK_FRAMES))
			cond_resched();
	}
}

int tiered_words_settle(struct tiered_volume *volume, struct tiered_unsettled *unsettled)
{
	struct tiered_frames *frames = &volume->frames;
	int r;

	/*
	 * Shadows first: were a loser cleared while its winner's shadow still says free, and the winner's word went
	 * bad after another crash, nobody would know that the page was dirty.
	 */
	r = restore_shadows(volume);
	if (r)
		return r;
	/* So that what was answered with an error once stays an error, whatever becomes of the claim it lost against. */
	if (unsettled->damaged)
		mark_lost(frames);
	clear_losers(frames, &unsettled->losers);
	return 0;
}
