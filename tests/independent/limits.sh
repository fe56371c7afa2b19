# shellcheck shell=bash
# Limits of a control group: written before anybody is in it.

# limit_cpus NUMBER: of the CPUs. The period is twice as long as most others take.
limit_cpus() {
    local whole fraction share group
    [ -n "$1" ] || return 0
    [[ $1 =~ ^([0-9]{0,5})(\.([0-9]*))?$ && $1 == *[0-9]* ]] || fail 125 "--cpus $1: no number of CPUs"
    whole=${BASH_REMATCH[1]} fraction=${BASH_REMATCH[3]}00000
    share=$((10#0$whole * 100000 + 10#${fraction:0:5}))
    ((share >= 1000 && share <= $(count_cpus) * 100000)) || fail 125 "--cpus $1: less than 0.01, or more than there are"
    group=$(group_with cpu cpu.max cpu.cfs_quota_us) || exit
    if [ -e "$group/cpu.max" ]; then
        write "$((share * 2)) 200000" "$group/cpu.max"
    else
        write 200000 "$group/cpu.cfs_period_us"
        write $((share * 2)) "$group/cpu.cfs_quota_us"
    fi
}

# count_cpus: those that are online have a line each in /proc/stat.
count_cpus() {
    local name count=0
    while read -r name _; do
        [[ $name != cpu[0-9]* ]] || count=$((count + 1))
    done </proc/stat
    echo "$count"
}

# limit_memory SIZE: with nothing in the swap space. On version 2 all of the container is killed, and not only its
# biggest process.
limit_memory() {
    local unit bytes group
    [ -n "$1" ] || return 0
    # As many digits as surely make less than 2^63.
    [[ ${1,,} =~ ^([0-9]{1,18}b?|[0-9]{1,15}k|[0-9]{1,12}m|[0-9]{1,9}g)$ ]] || fail 125 "--memory $1: no size"
    unit=${1,,} unit=${unit//[0-9]/}
    bytes=${1%[!0-9]}
    case $unit in
    k) bytes=$((10#$bytes << 10)) ;;
    m) bytes=$((10#$bytes << 20)) ;;
    g) bytes=$((10#$bytes << 30)) ;;
    *) bytes=$((10#$bytes)) ;;
    esac
    ((bytes >= 6 << 20)) || fail 125 "--memory $1: less than 6m"
    group=$(group_with memory memory.max memory.limit_in_bytes) || exit
    if [ -e "$group/memory.max" ]; then
        write "$bytes" "$group/memory.max"
        [ ! -e "$group/memory.swap.max" ] || write 0 "$group/memory.swap.max"
        write 1 "$group/memory.oom.group"
    else
        write "$bytes" "$group/memory.limit_in_bytes"
        [ ! -e "$group/memory.memsw.limit_in_bytes" ] || write "$bytes" "$group/memory.memsw.limit_in_bytes"
    fi
}

# limit_writes DISK:RATE: in bytes a second.
limit_writes() {
    local node=${1%:*} rate=${1##*:} number group
    [[ $1 == *:* && ${rate,,} =~ ^([0-9]{1,9})([kmg]?)b?$ ]] || fail 125 "--device-write-bps $1: not DISK:RATE"
    rate=$((10#${BASH_REMATCH[1]}))
    case ${BASH_REMATCH[2]} in
    k) rate=$((rate << 10)) ;;
    m) rate=$((rate << 20)) ;;
    g) rate=$((rate << 30)) ;;
    esac
    ((rate >= 1)) || fail 125 "--device-write-bps $1: a rate of nothing"
    [ -b "$node" ] || fail 125 "--device-write-bps $1: no block device"
    number=$("$(tool stat)" -L -c '16#%t 16#%T' -- "$node")
    number=$((${number% *})):$((${number#* }))
    group=$(group_with io io.max blkio.throttle.write_bps_device) || exit
    if [ -e "$group/io.max" ]; then
        write "$number wbps=$rate" "$group/io.max"
    else
        write "$number $rate" "$group/blkio.throttle.write_bps_device"
    fi
}

# group_with CONTROLLER FILE...: prints the one of step_groups that has one of these files.
group_with() {
    local group file
    for group in "${step_groups[@]}"; do
        for file in "${@:2}"; do
            # On version 2 the group above may not have handed it down yet.
            [ -e "$group/$file" ] || { echo "+$1" >"${group%/*}/cgroup.subtree_control"; } 2>/dev/null
            if [ -e "$group/$file" ]; then
                echo "$group"
                return
            fi
        done
    done
    fail 125 "no control group with the controller $1"
}

# write VALUE FILE: or not at all.
write() {
    { echo "$1" >"$2"; } 2>/dev/null || fail 125 "write $1 to $2: the kernel refuses"
}
