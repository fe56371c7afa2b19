# shellcheck shell=bash
# What every container has mounted, and the devices that every program expects.

# mount_on DIRECTORY TYPE OPTIONS: mounts a new file system in ROOTFS. A missing mount point is made.
mount_on() {
    inside "$1"
    # The caller's umask is for his command, not for this.
    [ -d "$step_file" ] || try mkdir -m 755 "$step_file"
    try mount -t "$2" -o "$3" "$2" "$step_file"
}

mount_all() {
    mount_on /proc proc nosuid,nodev,noexec
    mount_on /sys sysfs nosuid,nodev,noexec,ro
    mount_on /dev tmpfs nosuid,mode=755
    mount_on /dev/pts devpts nosuid,noexec,newinstance,ptmxmode=0666,mode=0620
    mount_on /dev/shm tmpfs nosuid,nodev,noexec,mode=1777
    mount_on /dev/mqueue mqueue nosuid,nodev,noexec
}

# make_device NAME MAJOR MINOR: in a user namespace nobody may make one, but the host's may be shown.
make_device() {
    inside "/dev/$1"
    "$(tool mknod)" -m 666 "$step_file" c "$2" "$3" 2>/dev/null && return
    try touch "$step_file"
    try mount --bind "/dev/$1" "$step_file"
}

make_devices() {
    make_device null 1 3
    make_device zero 1 5
    make_device full 1 7
    make_device random 1 8
    make_device urandom 1 9
    make_device tty 5 0
    inside /dev
    try ln -s /proc/self/fd "$step_file/fd"
    try ln -s /proc/self/fd/0 "$step_file/stdin"
    try ln -s /proc/self/fd/1 "$step_file/stdout"
    try ln -s /proc/self/fd/2 "$step_file/stderr"
    try ln -s pts/ptmx "$step_file/ptmx"
}
