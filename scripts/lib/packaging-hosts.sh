# shellcheck shell=bash
# What scripts/check-packaging does on hosts of its own: each boots systemd on a copy of the Debian
# in $1, in namespaces, and is on one bridge with the others. Run in a network, mount and process
# namespace that ends with it.
set -euo pipefail
system=$1
work=$(mktemp -d)
mount -t tmpfs tmpfs "$work" # goes with our mounts
declare -A inits
net=192.168.78

say() {
    echo "check-packaging: $*"
}

fail() {
    say "FAILED: $*" >&2
    exit 1
}

# boot NUMBER...: start the hosts of these numbers, hostN, and wait until they are up.
boot() {
    local number
    for number; do boot_one "$number"; done
    for number; do
        try 60 is_up "host$number" || fail "host$number does not boot"
    done
}

is_up() {
    case $(on "$1" systemctl is-system-running 2>/dev/null) in running | degraded) ;; *) return 1 ;; esac
}

boot_one() {
    local name=host$1 tree=$work/host$1/tree
    mkdir -p "$work/$name"/{changes,overlay,tree}
    mount -t overlay overlay "$tree" \
        -o "lowerdir=$system,upperdir=$work/$name/changes,workdir=$work/$name/overlay"
    # Without one it would be a first boot, which enables whatever is installed.
    tr -d - </proc/sys/kernel/random/uuid >"$tree/etc/machine-id"
    mkdir "$cgroups/$name"
    # shellcheck disable=SC2016  # the inner shells expand it
    sh -euc 'echo 0 >"$1/cgroup.procs"; shift; exec "$@"' sh "$cgroups/$name" \
        unshare --fork --pid --mount --net --uts --ipc --cgroup --kill-child sh -euc '
        hostname "$1"
        echo "$1" >"$2/etc/hostname"
        mount --bind "$2" "$2"
        mount -t proc proc "$2/proc"
        mount -t sysfs sysfs "$2/sys"
        mount -t cgroup2 none "$2/sys/fs/cgroup"
        for one in run tmp dev; do mount -t tmpfs tmpfs "$2/$one"; done
        mkdir "$2/dev/net" "$2/dev/pts" "$2/dev/shm"
        while read -r device kind major minor; do
            mknod -m 666 "$2/dev/$device" "$kind" "$major" "$minor"
        done <<DEVICES
null c 1 3
zero c 1 5
full c 1 7
random c 1 8
urandom c 1 9
tty c 5 0
net/tun c 10 200
DEVICES
        ln -s /proc/self/fd "$2/dev/fd"
        mount -t devpts devpts "$2/dev/pts" -o newinstance,ptmxmode=0666
        ln -s pts/ptmx "$2/dev/ptmx"
        exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin container=wesher \
            chroot "$2" /lib/systemd/systemd --system' sh "$name" "$tree" \
        >"$work/$name/console" 2>&1 </dev/null &
    local outer=$!
    try 10 has_init "$outer" || fail "$name: $(cat "$work/$name/console")"
    inits[$name]=$(pgrep -P "$outer")
    ip link add "$name" type veth peer name eth0 netns "${inits[$name]}"
    ip link set "$name" master bridge up
    nsenter -t "${inits[$name]}" -n sh -c "ip link set lo up; ip link set eth0 up; ip address add $net.$1/24 dev eth0"
}

has_init() {
    pgrep -P "$1" >/dev/null
}

# on HOST COMMAND...: run it there.
on() {
    local host=$1
    shift
    nsenter -t "${inits[$host]}" -m -u -i -n -p -C -r \
        env -i -C / PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 HOME=/root "$@"
}

# try SECONDS COMMAND...: until it succeeds.
try() {
    local left=$(($1 * 5))
    shift
    until "$@" >/dev/null 2>&1; do
        left=$((left - 1))
        [ $left -gt 0 ] || return 1
        sleep 0.2
    done
}

# has HOST TEXT COMMAND...: what it prints there has the text in it.
has() {
    local host=$1 text=$2 output
    shift 2
    output=$(on "$host" "$@" 2>&1 || true)
    [[ $output == *"$text"* ]]
}

# must SECONDS HOST TEXT COMMAND...: it has, in time.
must() {
    local seconds=$1
    shift
    try "$seconds" has "$@" || fail "on $1 \`${*:3}\` has no \"$2\": $(on "$1" "${@:3}" 2>&1 || true)"
}

put() { # HOST FILE MODE, from standard input
    # shellcheck disable=SC2016  # the inner shell expands it
    on "$1" sh -c 'mkdir -p "$(dirname "$1")" && cat >"$1" && chmod "$2" "$1"' sh "$2" "$3"
}

join_by_hand() { # HOST KEY SEED
    printf 'timing = "lan"\ncluster-key = "%s"\njoin = ["%s"]\n' "$2" "$3" | put "$1" /etc/wesher/wesher.toml 0600
    on "$1" systemctl enable --quiet --now wesher
}

packaging=/src/wesher/packaging

