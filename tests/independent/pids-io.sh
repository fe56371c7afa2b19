# shellcheck shell=bash
# How many processes the container has, and how fast it writes to a disk.
#
# Several programs have to work together until the command runs, and most of them are in its groups. So the limit
# on processes comes last: process 1 says that it is ready and waits, and the shell outside takes everybody else out
# of the groups, writes the limits, and lets it go on.

step_pids='' step_disks=()

# limit_option ARG...: takes one of the options that limit something; step_taken is how many words it had.
limit_option() {
    case $1 in
    --pids-limit=* | --device-write-bps=*)
        limit_option "${1%%=*}" "${1#*=}"
        step_taken=1
        ;;
    --pids-limit) pids_limit "${2-}" && step_taken=2 ;;
    --device-write-bps) write_bps "${2-}" && step_taken=2 ;;
    *) false ;;
    esac
}

# pids_limit NUMBER: takes the option.
pids_limit() {
    # The kernel's process numbers have 22 bits.
    [[ $1 =~ ^[0-9]{1,7}$ ]] && ((10#$1 >= 1 && 10#$1 <= 1 << 22)) || fail 125 "--pids-limit $1: no number of processes"
    step_pids=$((10#$1))
}

# write_bps DISK:RATE: takes the option.
write_bps() {
    local node=${1%:*} rate=${1##*:} number factor
    [[ $1 == *:* && ${rate,,} =~ ^([0-9]{1,12})([kmg]?)b?$ ]] || fail 125 "--device-write-bps $1: not DISK:RATE"
    case ${BASH_REMATCH[2]} in
    k) factor=$((1 << 10)) ;;
    m) factor=$((1 << 20)) ;;
    g) factor=$((1 << 30)) ;;
    *) factor=1 ;;
    esac
    rate=$((10#${BASH_REMATCH[1]} * factor))
    ((rate >= 1)) || fail 125 "--device-write-bps $1: a rate of nothing"
    [ -b "$node" ] || fail 125 "--device-write-bps $1: no block device"
    number=$("$(tool stat)" -L -c '16#%t 16#%T' -- "$node")
    number=$((${number% *})):$((${number#* }))
    [ ! -e "/sys/dev/block/$number/partition" ] || fail 125 "--device-write-bps $1: a partition, and no whole disk"
    step_disks+=("$number $rate")
}

# can_limit: whether the groups that were made have what the limits need.
can_limit() {
    [ -z "$step_pids" ] || group_with pids.max >/dev/null
    [ ${#step_disks[@]} = 0 ] || group_with io.max blkio.throttle.write_bps_device >/dev/null
}

# group_with FILE...: the group that has one of these files.
group_with() {
    local group file
    for group in "${step_groups[@]}"; do
        for file in "$@"; do
            [ ! -e "$group/$file" ] || { echo "$group" && return; }
        done
    done
    fail 125 "$*: no group with such a file could be made"
}

# open_gates: the two pipes through which process 1 and the shell outside talk, each open at both ends.
open_gates() {
    exec 5<> <(:) 6<> <(:)
}

# before_command: in process 1.
before_command() {
    echo ready >&5
    read -r -u 6 _
    exec 5>&- 6<&-
}

# started: in the shell outside.
started() {
    until read -r -t 0.1 -u 5 _; do
        kill -0 "$step_child" 2>/dev/null || return # it has failed, and said why
    done
    leave_groups "$step_child"
    if ! write_limits; then
        kill -KILL "$step_child"
        exit 125
    fi
    echo go >&6
    exec 5>&- 6<&-
}

# leave_groups PID: this process goes back to where this shell is. Between forks it is the container's ancestor only.
leave_groups() {
    local number names path top
    [ ${#step_groups[@]} -gt 0 ] || return 0
    while IFS=: read -r number names path; do
        case $number:,$names, in
        0:*) top=/sys/fs/cgroup ;;
        *,pids,*) top=/sys/fs/cgroup/pids ;;
        *) continue ;;
        esac
        [ ! -e "$top/cgroup.procs" ] || echo "$1" >"$top$path/cgroup.procs" || fail 125 "move $1 to $top$path"
    done </proc/self/cgroup
}

# write_limits: into the groups.
write_limits() {
    local group disk
    if [ -n "$step_pids" ]; then
        group=$(group_with pids.max) && write "$step_pids" "$group/pids.max" || return
    fi
    for disk in "${step_disks[@]}"; do
        group=$(group_with io.max blkio.throttle.write_bps_device) || return
        if [ -e "$group/io.max" ]; then
            write "${disk% *} wbps=${disk#* }" "$group/io.max" || return
        else
            write "$disk" "$group/blkio.throttle.write_bps_device" || return
        fi
    done
}

# write TEXT FILE
write() {
    local message
    message=$( (echo "$1" >"$2") 2>&1) || { printf '%s: %s\n' "${0##*/}" "${message##*: }: write $1 to $2" >&2 && return 1; }
}
