# shellcheck shell=bash disable=SC2016,SC2034,SC2154
# Images: taken apart with jq, tar and sha256sum; each layer becomes a directory of the store, by its diff id.

# look_at_root IMAGE COMMAND: sets step_root to the list of the image's layers, as the look of step 14 leaves it.
look_at_root() {
    local upper='' id list=''
    if [ -n "$step_upper" ]; then
        try ls -d -- "$step_upper/."
        upper=$(cd -- "$step_upper" && pwd -P) || fail 125 "cd to $step_upper"
    fi
    try mkdir -p "$step_store/layers" "$step_store/parts"
    step_store=$(cd -- "$step_store" && pwd -P) || fail 125 "cd to $step_store"
    step_part=$step_store/parts/$$ step_digests=()
    try mkdir "$step_part"
    trap 'chmod -R u+rwX "$step_part"; rm -rf "$step_part"' EXIT
    open_image "$1"
    read_image
    unpack_image
    escape "$upper"
    upper=$step_name
    for id in "${step_ids[@]}"; do
        escape "$step_store/layers/${id#sha256:}"
        [[ :$list: == *":$step_name:"* ]] || list=$step_name${list:+:$list}
    done
    step_root=$upper:$list
    rm -rf "$step_part"
    trap - EXIT
}

