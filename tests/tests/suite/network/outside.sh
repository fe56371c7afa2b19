# shellcheck shell=sh
# A machine outside, which knows nothing of the container's subnet: whom does it see?
# STEP is the program, ROOTFS its root.
set -eu

# The way out of the host, and at its end a machine that answers with the address of whoever calls.
ip link add out type veth peer name wan
unshare --net sh -c 'echo; exec sleep 1000' >/var/tmp/made &
outside=$!
until [ -s /var/tmp/made ]; do sleep 0.02; done
ip link set wan netns "$outside"
ip address add 192.0.2.1/24 dev out
ip link set out up
there() { nsenter --net --target "$outside" "$@"; }
there ip address add 192.0.2.2/24 dev wan
there ip link set wan up
# Its name for 192.0.2.1 is [::ffff:192.0.2.1].
# shellcheck disable=SC2016
there busybox nc -ll -p 80 -e sh -c '
    set -- $(ss -Htn state connected sport = :80)
    peer=${5%:*} peer=${peer##*:}
    echo "you are ${peer%]}"' &
until there ss -Htln | grep -q ':80 '; do sleep 0.02; done

call='nc -w 2 192.0.2.2 80 2>/dev/null </dev/null || echo nobody answers'
"$STEP" --network bridge "$ROOTFS" sh -c "$call"
echo 1 >/proc/sys/net/ipv4/ip_forward
"$STEP" --network bridge "$ROOTFS" sh -c "$call"
