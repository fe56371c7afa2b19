# shellcheck shell=bash
# The command of a step: found, looked at, and refused with the status of the contract.
#
# chroot(8) and nsenter(1) start a command by execvp(3), which hands what the kernel does not execute to
# /bin/sh. The contract forbids that, so the first bytes of the file are looked at here. (A program that
# calls execve(2) itself just asks the kernel.)
#
# Every variable is local, or begins with `step_`: an ordinary name could be in the caller's environment,
# and the command would get our value.

# fail STATUS MESSAGE: one line, and the end.
fail() {
    printf '%s: %s\n' "${0##*/}" "${2%%$'\n'*}" >&2
    exit "$1"
}

# tool NAME: the path of a program of the host. An ordinary user's PATH lacks the administrator's folders.
tool() {
    PATH=$PATH:/usr/sbin:/usr/bin:/sbin:/bin type -P "$1" || fail 125 "$1: no such program on the host"
}

# try NAME ARG...: runs a program of the host. If that fails, so does the step, with its message.
try() {
    local program message
    program=$(tool "$1") || exit
    message=$("$program" "${@:2}" 2>&1) || fail 125 "$message"
}

# inside PATH: sets step_file to the file that PATH means to the command. In step 00 it is the same.
inside() {
    step_file=$1
}

# find_command NAME: returns if there is such a command and the kernel can execute it.
find_command() {
    local found='' reason='' directories directory
    if [[ $1 == */* ]]; then
        look_at "$1" && return
    elif [ -n "$1" ]; then
        IFS=: read -r -d '' -a directories < <(printf '%s:\0' "${PATH-/bin:/usr/bin}")
        for directory in "${directories[@]}"; do
            look_at "${directory:-.}/$1" && return
        done
    fi
    [ -z "$found" ] || fail 126 "exec '$found': $reason"
    fail 127 "exec '$1': No such file or directory"
}

# look_at PATH: whether it can be executed. What is there but cannot be goes into `found` and `reason`.
look_at() {
    inside "$1"
    [ -e "$step_file" ] || return
    if [ -d "$step_file" ] || [ ! -x "$step_file" ]; then
        reason='Permission denied'
    # Who may execute a file need not be allowed to read it; then the kernel decides.
    elif [ -r "$step_file" ] && is_foreign "$step_file"; then
        reason='Exec format error'
    else
        return 0
    fi
    found=$1
    return 1
}

# is_foreign FILE: neither a script nor a program for this machine.
is_foreign() {
    [ "$(bytes 0 2 "$1")" != 2321 ] || return # "#!"
    # The magic number, the word size and byte order, and the machine (elf(5)): as in what runs here.
    [ "$(bytes 0 6 "$1") $(bytes 18 2 "$1")" != "$(bytes 0 6 /bin/bash) $(bytes 18 2 /bin/bash)" ]
}

# bytes OFFSET COUNT FILE: as hexadecimal digits.
bytes() {
    local digits
    digits=$("$(tool od)" -An -tx1 -j "$1" -N "$2" "$3" 2>/dev/null)
    printf %s "${digits// /}"
}
