# shellcheck shell=bash
# Clocks of its own.

# own_clocks: sets step_clocks to the options of unshare(1) with which both clocks begin at step_uptime.
own_clocks() {
    step_clocks=(--time)
    [ -z "$step_uptime" ] || step_clocks+=(
        --monotonic $((step_uptime - $(clock 1))) --boottime $((step_uptime - $(clock 7)))
    )
}

# clock NUMBER: what it shows, in whole seconds. /proc has only the one that counts from boot, and only perl(1)
# makes any system call that one names.
clock() {
    local number
    case $(uname -m) in
    x86_64) number=228 ;;
    *) number=113 ;; # clock_gettime(2) on aarch64, and wherever the numbers are the generic ones
    esac
    "$(tool perl)" -e 'syscall(shift() + 0, shift() + 0, my $time = "\0" x 16); print unpack("q", $time)' \
        -- "$number" "$1" || fail 125 'clock_gettime'
}
