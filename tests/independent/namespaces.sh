# shellcheck shell=bash
# The container from step 04 on: step 03 in more namespaces, and the host name.
#
# See 03-pivot-root for how the root changes. The script runs three times: as the step, then as `--outside`
# in the new namespaces with the root of the host, and from there as `--inside` with their own root.

# options ARG...: sets step_hostname, step_init, step_rootfs and step_command.
options() {
    step_hostname='' step_init=
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
        --)
            shift
            break
            ;;
        -*)
            more_option "$@" || fail 125 "$1: no such option"
            shift "$step_taken"
            ;;
        *) break ;;
        esac
    done
    [ $# -ge 2 ] || fail 125 "usage: ${0##*/} [OPTIONS] ROOTFS COMMAND [ARG]..."
    look_at_root "$1" "$2"
    step_command=("${@:2}")
}

# look_at_root ROOTFS COMMAND: sets step_root. Step 14 has another one in its place, and in that of prepare_root.
look_at_root() {
    open_root "$1"
    find_command "$2"
}

# prepare_root COMMAND: makes step_root a mount, in the new namespaces.
prepare_root() {
    try mount --rbind "$step_root" "$step_root"
}

# more_option ARG...: takes an option that a later step brings; step_taken is how many words it had. Those steps
# have another one in its place.
more_option() {
    false
}

# configure: what a later step does in the new namespaces, with the root of the host.
configure() {
    :
}

# before_command: what a later step does when nothing but the command is left to be started.
before_command() {
    :
}

# stages ARG...: returns if this is the step itself. The others are given, in this order: the root, the
# host name, whether there is to be an init, the command.
stages() {
    case ${1-} in
    --outside)
        exec 8<&- 9<&-
        [ -z "$3" ] || try hostname -- "$3"
        configure
        # By /proc/self and not by number: /proc is still the host's, and $$ a number of the container's.
        "$(tool nsenter)" --mount=/proc/self/ns/mnt "$0" --inside "$2" "$5" || exit
        # Both were given the same place, so the old root lies on top of the new one now.
        try nsenter --mount=/proc/self/ns/mnt "$(tool umount)" --lazy /
        step_last=("$(tool nsenter)" --mount=/proc/self/ns/mnt "${@:5}")
        before_command
        # Process 1 of the container: a shell waits for every child that it gets.
        [ -z "$4" ] || wait_for "${step_last[@]}"
        exec "${step_last[@]}"
        ;;
    --inside)
        step_root=$2
        prepare_root "$3"
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
