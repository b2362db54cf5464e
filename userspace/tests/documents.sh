#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Holds the manual pages and the completion of bash against what the command itself says of its verbs and options.
# Usage: documents.sh TIERCTL MAN_FOLDER COMPLETION_FOLDER
set -uo pipefail

tierctl=$1
page=$2/tierctl.8
written=$3/tierctl.bash
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
failures=0

fail() {
    echo "FAILED: $*"
    failures=$((failures + 1))
}

# What stands in the first column of a section of a help text: words of verbs, or options.
verbs() {
    "$tierctl" --help | sed -n '/^Subcommands:/,$p' | awk 'NR > 1 && /^  [a-z]/ { print $1 }'
}
options() { # VERB
    "$tierctl" "$1" --help | grep -oE '^ +(-[a-z],)?--[a-z-]+' | grep -oE -e '--[a-z-]+' | grep -vx -e '--help'
}

[ "$(verbs | wc -l)" -ge 10 ] || fail "the verbs cannot be read from tierctl --help: $(verbs | xargs)"

# The paragraphs of a verb: from its .It to the next one, or the end of the list.
paragraphs() { # VERB
    awk -v verb="$1" '/^\.(It|El)/ { inside = ($2 == "Cm" && $3 == verb) } inside' "$page"
}

for verb in $(verbs); do
    text=$(paragraphs "$verb")
    if [ -z "$text" ]; then
        fail "$page has no paragraph '.It Cm $verb': write one"
        continue
    fi
    [ "$verb" != sim ] || continue # its page of options is its help
    for option in $(options "$verb"); do
        grep -qE "Fl ${option#-}( |\$)" <<<"$text" || fail "$page says nothing of $option of the verb $verb"
    done
done

# ---- completion ------------------------------------------------------------------------------------

"$tierctl" completion bash >"$dir/completion"
cat "$written" >>"$dir/completion"
# shellcheck source=/dev/null
. "$dir/completion"
# What stands for the machine's volumes and devices.
_tierctl_volumes() {
    printf '%s\n' data database
}
_tierctl_devices() {
    printf '%s\n' /dev/pmem0 /dev/vda
}

# completed WANTED WORD...: completing the last word offers these, in order.
completed() {
    local wanted=$1
    shift
    COMP_WORDS=(tierctl "$@")
    COMP_CWORD=$#
    _tierctl
    [ "${COMPREPLY[*]}" = "$wanted" ] || fail "completing '$*' offers '${COMPREPLY[*]}', not '$wanted'"
}

# shellcheck disable=SC2046 # words
completed "$(echo --help --version $(verbs))" ''
completed 'format' form
for verb in $(verbs); do
    # shellcheck disable=SC2046
    completed "$(echo --help $(options "$verb"))" "$verb" --
done
completed 'data database' status da
completed '/dev/vda' format data --fast /dev/pmem0 /dev/v
completed '/dev/pmem0' format data --fast /dev/p
completed '/dev/pmem0 /dev/vda' recognise ''
completed '' no-such-verb ''

zsh=$("$tierctl" completion zsh)
for verb in $(verbs); do
    grep -qE "^ +'$verb:" <<<"$zsh" || fail "the completion of zsh does not offer $verb"
done
if command -v zsh >/dev/null; then
    { echo "$zsh"; cat "$3/tierctl.zsh"; } >"$dir/zsh"
    zsh -n "$dir/zsh" || fail "the completion of zsh does not parse"
fi

[ "$failures" -eq 0 ]
