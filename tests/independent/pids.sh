# shellcheck shell=bash
# How many processes the container has.
#
# Several programs work together until the command runs, and most of them are in its groups. So this limit comes
# last: process 1 says that it is ready and waits. The shell outside takes the one between them out of the groups,
# writes the limit, and lets process 1 go on, which becomes the command.

# prepare_pids NUMBER: looks at what was asked for before anything is started, and opens the two pipes through
# which process 1 and the shell outside talk.
prepare_pids() {
    if [ -n "$1" ]; then
        # The kernel's process numbers have 22 bits.
        [[ $1 =~ ^[0-9]{1,7}$ ]] && ((10#$1 >= 1 && 10#$1 <= 1 << 22)) || fail 125 "--pids-limit $1: no number of processes"
        step_pids_max=$(group_with pids pids.max)/pids.max || exit
    fi
    # A pipe that is open at both ends keeps its word until somebody reads it.
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
    [ -z "$step_pids" ] || write $((10#$step_pids)) "$step_pids_max"
    echo go >&6
    exec 5>&- 6<&-
}

# leave_groups PID: this process goes to where this shell is, as far as it can count as one of the container's.
leave_groups() {
    local number names path top
    [ ${#step_groups[@]} -gt 0 ] || return 0
    while IFS=: read -r number names path; do
        case $number:,$names, in
        0:*) top=/sys/fs/cgroup ;;
        *,pids,*) top=/sys/fs/cgroup/pids ;;
        *) continue ;;
        esac
        [ ! -e "$top/cgroup.procs" ] || write "$1" "$top$path/cgroup.procs"
    done </proc/self/cgroup
}
