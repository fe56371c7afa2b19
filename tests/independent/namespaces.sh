# shellcheck shell=bash
# The container from step 04 on: step 03 in more namespaces, and the host name.
#
# See 03-pivot-root for how the root changes. The script runs three times: as the step, then as `--outside`
# in the new namespaces with the root of the host, and from there as `--inside` with their own root.

# configure: what a later step does in the new namespaces, with the root of the host.
configure() {
    :
}

# options ARG...: sets step_hostname, step_init, step_rootfs and step_command, and what later steps bring.
options() {
    step_hostname='' step_init='' step_userns='' step_uptime='' step_parent=''
    while :; do
        case ${1-} in
        --hostname | -h)
            [ $# -ge 2 ] || fail 125 "$1 needs a name"
            step_hostname=$2
            shift 2
            ;;
        --hostname=*)
            step_hostname=${1#*=}
            shift
            ;;
        --init)
            step_init=init
            shift
            ;;
        --userns)
            step_userns=yes
            shift
            ;;
        --uptime | --cgroup-parent)
            [ $# -ge 2 ] || fail 125 "$1 needs a value"
            options_with_value "$1" "$2"
            shift 2
            ;;
        --uptime=* | --cgroup-parent=*)
            options_with_value "${1%%=*}" "${1#*=}"
            shift
            ;;
        --)
            shift
            break
            ;;
        -*) fail 125 "$1: no such option" ;;
        *) break ;;
        esac
    done
    [ $# -ge 2 ] || fail 125 "usage: ${0##*/} [OPTIONS] ROOTFS COMMAND [ARG]..."
    open_root "$1"
    find_command "$2"
    step_command=("${@:2}")
}

# options_with_value OPTION VALUE: what steps 09 and 10 bring.
options_with_value() {
    case $1 in
    --uptime)
        # 32 bits are 136 years; the kernel's clocks end after 146.
        [[ $2 =~ ^[0-9]{1,10}$ ]] && ((10#$2 < 1 << 32)) || fail 125 "--uptime $2: no number of seconds"
        step_uptime=$((10#$2))
        ;;
    --cgroup-parent)
        [ -n "$2" ] || fail 125 "$1 needs a path"
        step_parent=/$2
        ;;
    esac
}

# stages ARG...: returns if this is the step itself. The others are given, in this order: the root, the
# host name, whether there is to be an init, the command.
stages() {
    case ${1-} in
    --outside)
        exec 9<&-
        [ -z "$3" ] || try hostname -- "$3"
        configure
        # By /proc/self and not by number: /proc is still the host's, and $$ a number of the container's.
        "$(tool nsenter)" --mount=/proc/self/ns/mnt "$0" --inside "$2" || exit
        # Both were given the same place, so the old root lies on top of the new one now.
        try nsenter --mount=/proc/self/ns/mnt "$(tool umount)" --lazy /
        # Process 1 of the container: a shell waits for every child that it gets.
        [ -z "$4" ] || wait_for "$(tool nsenter)" --mount=/proc/self/ns/mnt "${@:5}"
        exec "$(tool nsenter)" --mount=/proc/self/ns/mnt "${@:5}"
        ;;
    --inside)
        step_root=$2
        try mount --rbind "$step_root" "$step_root"
        mount_all
        make_devices
        try pivot_root "$step_root" "$step_root"
        exit
        ;;
    esac
}

# enter NAMESPACE...: sets step_enter to what makes the namespaces, with the root of the host in descriptor
# 9, and step_outside to the second stage.
enter() {
    # The paths must go on meaning the same when nsenter has changed the working directory.
    step_script=$(realpath "$0")
    step_outside=("$step_script" --outside "$step_root" "$step_hostname" "$step_init" "${step_command[@]}")
    step_enter=("$(tool unshare)" "$@" --propagation private "$(tool nsenter)" --root=/proc/self/fd/9)
    try unshare "$@" true # after the exec nobody would turn its failure into 125
}
