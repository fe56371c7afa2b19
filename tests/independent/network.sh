# shellcheck shell=bash
# The network of step 07, on ip(8), nft(8) and flock(1).
#
# Whose cable is whose stands in the alias of the host's end: the number of the step that made it, and when
# that began. A cable that nobody owns any more is removed by whoever comes next.

# more_option ARG...: takes one of the options that step 07 brings; step_taken is how many words it had.
more_option() {
    case $1 in
    --network=* | --ip=* | --subnet=*)
        more_option "${1%%=*}" "${1#*=}" || return
        step_taken=1
        return
        ;;
    --network) [[ ${2-} =~ ^(none|host|bridge)$ ]] && step_network=$2 ;;
    --ip) to_number "${2-}" && step_ip=$2 ;;
    --subnet) [[ ${2-} == */* ]] && to_number "${2%/*}" && step_subnet=$2 ;;
    *) return 1 ;;
    esac || fail 125 "$1: ${2-nothing} is no value for it"
    step_taken=2
}

# to_number ADDRESS: sets step_number to its 32 bits.
to_number() {
    local a b c d
    [[ $1 =~ ^[0-9]{1,3}(\.[0-9]{1,3}){3}$ ]] || return
    IFS=. read -r a b c d <<<"$1"
    ((10#$a < 256 && 10#$b < 256 && 10#$c < 256 && 10#$d < 256)) || return
    step_number=$(((10#$a << 24) + (10#$b << 16) + (10#$c << 8) + 10#$d))
}

# to_address NUMBER: sets step_address to the address with these 32 bits.
to_address() {
    printf -v step_address '%d.%d.%d.%d' $(($1 >> 24)) $(($1 >> 16 & 255)) $(($1 >> 8 & 255)) $(($1 & 255))
}

# open_subnet: sets step_first, step_last and step_prefix to what --subnet says, and step_bridge to a name.
open_subnet() {
    local size
    step_prefix=${step_subnet#*/}
    ((step_prefix >= 8 && step_prefix <= 30)) || fail 125 "--subnet $step_subnet has no room, or too much"
    to_number "${step_subnet%/*}"
    size=$((1 << (32 - step_prefix)))
    ((step_number % size == 0)) || fail 125 "--subnet $step_subnet does not begin there"
    step_first=$step_number step_last=$((step_number + size - 1))
    printf -v step_bridge 'shell%08x' "$step_first"
    to_address $((step_first + 1))
    step_gateway=$step_address
}

# refuse_collisions: fails if the host knows another way to some address of the subnet.
refuse_collisions() {
    local route words size
    while read -r route; do
        read -r -a words <<<"${route#* }"
        [[ $route != "default "* && " $route " != *" dev $step_bridge "* ]] || continue
        route=${route%% *}
        to_number "${route%/*}" || { route=${words[0]} && to_number "${route%/*}"; } || continue
        [[ $route == */* ]] || route=$route/32
        size=$((1 << (32 - ${route#*/})))
        ((step_number > step_last || step_number + size - 1 < step_first)) ||
            fail 125 "--subnet $step_subnet collides with the route to $route"
    done < <("$(tool ip)" -4 route show)
}

# new_network: opens a new network namespace as descriptor 8. It lives as long as somebody has it open.
new_network() {
    coproc { exec "$(tool unshare)" --net "$BASH" -c 'echo made; read -r'; } 2>/dev/null
    read -r <&"${COPROC[0]}" || fail 125 "unshare: no network namespace can be made"
    exec 8<"/proc/$COPROC_PID/ns/net"
    echo >&"${COPROC[1]}"
    wait "$COPROC_PID"
    in_it link set lo up
}

# in_it ARG...: ip(8) in the new namespace.
in_it() {
    try nsenter --net=/proc/self/fd/8 "$(tool ip)" "$@"
}

# turn: waits for the turn of this step. The lock is on the network namespace, and goes with descriptor 7.
turn() {
    exec 7</proc/self/ns/net
    try flock 7
}

# owner PID: sets step_owner to the process and when it began, which no other ever has.
owner() {
    local stat
    step_owner=
    { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return
    read -r -a stat <<<"${stat##*) }" # behind the name, which may have anything in it
    step_owner="$1 ${stat[19]}"
}

# tidy: removes the cables whose owner has gone, and the bridge if it has no other.
tidy() {
    local line used='' name owner
    while read -r line; do
        name=${line#*: } owner=${line##*alias }
        owner "${owner% *}"
        if [ "$step_owner" = "$owner" ]; then
            used=yes
        else
            "$(tool ip)" link delete "${name%%@*}"
        fi
    done < <("$(tool ip)" -o link show master "$step_bridge")
    if [ -z "$used" ]; then
        "$(tool nft)" delete table ip "$step_bridge"
        "$(tool ip)" link delete "$step_bridge"
    fi 2>/dev/null
}

# plug_in: connects the new namespace with the bridge.
plug_in() {
    local number chosen=''
    turn
    tidy 2>/dev/null
    refuse_collisions
    if ! "$(tool ip)" link show "$step_bridge" >/dev/null 2>&1; then
        try ip link add "$step_bridge" type bridge
        try ip address add "$step_gateway/$step_prefix" broadcast + dev "$step_bridge"
        try ip link set "$step_bridge" up
        [ "$(</proc/sys/net/ipv4/ip_forward)" != 1 ] || masquerade
    fi
    for ((number = step_first + 2; number < step_last; number++)); do
        to_address "$number"
        [ -z "$step_ip" ] || [ "$step_ip" = "$step_address" ] || continue
        printf -v step_cable 'cable%08x' "$number"
        # Whoever makes the interface has the address.
        if "$(tool ip)" link add "$step_cable" type veth peer name "new$$" 2>/dev/null; then
            chosen=$step_address
            break
        fi
    done
    if [ -z "$chosen" ]; then
        tidy 2>/dev/null
        fail 125 "no address for a container: ${step_ip:-all of $step_subnet} in use or not in it"
    fi
    owner "$$"
    trap unplug EXIT
    try ip link set "$step_cable" alias "$step_owner" master "$step_bridge" up
    try ip link set "new$$" netns "/proc/$$/fd/8"
    in_it link set "new$$" name eth0
    in_it address add "$chosen/$step_prefix" broadcast + dev eth0
    in_it link set eth0 up
    in_it route add default via "$step_gateway"
    exec 7<&-
}

# unplug: takes the container off the bridge again.
unplug() {
    exec 7</proc/self/ns/net
    "$(tool flock)" 7
    "$(tool ip)" link delete "$step_cable"
    tidy
} 2>/dev/null

masquerade() {
    try nft "add table ip $step_bridge
        add chain ip $step_bridge out { type nat hook postrouting priority srcnat; }
        add rule ip $step_bridge out ip saddr $step_subnet oifname != $step_bridge masquerade"
}
