# SPDX-License-Identifier: GPL-2.0-or-later
# zsh completion of tierctl. What comes before it in the installed file was printed by tierctl: _tierctl_verbs, and
# _tierctl_arguments, which completes the arguments of a verb.

# Without root only the kernel's list of open volumes and the configuration can be read.
_tierctl_volumes() {
    local -aU names
    names=(
        ${(f)"$(tierctl list 2>/dev/null | sed -e '/^NAME  /d' -e '/^no volumes/d' -e 's/ .*//')"}
        ${(f)"$(sed -n 's/^[[:blank:]]*name[[:blank:]]*=[[:blank:]]*//p' /etc/tiered.d/*.conf(N) /dev/null 2>/dev/null)"}
    )
    compadd -a names
}

_tierctl_devices() {
    compadd -- ${(f)"$(lsblk -lnpo NAME 2>/dev/null)"}
}

_tierctl() {
    if (( CURRENT == 2 )); then
        _describe verb _tierctl_verbs
        return
    fi
    shift words
    (( CURRENT-- ))
    _tierctl_arguments $words[1]
}

_tierctl "$@"