hosts() {
    boot 1 2 3
    say "three hosts with systemd: $(on host1 systemctl --version | head -n 1)"
    for host in host1 host2; do
        on "$host" sh -c 'apt-get -qq -y install /src/wesher_*.deb' >/dev/null 2>&1 || fail "apt-get install"
    done
    echo 'timing = "lan"' | put host1 /etc/wesher/wesher.toml 0600
    on host1 systemctl enable --quiet --now wesher
    must 20 host1 = wesher key show --force
    key=$(on host1 wesher key show --force)
    join_by_hand host2 "$key" $net.1
    must 20 host1 host2 wesher members
    say "wesher.service: two hosts have met: $(on host1 wesher members | tr '\n' ',')"
    scraped
    followed
    firewalled
    left_alone
    read_only_etc
    by_pip "$key"
}

scraped() {
    on host1 systemctl enable --quiet --now wesher-metrics.socket
    must 10 host1 'wesher_members{state="alive"} 1.0' curl -s http://127.0.0.1:9946/metrics
    on host1 curl -s http://127.0.0.1:9946/metrics | on host1 promtool check metrics || fail "promtool check metrics"
    ! has host1 "One scrape" journalctl -q -t systemd || fail "a scrape is in the journal"
    say "wesher-metrics.socket: $(on host1 curl -sI http://127.0.0.1:9946/metrics | head -n 1 | tr -d '\r'), promtool check metrics has no complaint"
}

followed() {
    local host
    for host in host1 host2; do
        on "$host" install -m 755 $packaging/examples/on-event /etc/wesher/on-event
        on "$host" systemctl enable --quiet --now wesher-events
        must 10 "$host" running systemctl show -P SubState wesher-events
    done
    must 10 host1 "wesher monitor" ps ax
    agent=$(on host2 systemctl show -P MainPID wesher)
    on host2 kill -STOP "$agent"
    must 25 host1 "host2 (10." journalctl -q -t wesher-events
    on host2 kill -CONT "$agent"
    must 25 host1 returned journalctl -q -t wesher-events
    ! has host2 failed journalctl -q -t wesher-events || fail "both hosts ran the script"
    say "wesher-events.service: $(on host1 journalctl -q -t wesher-events -o cat | tr '\n' ',')"
}

firewalled() {
    local host
    for host in host1 host2; do
        on "$host" systemctl start firewalld
    done
    must 30 host1 "neither by TCP nor by UDP" wesher doctor
    for host in host1 host2; do
        on "$host" cp $packaging/firewalld/wesher.xml /etc/firewalld/services/
        on "$host" firewall-cmd --quiet --reload
        on "$host" firewall-cmd --quiet --add-service=wesher
    done
    must 30 host1 healthy wesher doctor
    for host in host1 host2; do
        on "$host" systemctl stop firewalld
    done
    say "firewalld: doctor found it closed, and with the service $(on host1 wesher doctor | tail -n 1)"
}

left_alone() {
    on host1 cp $packaging/networkmanager/wesher.conf /etc/NetworkManager/conf.d/
    on host1 systemctl start NetworkManager
    must 20 host1 "10 (unmanaged)" nmcli -g GENERAL.STATE device show wgoverlay
    on host1 systemctl stop NetworkManager
    # What a host may have, and what takes addresses away that it does not know.
    printf '[Match]\nName=wg*\n[Network]\nLinkLocalAddressing=no\n' |
        put host1 /etc/systemd/network/50-all.network 0644
    on host1 cp $packaging/networkd/10-wesher.network /etc/systemd/network/
    on host1 systemctl start systemd-networkd
    must 20 host1 unmanaged networkctl --no-legend list wgoverlay
    must 10 host1 "10." ip -br address show wgoverlay
    say "NetworkManager and systemd-networkd: wgoverlay is unmanaged, and has its address"
    on host1 systemctl stop systemd-networkd
}

read_only_etc() {
    on host2 systemctl stop wesher
    on host2 cp $packaging/examples/etc-hosts.mount /etc/systemd/system/
    on host2 cp $packaging/examples/etc-hosts.conf /etc/tmpfiles.d/
    on host2 systemctl daemon-reload
    on host2 systemd-tmpfiles --create etc-hosts.conf
    on host2 mount --bind -o ro /etc /etc
    on host2 mount -o remount,ro,bind /etc
    on host2 systemctl start etc-hosts.mount
    ! on host2 touch /etc/anything 2>/dev/null || fail "/etc can be written"
    on host2 systemctl start wesher
    must 20 host2 10. getent hosts host1
    say "etc-hosts.mount: /etc is read-only, and getent says $(on host2 getent hosts host1 | tr -s ' ')"
}

