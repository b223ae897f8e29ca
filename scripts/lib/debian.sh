# shellcheck shell=bash
# Debian systems of our own to build and test packages in; sourced after setup.sh, which sets $root.

# debian_system SUITE [NAME]: make a small Debian in build/NAME (SUITE), unless it is there; prints
# its directory.
debian_system() {
    local system=${root:?}/build/${2:-$1}
    need_root
    need debootstrap debootstrap
    install_missing >&2
    if [ ! -e "$system/.complete" ]; then
        echo "making a Debian $1 in $system" >&2
        rm -rf --one-file-system "$system"
        mkdir -p "$system"
        debootstrap --variant=minbase --include=git,ca-certificates "$1" "$system" \
            >"$system.log" 2>&1 || fail "debootstrap failed, see $system.log"
        mkdir -p "$system/dev/net"
        mknod "$system/dev/net/tun" c 10 200
        touch "$system/.complete"
    fi
    cp --dereference /etc/resolv.conf "$system/etc/resolv.conf"
    echo "$system"
}

# in_debian SYSTEM COMMAND...: run it there; its processes and mounts end with it.
# shellcheck disable=SC2016  # the inner shell expands it
in_debian() {
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
        unshare --mount --pid --fork --kill-child sh -euc '
            # `ip netns exec` wants a root that is a mount point.
            mount --bind "$1" "$1"
            mount -t proc proc "$1/proc"
            exec chroot "$@"' in_debian "$@"
}
