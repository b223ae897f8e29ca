#!/usr/bin/env bash
# Turn this process, alone in new namespaces, into one host of a lab: host.sh NUMBER NAME HOSTS
#
# It gets 192.168.77.NUMBER on the lab's bridge and its own /run, /etc and /var/lib, in which files
# can be made, replaced and removed; says `ready NUMBER PID` and sleeps until the lab ends.
set -euo pipefail
number=$1 name=$2 hosts=$3

echo "$name" >/proc/sys/kernel/hostname
mount -t tmpfs tmpfs /run
mkdir -p /run/wireguard /run/old/etc /run/old/var/lib
for directory in /etc /var/lib; do
    mount --rbind "$directory" "/run/old$directory"
    mount -t tmpfs tmpfs "$directory"
    ln -s "/run/old$directory"/* "$directory"
done
rm -rf /etc/hosts /etc/resolv.conf /etc/nsswitch.conf /etc/wesher /var/lib/wesher
printf '127.0.0.1\tlocalhost\n127.0.1.1\t%s\n' "$name" >/etc/hosts
echo 'hosts: files' >/etc/nsswitch.conf

hardware_address() { printf '02:77:00:00:00:%02x' "$1"; }

{
    echo "link set lo up"
    echo "link add eth0 address $(hardware_address "$number") type veth peer name host$number netns 1"
    echo "address add 192.168.77.$number/24 dev eth0"
    echo "link set eth0 up"
    echo "route add default via 192.168.77.254"
    # The kernel's neighbour table is one for all namespaces and holds 1,024 entries.
    for other in $(seq 1 "$hosts"); do
        echo "neighbour add 192.168.77.$other lladdr $(hardware_address "$other") dev eth0 nud permanent"
    done
} | ip -batch -

echo "ready $number $$"
exec sleep infinity
