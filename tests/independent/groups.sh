# shellcheck shell=bash
# A control group of its own: a directory in each hierarchy.

# A group's name has the process id of its step in it: if there is no such process it was left by one that was
# killed. (The number may have been given to another process meanwhile; then it stays for longer.)
step_prefix=container-of-

# make_groups PARENT: sets step_groups to the new groups. Without a parent they are made where they can be.
make_groups() {
    local top group
    step_groups=()
    while read -r top; do
        remove_abandoned "$top$1"
        group=$top$1/$step_prefix$$
        if [ -n "$1" ]; then
            try mkdir "$group"
        else
            # Two controllers in one hierarchy are one directory under two names.
            "$(tool mkdir)" "$group" 2>/dev/null || continue
        fi
        step_groups+=("$group")
    done < <(hierarchies)
    [ -z "$1" ] || [ ${#step_groups[@]} -gt 0 ] || fail 125 "$1: there are no control groups"
}

# hierarchies: where they are mounted: on version 2 a single one, on version 1 one for each controller.
hierarchies() {
    local controller
    if [ -e /sys/fs/cgroup/cgroup.procs ]; then
        echo /sys/fs/cgroup
    else
        for controller in cpu cpuacct memory pids blkio; do
            [ ! -e "/sys/fs/cgroup/$controller/cgroup.procs" ] || echo "/sys/fs/cgroup/$controller"
        done
    fi
}

# remove_abandoned PARENT: the groups of steps that have been killed.
remove_abandoned() {
    local group
    for group in "$1/$step_prefix"*; do
        [ ! -d "$group" ] || [ -e "/proc/${group##*-}" ] || remove_group "$group"
    done
}

# remove_group GROUP: with what is beneath it, children first. Their files go with them.
remove_group() {
    "$(tool find)" "$1" -depth -type d -exec rmdir {} \; 2>/dev/null
}

# remove_groups: those of this step.
remove_groups() {
    local group
    for group in "${step_groups[@]}"; do
        remove_group "$group"
    done
}