by_pip() { # KEY
    # What it imports is there as packages of Debian's.
    on host3 sh -euc 'python3 -m venv --system-site-packages /opt/wesher
        cp -r /src/wesher /tmp/wesher
        /opt/wesher/bin/pip install --quiet --no-index --no-build-isolation --no-deps /tmp/wesher
        ln -s /opt/wesher/bin/wesher /usr/local/bin/wesher'
    on host3 wesher install-unit >"$work/said" || fail "install-unit"
    join_by_hand host3 "$1" $net.1
    must 20 host1 host3 wesher members
    has host3 "disable --now wesher.service" wesher install-unit --uninstall || fail "its units were taken from it"
    say "wesher install-unit: $(grep start "$work/said" | head -n 1); it is $(on host3 systemctl is-active wesher)"
    on host3 systemctl disable --quiet --now wesher
    on host3 wesher install-unit --uninstall >/dev/null
    has host3 "could not be found" systemctl status wesher || fail "the unit is still there"
    say "wesher install-unit --uninstall: the unit is gone"
}

role() {
    boot 1 2
    ssh-keygen -q -t ed25519 -N '' -f "$work/key"
    local number
    for number in 1 2; do
        put "host$number" /root/.ssh/authorized_keys 0600 <"$work/key.pub"
    done
    controller_files
    play "first node, join" site.yml
    must 20 host1 host2 wesher members
    say "host1 pings host2: $(on host1 ping -c 1 -w 5 host2 | grep -o '[01] received')"
    play "again" site.yml
    grep -q 'changed=[1-9]' "$work/played" && fail "the second run changed something: $(grep -B3 changed: "$work/played")"
    upgraded_under_traffic
    play "remove" remove.yml
    for host in host1 host2; do
        ! on "$host" ip link show wgoverlay >/dev/null 2>&1 || fail "$host still has the interface"
        ! on "$host" test -e /var/lib/wesher -o -e /etc/wesher || fail "$host still has state"
    done
    say "removed: no interface, state or configuration is left"
}

controller_files() {
    mkdir -p "$work/play"
    cp "$system"/src/wesher_*.deb "$work/play/wesher.deb"
    cat >"$work/play/inventory" <<INVENTORY
[wesher]
host1 ansible_host=$net.1
host2 ansible_host=$net.2
[wesher:vars]
ansible_user=root
ansible_ssh_private_key_file=/play/key
ansible_ssh_common_args="-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
INVENTORY
    cp "$work/key" "$work/play/key"
    playbook site.yml "wesher_package: /play/wesher.deb"
    playbook upgrade.yml "wesher_package: /play/newer.deb"
    playbook remove.yml "wesher_state: absent" "wesher_purge: true"
}

playbook() { # FILE VARIABLE...
    local file=$work/play/$1 variable
    shift
    printf -- '- hosts: wesher\n  become: true\n  roles:\n    - role: wesher\n' >"$file"
    for variable; do echo "      $variable" >>"$file"; done
}

# play WHAT PLAYBOOK: run it from a Debian beside the hosts.
play() {
    # shellcheck disable=SC2016  # the inner shell expands it
    unshare --mount sh -euc '
        mount --bind "$1" "$1"
        mount -t proc proc "$1/proc"
        mount -t tmpfs tmpfs "$1/tmp"
        mkdir -p "$1/play"
        mount --bind "$2" "$1/play"
        exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 \
            ANSIBLE_ROLES_PATH=/src/wesher/packaging/ansible/roles \
            chroot "$1" ansible-playbook -i /play/inventory "/play/$3"
        ' sh "$system" "$work/play" "$2" >"$work/played" 2>&1 || {
        tail -n 40 "$work/played" >&2
        fail "the role: $1"
    }
    say "role, $1: $(grep -o 'ok=.*failed=[0-9]*' "$work/played" | tr -s ' ' | tr '\n' ';')"
}

upgraded_under_traffic() {
    dpkg-deb --raw-extract "$work/play/wesher.deb" "$work/newer"
    sed -i 's/^Version: .*/&+test/' "$work/newer/DEBIAN/control"
    dpkg-deb --build "$work/newer" "$work/play/newer.deb" >/dev/null
    on host1 ping -q -i 0.02 -w 600 host2 >"$work/ping" 2>&1 &
    play "upgrade" upgrade.yml
    sleep 2
    on host1 pkill -INT ping
    wait $! || true
    has host2 +test dpkg-query -W wesher || fail "there was no upgrade"
    grep -q ' 0% packet loss' "$work/ping" || fail "packets were lost: $(cat "$work/ping")"
    say "upgraded to $(on host2 dpkg-query -W wesher | cut -f 2): $(grep transmitted "$work/ping")"
}

# clean_up: cgroups are what does not end with our namespaces.
clean_up() {
    [ ${#inits[@]} = 0 ] || kill -9 "${inits[@]}" || true
    try 10 rmdir_all || true
}

rmdir_all() {
    find "$cgroups" -depth -type d -exec rmdir {} + 2>/dev/null
    [ ! -d "$cgroups" ]
}

mkdir "$work/cgroup"
mount -t cgroup2 none "$work/cgroup"
cgroups=$work/cgroup/check-packaging-$(date +%s)
mkdir "$cgroups"
trap clean_up EXIT
ip link set lo up
ip link add bridge type bridge
ip address add $net.254/24 dev bridge
ip link set bridge up
"$2"
