#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# What tierctl answers without any device: exit statuses, one sentence for a mistake, check on images.
# Usage: tierctl_command.sh TIERCTL MAKE_IMAGE
set -eu

tierctl=$1
make_image=$2
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
failures=0

# expect STATUS TEXT COMMAND...: the command exits so and says the text on either output.
expect() {
    wanted=$1 text=$2
    shift 2
    status=0
    output=$("$@" 2>&1) || status=$?
    if [ "$status" -ne "$wanted" ] || ! printf '%s\n' "$output" | grep -qF -- "$text"; then
        echo "FAILED: $* exited $status (wanted $wanted) and said: $output (wanted: $text)"
        failures=$((failures + 1))
    fi
}

expect 0 "format" "$tierctl" --help
expect 2 "see tierctl --help" "$tierctl"
expect 2 "see tierctl --help" "$tierctl" no-such-verb
expect 2 "--fast is required" "$tierctl" format x /dev/null
expect 3 "see tierctl --help" "$tierctl" check
expect 3 "see tierctl --help" "$tierctl" check --fast "$dir/fast"

expect 2 "NAME or --all is required" "$tierctl" open
expect 2 "excludes" "$tierctl" open --all --read-only
expect 2 "NAME or --all is required" "$tierctl" close
expect 1 "choose bash or zsh" "$tierctl" completion fish

mkdir "$dir/tiered.d"
printf 'name = a-b+c\n' >"$dir/tiered.d/a.conf"
printf '# not at boot\nname = other\nopen = no\n' >"$dir/tiered.d/b.conf"
printf 'name = early\nopen = initramfs\n' >"$dir/tiered.d/c.conf"
units() {
    "$tierctl" boot-units "$dir/units" --configuration "$dir/tiered.d"
}
expect 0 "" units
expect 0 "tiered@.service" readlink "$dir/units/sysinit.target.wants/tiered@a\\x2db\\x2bc.service"
expect 0 "tiered@.service" readlink "$dir/units/dev-mapper-a\\x2db\\x2bc.device.requires/tiered@a\\x2db\\x2bc.service"
expect 0 "tiered-shutdown.service" readlink "$dir/units/sysinit.target.wants/tiered-shutdown.service"
printf 'name = third\nopne = boot\n' >"$dir/tiered.d/d.conf"
expect 1 "d.conf, line 2: there is no setting 'opne'" units
expect 0 "2" sh -c "ls '$dir/units' | wc -l"

if [ "$(id -u)" -eq 0 ]; then
    expect 1 "there is no device" "$tierctl" recognise "$dir/none"
    expect 1 "may not start with" "$tierctl" format .x --fast /dev/null /dev/null
    expect 1 "there is no device" "$tierctl" format x --fast "$dir/none" /dev/null
    expect 1 "is not a block device" "$tierctl" format x --fast /dev/null /dev/null
    expect 1 "this version serves one" "$tierctl" format x --fast /dev/null /dev/null /dev/zero
    expect 1 "is not open" "$tierctl" close no-such-volume
    expect 1 "is not open" "$tierctl" status no-such-volume
    expect 1 "is not open" "$tierctl" advise no-such-volume
else
    expect 1 "needs root" "$tierctl" list
fi

truncate -s 4M "$dir/fast"
truncate -s 64M "$dir/disk"
check() {
    "$tierctl" check --fast "$dir/fast" --capacity "$dir/disk" "$@"
}
expect 3 "there is no volume to check" check
"$make_image" "$dir/fast" "$dir/disk"
expect 0 "clean" check
expect 0 '"verdict": "clean"' check --json
"$make_image" "$dir/fast" "$dir/disk" 7 3 2 1 8 3 2 2
expect 0 "normal after a crash" check
"$make_image" "$dir/fast" "$dir/disk" 7 3 2 1 8 3 2 5
expect 1 "same contents" check
"$make_image" "$dir/fast" "$dir/disk" 7 3 3 1
expect 2 "page 3 is lost" check
truncate -s 2M "$dir/fast"
expect 2 "was made for a larger fast tier" check
truncate -s 4M "$dir/fast"
"$make_image" "$dir/fast" "$dir/disk"
truncate -s 65M "$dir/disk"
expect 0 "clean" check
truncate -s 32M "$dir/disk"
expect 3 "not the capacity tier" check


