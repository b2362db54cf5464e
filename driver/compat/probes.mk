# SPDX-License-Identifier: GPL-2.0-only
# Finds by compiling what the kernel's headers have. $(call tiered_probe,NAME,<header>,<statement>) is -DNAME when a
# function with the statement compiles, and empty otherwise.
tiered_hash := \#
tiered_probe = $(shell printf '%s\n' '$(tiered_hash)include <$(2)>' \
	'void probe(void);' 'void probe(void) { $(3) }' | \
	$(CC) $(NOSTDINC_FLAGS) $(LINUXINCLUDE) $(KBUILD_CPPFLAGS) $(KBUILD_CFLAGS) -DMODULE -DKBUILD_MODNAME='"probe"' \
	-fsyntax-only -x c - 2>/dev/null && echo -D$(1))

ccflags-y += $(call tiered_probe,TIERED_HAVE_WZEROES_UNMAP,linux/blkdev.h,\
	struct queue_limits limits; limits.max_hw_wzeroes_unmap_sectors = 0; (void)limits;)
# In a variable, since a comma would end the argument.
tiered_try_badblocks = sector_t found; badblocks_check(NULL, 0, 1, &found, &found);
ccflags-y += $(call tiered_probe,TIERED_HAVE_BADBLOCKS_SECTOR_T,linux/badblocks.h,$(tiered_try_badblocks))
ccflags-y += $(call tiered_probe,TIERED_HAVE_BDEV_ROT,linux/blkdev.h,(void)bdev_rot(NULL);)
tiered_try_vm_flags_set = vm_flags_set(NULL, 0);
ccflags-y += $(call tiered_probe,TIERED_HAVE_VM_FLAGS_SET,linux/mm.h,$(tiered_try_vm_flags_set))
ccflags-y += $(call tiered_probe,TIERED_HAVE_RELEASE_FAULT_LOCK,linux/mm.h,release_fault_lock(NULL);)
tiered_try_zap_special = zap_special_vma_range(NULL, 0, 0);
ccflags-y += $(call tiered_probe,TIERED_HAVE_ZAP_SPECIAL,linux/mm.h,$(tiered_try_zap_special))
tiered_try_bdev_file = bdev_file_open_by_dev(0, 0, NULL, NULL);
ccflags-y += $(call tiered_probe,TIERED_HAVE_BDEV_FILE,linux/blkdev.h,$(tiered_try_bdev_file))
