# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2154
# bash completion of tierctl. What comes before it in the installed file was printed by tierctl: _tierctl_verbs, and
# _tierctl_describe, which sets options, values (OPTION:KIND) and words (the kinds of what is no option) for a verb.

# Without root only the kernel's list of open volumes and the configuration can be read.
_tierctl_volumes() {
    {
        tierctl list 2>/dev/null | sed -e '/^NAME  /d' -e '/^no volumes/d' -e 's/ .*//'
        sed -n 's/^[[:blank:]]*name[[:blank:]]*=[[:blank:]]*//p' /etc/tiered.d/*.conf
        grep -ls '^TIERED-' /sys/block/dm-*/dm/uuid | sed 's|uuid$|name|' | xargs -r cat
    } 2>/dev/null | sort -u
}

_tierctl_devices() {
    lsblk -lnpo NAME 2>/dev/null
}

_tierctl_words() { # WORD KIND...
    local word=$1
    shift
    for kind in "$@"; do
        case $kind in
        volumes) compgen -W "$(_tierctl_volumes)" -- "$word" ;;
        devices) compgen -W "$(_tierctl_devices)" -- "$word" ;;
        files) compgen -f -- "$word" ;;
        esac
    done
}

_tierctl() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
    local options='' values='' words=''
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        mapfile -t COMPREPLY < <(compgen -W "$_tierctl_verbs" -- "$word")
        return
    fi
    _tierctl_describe "${COMP_WORDS[1]}" || return
    case $values in
    *" $before:volumes "*) words=volumes ;;
    *" $before:devices "*) words=devices ;;
    *" $before:files "*) words=files ;;
    *)
        if [[ $word == -* ]]; then
            mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
            return
        fi
        ;;
    esac
    # shellcheck disable=SC2086 # kinds are words
    mapfile -t COMPREPLY < <(_tierctl_words "$word" $words)
}

complete -F _tierctl tierctl
