# shellcheck shell=bash
# Steps 07 and 08 for the scripts of later ones: a network with nothing but lo, and users of its own.

step_userns='' step_uptime='' step_parent='' step_cpus='' step_memory='' step_pids='' step_disks=()
step_upper='' step_store=/var/lib/cooperage

# more_option ARG...: takes one of the options that steps 08 to 15 bring; step_taken is how many words it had.
more_option() {
    case $1 in
    --userns)
        step_userns=yes step_taken=1
        ;;
    --uptime=* | --cgroup-parent=* | --cpus=* | --memory=* | --pids-limit=* | --device-write-bps=* | --upper=* | --store=*)
        more_option "${1%%=*}" "${1#*=}"
        step_taken=1
        ;;
    --uptime)
        # 32 bits are 136 years; the kernel's clocks end after 146.
        [[ ${2-} =~ ^[0-9]{1,10}$ ]] && ((10#$2 < 1 << 32)) || fail 125 "--uptime ${2-}: no number of seconds"
        step_uptime=$((10#$2)) step_taken=2
        ;;
    --cgroup-parent)
        [ -n "${2-}" ] || fail 125 "$1 needs a path"
        step_parent=/$2 step_taken=2
        ;;
    --cpus)
        [ -n "${2-}" ] || fail 125 "$1 needs a number"
        step_cpus=$2 step_taken=2
        ;;
    --memory | -m)
        [ -n "${2-}" ] || fail 125 "$1 needs a size"
        step_memory=$2 step_taken=2
        ;;
    --pids-limit)
        [ -n "${2-}" ] || fail 125 "$1 needs a number"
        step_pids=$2 step_taken=2
        ;;
    --device-write-bps)
        [ -n "${2-}" ] || fail 125 "$1 needs a disk and a rate"
        step_disks+=("$2") step_taken=2
        ;;
    --upper)
        [ -n "${2-}" ] || fail 125 "$1 needs a directory"
        step_upper=$2 step_taken=2
        ;;
    --store)
        [ -n "${2-}" ] || fail 125 "$1 needs a directory"
        step_store=$2 step_taken=2
        ;;
    *) return 1 ;;
    esac
}

# configure: a new network namespace has a loopback interface, and it is down.
configure() {
    try ip link set lo up
}

# own_users: sets step_users to what gives the container users of its own. Without root there is no other
# way to a container.
own_users() {
    step_users=()
    if [ -n "$step_userns" ] || [ "$(id -u)" != 0 ]; then
        step_users=(--user --map-root-user)
    fi
}