repair() {
    "$tierctl" repair --fast "$dir/fast" --capacity "$dir/disk" "$@"
}
spoil() { # OFFSET BYTES of the fast tier
    dd if=/dev/urandom of="$dir/fast" bs=1 seek="$1" count="$2" conv=notrunc status=none
}
truncate -s 64M "$dir/disk"
printf 'not what the frame has' | dd of="$dir/disk" bs=1 seek=12288 conv=notrunc status=none
"$make_image" "$dir/fast" "$dir/disk" 7 3 2 1
expect 0 "nothing to do" repair
spoil 4100 64
expect 1 "would: rebuild superblock B" repair --dry-run
expect 1 "superblock B" check
expect 1 "repaired; nothing is lost" repair
expect 0 "clean" check
spoil $((8192 + 7 * 8)) 8
expect 2 "lost: page 3 (bytes 12288 to 16383)" repair
expect 2 '"first_page": 3' repair --json
"$make_image" "$dir/fast" "$dir/disk" 7 3 2 1
"$tierctl" dump --fast "$dir/fast" -o "$dir/dump"
expect 0 '"state": "dirty"' "$tierctl" dump --fast "$dir/fast"
expect 0 '"state": "dirty"' "$tierctl" dump --fast "$dir/fast" --json
expect 0 "nothing to restore" "$tierctl" restore "$dir/dump" --fast "$dir/fast"
spoil 0 24576
expect 3 "tierctl restore" repair
expect 0 "would: write both superblocks" "$tierctl" restore "$dir/dump" --fast "$dir/fast" --dry-run
expect 0 "1 pages that were dirty or lost come back" "$tierctl" restore "$dir/dump" --fast "$dir/fast"
expect 0 "1 dirty" check
expect 1 "is no dump" "$tierctl" restore "$dir/disk" --fast "$dir/fast"
expect 3 "see tierctl --help" "$tierctl" repair
expect 3 "no such file" "$tierctl" repair --fast "$dir/none" --capacity "$dir/disk"
expect 3 "neither a block device nor an image file" "$tierctl" repair --fast /dev/null --capacity "$dir/disk"
expect 2 "NAME, or --fast, is required" "$tierctl" dump
expect 1 "cannot be written" "$tierctl" dump --fast "$dir/fast" -o "$dir/none/dump"
expect 0 "600" stat -c %a "$dir/dump"
# Not with those in /dev, which a tierctl that fails here would replace.
mkfifo "$dir/pipe"
ln -s dump "$dir/link"
expect 1 "pipe is no ordinary file" "$tierctl" dump --fast "$dir/fast" -o "$dir/pipe"
expect 1 "link is a symbolic link" "$tierctl" dump --fast "$dir/fast" -o "$dir/link"

printf '0,R,0,4096\n9,W,8192,4096\n10,R,0,4096\n' >"$dir/trace"
expect 0 "3 requests" "$tierctl" sim --trace "$dir/trace" --fast 1M
expect 0 '"hit_ratio": 0.33' "$tierctl" sim --trace "$dir/trace" --fast 1M --policy lru --json
expect 0 "clairvoyant" "$tierctl" sim --trace "$dir/trace" --fast 100% --policy all
expect 0 "clairvoyant" "$tierctl" sim --trace "$dir/trace" --policy all --mrc --plot "$dir/curves.svg"
expect 0 "</svg>" tail -n 1 "$dir/curves.svg"
expect 1 "give --mrc" "$tierctl" sim --trace "$dir/trace" --plot "$dir/curves.svg"
expect 1 "there is no policy 'mru'" "$tierctl" sim --trace "$dir/trace" --policy mru
expect 1 "is no size of a fast tier" "$tierctl" sim --trace "$dir/trace" --fast 1X
expect 1 "there is nothing to simulate" "$tierctl" sim
expect 1 "cannot be opened" "$tierctl" sim --trace "$dir/none"
i=0
while [ $i -lt 64 ]; do echo "$i,R,$((i % 32 * 65536)),4096"; i=$((i + 1)); done >"$dir/trace"
expect 0 "   4x" "$tierctl" advise --trace "$dir/trace" --fast 25%
expect 0 '"factor": 0.5' "$tierctl" advise --trace "$dir/trace" --fast 64K --json
expect 1 "name an open volume, whose requests are sampled, or record" "$tierctl" advise
expect 2 "excludes" "$tierctl" advise v0 --trace "$dir/trace" --fast 1M
expect 1 "name the size of the fast tier" "$tierctl" advise --trace "$dir/trace"
expect 1 "cannot be doubled and halved" "$tierctl" advise --trace "$dir/trace" --fast 4K
expect 1 "cannot be opened" "$tierctl" advise --trace "$dir/none" --fast 1M
expect 1 "no device model 'tape'" "$tierctl" advise --trace "$dir/trace" --fast 1M --device tape
for verb in attach detach resize set top advise heat status; do
    expect 0 "Example" "$tierctl" $verb --help
done
printf '0,R,0,4096\n1,R,-1,4096\n' >"$dir/trace"
expect 2 "line 2: the offset '-1' is negative" "$tierctl" advise --trace "$dir/trace" --fast 1M
expect 2 "line 2: the offset '-1' is negative" "$tierctl" sim --trace "$dir/trace"

[ "$failures" -eq 0 ]
