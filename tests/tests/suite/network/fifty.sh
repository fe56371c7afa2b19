# shellcheck shell=sh
# Fifty containers at once, half of them killed, and one more run. STEP is the program, ROOTFS its root.
set -eu

host() {
    ip -oneline link show | sed 's/^[0-9]*: //' # numbers are given once only
    ip -4 route show table all
    nft list ruleset
    grep -o '@[^ ]*' /proc/net/unix || true
    ls /run /var/run /var/lib /tmp
}

# What is asked of each container: its address; and to stay until a line comes.
# shellcheck disable=SC2016
inside='
    while read -r a b c; do
        case $a in "|--") last=$b ;; /32) [ "$c" != LOCAL ] || echo "$last" ;; esac
    done < /proc/net/fib_trie
    read -r line'

echo 1 >/proc/sys/net/ipv4/ip_forward
mkdir /tmp/out
mkfifo /tmp/gate
exec 3<>/tmp/gate
host >/var/tmp/before

started=
for number in $(seq 50); do
    "$STEP" --network bridge "$ROOTFS" sh -c "$inside" <&3 3<&- >"/tmp/out/$number" &
    started="$started $!"
done
addresses() { cat /tmp/out/* | grep -v '^127' | sort -u; }
for _ in $(seq 200); do
    [ "$(addresses | wc -l)" -lt 50 ] || break
    sleep 0.05
done
echo "$(addresses | wc -l) addresses"

# shellcheck disable=SC2086
set -- $started
while [ $# -gt 25 ]; do
    kill -KILL "$1"
    shift
done
# More lines than 25: one that was killed may still take some with it.
for _ in $(seq 100); do echo; done >&3
wait "$@"
"$STEP" --network bridge "$ROOTFS" true
rm -r /tmp/out /tmp/gate
mkdir /tmp/out
mkfifo /tmp/gate
host >/var/tmp/after
diff /var/tmp/before /var/tmp/after && echo nothing left
