# shellcheck shell=bash
# The root directory of a step: ROOTFS before it is the root, and paths in it.

# open_root ROOTFS: sets step_root to its path, without symbolic links.
open_root() {
    try ls -d -- "$1/." # says why a directory cannot be entered
    step_root=$(cd -- "$1" && pwd -P) || fail 125 "cd to $1"
}

# inside PATH: sets step_file to the file that PATH means to a process whose root is ROOTFS. The host
# would follow an absolute link (/bin/awk -> /etc/alternatives/awk) to a file of its own.
inside() {
    local rest=$1/ part at='' links=0
    while [ -n "$rest" ]; do
        part=${rest%%/*} rest=${rest#*/}
        case $part in
        '' | .) ;;
        ..) at=${at%/*} ;;
        *)
            if [ -L "$step_root$at/$part" ] && ((links++ < 40)); then
                rest=$(readlink "$step_root$at/$part")/$rest
                [[ $rest != /* ]] || at=
            else
                at=$at/$part
            fi
            ;;
        esac
    done
    step_file=$step_root$at
}
