# shellcheck shell=bash
# What scripts/test-deb runs inside a Debian that has the package in /src.
set -euo pipefail

say() {
    echo "test-deb: $*"
}

fail() {
    say "FAILED: $*" >&2
    exit 1
}

apt_get() {
    apt-get -qq -y --no-install-recommends "$@" </dev/null >/src/apt.log 2>&1 || {
        tail -n 5 /src/apt.log >&2
        fail "apt-get $*"
    }
}

# The same package under a higher version, over the one that is installed.
upgrade() {
    rm -rf /src/newer
    dpkg-deb --raw-extract /src/wesher_*.deb /src/newer
    sed -i 's/^Version: .*/&+test/' /src/newer/DEBIAN/control
    dpkg-deb --build /src/newer /src/newer.deb >/dev/null
    dpkg --install /src/newer.deb >/src/upgrade.log 2>&1 || fail "the upgrade: $(cat /src/upgrade.log)"
}

# Everything but what package management itself keeps, and what does not outlive a boot.
files() {
    find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /src -o -path /tmp -o \
        -path /run -o -path /var/cache -o -path /var/log -o -path /var/lib/apt -o \
        -path /var/lib/dpkg \) -prune -o -print | sort
}

# Remove the package after a crash, in a network of our own: what the crash left goes with it, and
# an interface of somebody else's agent stays.
remove_after_crash() {
    ip link set lo up
    wesher --interface crashed --bind-addr 127.0.0.1 >/src/crashed.log 2>&1 &
    local agent=$!
    for _ in $(seq 300); do
        wesher status >/src/status 2>&1 && break
        sleep 0.2
    done
    kill -9 $agent
    wait $agent 2>/dev/null || true
    ip link show crashed | grep -q 'alias wesher' || fail "no interface to remove: $(cat /src/crashed.log)"
    ip tuntap add mode tun dev elsewhere
    ip link set elsewhere alias wesher

    apt_get remove wesher
    ! ip link show crashed >/dev/null 2>&1 || fail "the removal left the interface of a crashed agent"
    ip link show elsewhere >/dev/null || fail "the removal took an interface of no agent of this system"
    [ -e /etc/wesher/wesher.toml ] || fail "the removal took the configuration"
    [ -e /var/lib/wesher/crashed.json ] || fail "the removal took the state"
}

case ${1:-} in
upgrade)
    upgrade
    exit
    ;;
remove)
    remove_after_crash
    exit
    ;;
esac
. /etc/os-release
say "$PRETTY_NAME, $(python3 --version 2>/dev/null || echo no Python yet)"
mount -t tmpfs tmpfs /run
mount -t sysfs sysfs /sys
[ -e /etc/hosts ] || echo "127.0.0.1 localhost" >/etc/hosts
apt_get update
# Manuals are left out of small systems.
rm -f /etc/dpkg/dpkg.cfg.d/docker /etc/dpkg/dpkg.cfg.d/excludes
if dpkg --status wesher >/dev/null 2>&1; then apt_get purge wesher; fi  # an earlier run failed
apt_get install /src/wesher_*.deb wireguard-go iputils-ping man-db procps systemd
apt_get purge wesher
files >/src/before

apt_get install /src/wesher_*.deb
pgrep -f /usr/bin/wesher && fail "the installation started an agent"
[ "$(systemctl is-enabled wesher.service)" = disabled ] || fail "the unit is enabled"
systemd-analyze verify /lib/systemd/system/wesher.service /lib/systemd/system/wesher@.service
exposure=$(systemd-analyze security --offline=true /lib/systemd/system/wesher.service | tail -n 1)
say "installed, nothing started, nothing enabled; ${exposure#* }"
installed=$(dpkg-query -W wesher)
say "$(wesher --version)"
[ -e /usr/share/doc/wesher/docs/control.md.gz ] || fail "no documentation"
for unit in wesher wesher@lab; do
    systemctl --quiet enable "$unit"
    [ "$(systemctl is-enabled "$unit")" = enabled ] || fail "$unit cannot be enabled"
    systemctl --quiet disable "$unit"
done
man wesher | grep -q -- --cluster-key || fail "no manual"
man wesher.toml | grep -q cluster-key || fail "no manual of the configuration"
bash -c '. /usr/share/bash-completion/completions/wesher' || fail "no completion"
UPGRADE="bash /src/in-debian.sh upgrade" bash /src/tests/mesh
[ "$(dpkg-query -W wesher)" != "$installed" ] || fail "there was no upgrade"
say "upgraded under way from $installed to $(dpkg-query -W wesher)" | tr '\t' ' '

unshare --net bash /src/in-debian.sh remove
say "removed, with what a crashed agent had left; configuration and state stayed"
apt_get purge wesher
files >/src/after
diff /src/before /src/after || fail "the purge left the files above"
say "purged, every file as it was before"
