# shellcheck shell=bash
# Layers: checked on the host, mounted in the new namespaces.

# split LIST: sets step_layers to the names in TOP:...:BOTTOM, in which a backslash takes the meaning from what follows.
split() {
    local piece name=''
    step_layers=()
    while IFS= read -r -d : piece; do
        name+=$piece
        if [[ $piece =~ (\\*)$ ]] && ((${#BASH_REMATCH[1]} % 2)); then
            name+=: # that colon was part of the name
            continue
        fi
        unescape "$name"
        step_layers+=("$step_name")
        name=''
    done <<<"$1:"
    [ -z "$name" ] || fail 125 "$1: nothing follows the last backslash"
}

# unescape NAME: sets step_name.
unescape() {
    local rest=$1
    step_name=''
    while [[ $rest == *\\* ]]; do
        step_name+=${rest%%\\*}
        rest=${rest#*\\}
        step_name+=${rest:0:1} rest=${rest:1}
    done
    step_name+=$rest
}

# escape NAME: the other way.
escape() {
    step_name=${1//\\/\\\\}
    step_name=${step_name//:/\\:}
}

# look_at_root LIST COMMAND: sets step_root to one list of full names, that of the writable layer first. The command can
# only be looked for when the layers are together.
look_at_root() {
    local layer upper='' names=:
    if [ -n "$step_upper" ]; then
        try ls -d -- "$step_upper/."
        upper=$(cd -- "$step_upper" && pwd -P) || fail 125 "cd to $step_upper"
    fi
    split "$1"
    escape "$upper"
    step_root=$step_name
    for layer in "${step_layers[@]}"; do
        [ -n "$layer" ] || fail 125 "$1: a layer has no name"
        try ls -d -- "$layer/."
        layer=$(cd -- "$layer" && pwd -P) || fail 125 "cd to $layer"
        escape "$layer"
        [[ $names != *":$step_name:"* ]] || fail 125 "$layer: a layer cannot be there twice"
        [[ $upper/ != "$layer"/* ]] || fail 125 "$upper: the writable layer lies in $layer"
        names+=$step_name:
    done
    step_root+=${names%:}
}

# prepare_root COMMAND: mounts the layers, and sets step_root to the place. What mount(2) takes fits on one page, so
# the names are those of open files in /proc/self/fd: numbers.
prepare_root() {
    local lower='' number layer options name map
    split "$step_root"
    for layer in "${step_layers[@]:1}"; do
        exec {number}<"$layer/"
        lower+=:$number
    done
    [ -z "${step_layers[0]}" ] || open_writable "${step_layers[0]}"
    layer=${step_layers[1]}
    try mount -t tmpfs tmpfs "$layer" # hides the uppermost layer, which is open
    [ -n "${step_layers[0]}" ] || open_writable "$layer"
    try mkdir -p "$layer/init/etc" "$layer/merged"
    name=$("$(tool hostname)")
    echo "$name" >"$layer/init/etc/hostname"
    printf '127.0.0.1 localhost\n127.0.1.1 %s\n' "$name" >"$layer/init/etc/hosts"
    cat /etc/resolv.conf >"$layer/init/etc/resolv.conf" 2>/dev/null
    exec {number}<"$layer/init"
    options=lowerdir=$number$lower,upperdir=$step_diff,workdir=$step_work
    options+=,index=off,metacopy=off,redirect_dir=nofollow
    read -ra map </proc/self/uid_map
    [ "${map[*]}" = '0 0 4294967295' ] || options+=,userxattr
    cd -P /proc/self/fd || fail 125 'cd to /proc/self/fd'
    step_root=${step_layers[1]}/merged
    try mount -t overlay -o "$options" overlay "$step_root"
    cd / || exit
    find_command "$1"
}

# open_writable PLACE: sets step_diff and step_work to the descriptors of two directories in it.
open_writable() {
    if [ ! -d "$1/diff" ]; then
        try mkdir "$1/diff"
        "$(tool chown)" --reference "${step_layers[1]}" "$1/diff" 2>/dev/null
        try chmod --reference "${step_layers[1]}" "$1/diff"
    fi
    try mkdir -p "$1/work"
    exec {step_diff}<"$1/diff" {step_work}<"$1/work"
}
