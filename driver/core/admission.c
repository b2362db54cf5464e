// SPDX-License-Identifier: GPL-2.0-only
/* Admission: size and stream detection. */
#include "admission.h"

static const char *const mode_names[] = {
	[TIERED_ADMIT_SMALL] = "small",
	[TIERED_ADMIT_ALL] = "all",
	[TIERED_ADMIT_NONE] = "none",
	[TIERED_ADMIT_THRIFTY] = "thrifty",
};

int tiered_admission_mode_parse(const char *name)
{
	int mode;

	for (mode = 0; mode < (int)(sizeof(mode_names) / sizeof(mode_names[0])); mode++)
		if (!strcmp(name, mode_names[mode]))
			return mode;
	return -EINVAL;
}

const char *tiered_admission_mode_name(enum tiered_admission_mode mode)
{
	return mode_names[mode];
}

/* Bytes of the sequential run that goes on at @sector; 0: none does. Notes that a request of @bytes does or begins one. */
static u32 stream_note(struct tiered_streams *streams, u64 sector, u32 bytes)
{
	u32 oldest = 0, former_bytes, i;

	streams->clock++;
	for (i = 0; i < TIERED_STREAMS; i++) {
		if (streams->stream[i].run_bytes && streams->stream[i].next_sector == sector)
			break;
		if (streams->clock - streams->stream[i].used_at > streams->clock - streams->stream[oldest].used_at)
			oldest = i;
	}
	if (i == TIERED_STREAMS) {
		i = oldest;
		streams->stream[i].run_bytes = 0;
	}
	former_bytes = streams->stream[i].run_bytes;
	/* Saturate: only "more than a stream's worth" matters. */
	if (former_bytes < TIERED_STREAM_BYTES)
		streams->stream[i].run_bytes += bytes;
	streams->stream[i].next_sector = sector + bytes / TIERED_SECTOR_BYTES;
	streams->stream[i].used_at = streams->clock;
	return former_bytes;
}

bool tiered_stream_continues(struct tiered_streams *streams, u64 sector, u32 bytes)
{
	return stream_note(streams, sector, bytes);
}

enum tiered_admission tiered_admit(struct tiered_streams *streams, enum tiered_admission_mode mode, u64 sector,
				   u32 bytes)
{
	u32 former_bytes;

	switch (mode) {
	case TIERED_ADMIT_NONE:
		return TIERED_PASSED_MODE;
	case TIERED_ADMIT_ALL:
		return TIERED_ADMITTED;
	case TIERED_ADMIT_THRIFTY: /* asks the policy instead */
	case TIERED_ADMIT_SMALL:
		break;
	}
	former_bytes = stream_note(streams, sector, bytes);
	if (bytes > TIERED_ADMIT_SMALL_BYTES)
		return TIERED_PASSED_LARGE;
	return former_bytes >= TIERED_STREAM_BYTES - bytes ? TIERED_PASSED_STREAM : TIERED_ADMITTED;
}