# open_image PATH[:TAG]: sets step_image to a directory, and step_tag.
open_image() {
    local path=$1
    step_tag=''
    while [ ! -e "$path" ]; do
        [[ $path == *:* ]] || fail 125 "$1: No such file or directory"
        path=${path%:*} step_tag=${1#"$path":}
    done
    if [ -d "$path" ]; then
        step_image=$path
    else
        step_image=$step_part/image
        try mkdir "$step_image"
        try tar -xf "$path" -C "$step_image"
    fi
}

# ask FILE FILTER ARG...: what jq finds.
ask() {
    jq -er "${@:3}" "$2" "$1" 2>/dev/null || fail 125 "$1 has no ${2%%|*}"
}

# verify FILE DIGEST SIZE: sets nothing, and ends the step if the file is another.
verify() {
    local sum size
    size=$(stat -L -c %s "$1" 2>/dev/null) || fail 125 "$1: No such file or directory"
    [ "$size" = "$3" ] || fail 125 "$1 has $size bytes, and $3 were promised"
    read -r sum _ < <(sha256sum "$1")
    [ "sha256:$sum" = "$2" ] || fail 125 "$1 has the digest $sum, and $2 was promised"
}

# blob JSON: sets step_blob to the file that a descriptor means, verified.
blob() {
    local digest size
    digest=$(jq -r .digest <<<"$1") size=$(jq -r .size <<<"$1")
    [[ $digest =~ ^sha256:[0-9a-f]{64}$ ]] || fail 125 "$digest is no digest"
    step_blob=$step_image/blobs/sha256/${digest#sha256:}
    verify "$step_blob" "$digest" "$size"
}

# read_image: sets step_ids and step_blobs, the lowest layer first.
read_image() {
    local config machine
    machine=$(uname -m)
    machine=${machine/x86_64/amd64} machine=${machine/aarch64/arm64}
    if [ -e "$step_image/index.json" ]; then
        read_layout "$machine"
    elif [ -e "$step_image/manifest.json" ]; then
        config=$(ask "$step_image/manifest.json" \
            '[.[] | select($tag == "" or any(.RepoTags[]; . == $tag or endswith(":" + $tag)))]
             | if length == 1 then .[0] else empty end' -c --arg tag "$step_tag") || exit
        mapfile -t step_blobs < <(jq -r --arg image "$step_image" '.Layers[] | $image + "/" + .' <<<"$config")
        step_config=$step_image/$(jq -r .Config <<<"$config")
    else
        fail 125 "$step_image: neither index.json nor manifest.json is in it"
    fi
    [ "$(ask "$step_config" '.os + "/" + .architecture')" = "linux/$machine" ] ||
        fail 125 "$step_config: the image is for another machine"
    mapfile -t step_ids < <(ask "$step_config" '.rootfs.diff_ids[]')
    [ ${#step_ids[@]} = ${#step_blobs[@]} ] || fail 125 "$step_config: another number of layers"
}

# read_layout MACHINE: the same for an OCI layout; through indexes to a manifest, and from there to the rest.
read_layout() {
    local file=$step_image/index.json descriptor sizes depth=0
    local filter='[.manifests[] | select($tag == "" or .annotations["org.opencontainers.image.ref.name"] == $tag)
        | select(.platform == null or (.platform.os == "linux" and .platform.architecture == $machine))]
        | if length == 1 then .[0] else empty end'
    while jq -e .manifests "$file" >/dev/null 2>&1; do
        ((depth++ < 5)) || fail 125 "$file: too many indexes"
        descriptor=$(ask "$file" "$filter" -c --arg tag "$step_tag" --arg machine "$1") || exit
        step_tag=''
        blob "$descriptor"
        file=$step_blob
    done
    blob "$(ask "$file" .config -c)"
    step_config=$step_blob
    mapfile -t step_digests < <(ask "$file" '.layers[].digest')
    mapfile -t step_blobs < <(ask "$file" '.layers[].digest' | sed "s|sha256:|$step_image/blobs/sha256/|")
    mapfile -t sizes < <(ask "$file" '.layers[].size')
    [ "$(stat -L -c %s "${step_blobs[@]}" 2>&1)" = "$(printf '%s\n' "${sizes[@]}")" ] ||
        fail 125 "$file: a layer has not the size that was promised"
    [ "$(sha256sum "${step_blobs[@]}" | sed 's/ .*//')" = "$(printf '%s\n' "${step_digests[@]#sha256:}")" ] ||
        fail 125 "$file: a layer has not the digest that was promised"
}

# unpack_image: puts into the store what is not there, when all of it is whole.
unpack_image() {
    local place id new=()
    for place in "${!step_ids[@]}"; do
        id=${step_ids[place]#sha256:}
        if [ ! -d "$step_store/layers/$id" ] && [ ! -d "$step_part/layers/$id" ]; then
            [[ $id =~ ^[0-9a-f]{64}$ ]] || fail 125 "$id is no digest"
            new+=("$step_part/layers/$id")
            try mkdir -p "$step_part/layers/$id"
            unpack "${step_blobs[place]}" "$id" "${step_digests[place]-}"
        fi
    done
    [ ${#new[@]} -gt 0 ] || return 0
    hide "$step_part/layers"
    # What is there by now was unpacked by somebody who was faster, and ours goes.
    mv -n -t "$step_store/layers" "${new[@]}" 2>/dev/null || true
}

# unpack BLOB ID DIGEST: the digest is that of the blob, if it was verified.
unpack() {
    local archive=$step_part/archive sum options=(--numeric-owner -p --xattrs '--xattrs-include=*' -f)
    if [ "$3" = "sha256:$2" ]; then
        archive=$1 # as it is, and verified
    else
        case $(od -An -N4 -tx1 "$1") in
        ' 1f 8b'*) gzip -dc "$1" ;;
        ' 28 b5 2f fd') zstd -dcq "$1" ;;
        *) cat "$1" ;;
        esac >"$archive" 2>/dev/null || fail 125 "$1 is damaged"
        read -r sum _ < <(sha256sum "$archive")
        [ "$sum" = "$2" ] || fail 125 "$1 holds the archive $sum, and $2 was promised"
    fi
    # Nobody but root makes devices; tar would fail.
    if [ "$EUID" != 0 ]; then
        tar --quoting-style=literal -tvf "$archive" 2>/dev/null | sed -n 's/^[bc].* //p' >"$step_part/devices"
        options=(--anchored --no-wildcards -X "$step_part/devices" "${options[@]}")
    fi
    try tar -x "${options[@]}" "$archive" -C "$step_part/layers/$2"
}

# hide TREES: puts in the place of .wh.NAME what overlayfs takes for it.
hide() {
    local mark dir gone attribute=trusted map
    read -ra map </proc/self/uid_map
    [ "$EUID" = 0 ] && [ "${map[*]}" = '0 0 4294967295' ] || attribute=user
    while IFS= read -r -d '' mark; do
        dir=${mark%/*} gone=${mark##*/.wh.}
        rm -f "$mark"
        if [ "$gone" = .wh..opq ]; then
            try setfattr -n "$attribute.overlay.opaque" -v y "$dir"
        elif [ -d "$dir/$gone" ] && [ ! -L "$dir/$gone" ]; then
            try setfattr -n "$attribute.overlay.opaque" -v y "$dir/$gone"
        elif [ ! -e "$dir/$gone" ] && [ ! -L "$dir/$gone" ]; then
            try mknod "$dir/$gone" c 0 0
        fi
    done < <(find "$1" -name '.wh.*' -print0)
}
