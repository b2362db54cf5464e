#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Opens the volume that the root file system is on, before anybody mounts the root: its disk alone carries the same
# UUID, and would be taken for it. dracut sources this file, maybe more than once, where its functions are known.
if [ ! -e /run/tiered-opened ]; then
	# Only what is needed this early is configured here. What went wrong stands on the console.
	until tierctl open --all; do
		# In a shell of its own: dracut ends the shell that calls this when the machine cannot be halted, and would go on.
		(emergency_shell -n tiered "A tiered volume could not be opened (see above). Its disk alone has old contents and \
must not become the root: run tierctl open NAME, then exit; or remove its file from /etc/tiered.d to go on without it.")
	done
	: >/run/tiered-opened
fi
