#!/bin/sh
# The first process in the real root: mounts what a host has, runs the command, and reports its status.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8

mount -t proc -o nosuid,nodev,noexec proc /proc
mount -t sysfs -o nosuid,nodev,noexec sysfs /sys
mount -t devtmpfs -o nosuid,mode=755 dev /dev
mkdir -p /dev/pts /dev/shm /dev/mqueue
mount -t devpts -o nosuid,noexec,gid=5,mode=620,ptmxmode=666 devpts /dev/pts
mount -t tmpfs -o nosuid,nodev,mode=1777 shm /dev/shm
mount -t mqueue -o nosuid,nodev,noexec mqueue /dev/mqueue
mount -t tmpfs -o nosuid,nodev,mode=755 run /run
mount -t securityfs -o nosuid,nodev,noexec securityfs /sys/kernel/security
# A real disk: an overlay may keep its changes on it (no tmpfs can before Linux 6.6), and there is something whose
# bandwidth can be limited. What was put in below /var/tmp moves there.
mke2fs -b 4096 -i 16384 /dev/vdb >/dev/null && mount -t ext2 /dev/vdb /mnt && cp -a /var/tmp/. /mnt &&
  mount --move /mnt /var/tmp
# As systemd has it, and every container runtime expects it of a host (mount_namespaces(7)).
mount --make-rshared /
ln -s /proc/self/fd /dev/fd
for number in 0 1 2; do
  ln -s "fd/$number" "/dev/$(echo stdin stdout stderr | cut -d ' ' -f $((number + 1)))"
done
ip link set lo up
hostname cooperage

cgroup=v2 user=root
# shellcheck source=/dev/null
. /.vm/order # what `run` was told of these two

cgroups=/sys/fs/cgroup

# Every controller in a hierarchy of its own, but for the two that account for the same thing.
mount_v1() {
  mount -t tmpfs -o nosuid,nodev,noexec,mode=755 cgroups $cgroups
  for controllers in cpu,cpuacct cpuset memory devices freezer blkio pids name=systemd; do
    directory=$cgroups/${controllers#name=}
    mkdir "$directory"
    options=$controllers
    case $controllers in name=*) options=none,$controllers ;; esac
    # Debian 13's kernel has given some up.
    mount -t cgroup -o "nosuid,nodev,noexec,$options" cgroup "$directory" || rmdir "$directory"
  done
  for controller in cpu cpuacct; do ln -s cpu,cpuacct $cgroups/$controller; done
}

mount_v2() {
  mount -t cgroup2 -o "nosuid,nodev,noexec,nsdelegate$2" cgroup2 "$1"
  read -r controllers <"$1/cgroup.controllers"
  for controller in $controllers; do
    echo "+$controller" >"$1/cgroup.subtree_control"
  done
}

case $cgroup in
  v1) mount_v1 ;;
  hybrid)
    mount_v1
    mkdir $cgroups/unified
    mount_v2 $cgroups/unified ''
    ;;
  v2) mount_v2 $cgroups ,memory_recursiveprot ;;
esac

# The command begins where a login session does: in a group of its own, below the root. An ordinary
# user's is delegated to him (cgroups(7), "Delegation"), as systemd does it, with all controllers.
for hierarchy in "$cgroups" "$cgroups"/*; do
  [ -e "$hierarchy/cgroup.procs" ] || continue
  [ -L "$hierarchy" ] && continue
  group=$hierarchy/session
  mkdir "$group" || continue
  # Version 1's cpuset takes no process before it knows its CPUs.
  for file in cpuset.cpus cpuset.mems; do
    [ -e "$group/tasks" ] && [ -e "$group/$file" ] && cat "$hierarchy/$file" >"$group/$file"
  done
  leaf=$group
  if [ "$user" = user ]; then
    if [ -e "$group/cgroup.controllers" ]; then
      read -r controllers <"$group/cgroup.controllers"
      for controller in $controllers; do
        echo "+$controller" >"$group/cgroup.subtree_control"
      done
      leaf=$group/shell
      mkdir "$leaf"
    fi
    for directory in "$group" "$leaf"; do
      chown user:user "$directory"
      for file in cgroup.procs cgroup.threads cgroup.subtree_control tasks; do
        [ -e "$directory/$file" ] && chown user:user "$directory/$file"
      done
    done
  fi
  leaves="$leaves $leaf"
done

# What the command writes leaves through ports, so that it arrives byte for byte and apart.
port() {
  for name in /sys/class/virtio-ports/*/name; do
    [ "$(cat "$name")" = "$1" ] && basename "$(dirname "$name")" && return
  done
}

out=/dev/$(port out) err=/dev/$(port err) report=/dev/$(port report)
exec 9>"$report"
printf 'started %s\n' "$(cut -d ' ' -f 1 /proc/uptime)" >&9
(
  exec 9>&-
  for leaf in $leaves; do echo 0 >"$leaf/cgroup.procs"; done
  if [ "$user" = user ]; then
    exec setsid su -s /bin/sh user /.vm/command
  fi
  export HOME=/root USER=root LOGNAME=root
  exec setsid sh /.vm/command
) </dev/null >"$out" 2>"$err"
printf 'status %s\n' $? >&9
printf 'ended %s\n' "$(cut -d ' ' -f 1 /proc/uptime)" >&9
exec 9>&-
poweroff -f
