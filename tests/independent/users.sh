# shellcheck shell=bash
# Steps 07 and 08 for the scripts of later ones: a network with nothing but lo, and users of its own.

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
