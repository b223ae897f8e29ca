# shellcheck shell=bash
# Install what this machine lacks; sourced by the other scripts, for which it sets $root and $python.
#
# When everything is there it costs a few milliseconds and says nothing.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
python=$root/.venv/bin/python
script=$(basename "$0")
missing=()
PATH=$PATH:/usr/sbin:/sbin

fail() {
    echo "$script: $*" >&2
    exit 1
}

# need_root: interfaces, routes and namespaces are root's.
need_root() {
    [ "$(id -u)" = 0 ] || fail "needs root for network interfaces: run it with sudo"
}

# need PROGRAM PACKAGE: note Debian's PACKAGE as missing unless PROGRAM is found.
need() {
    command -v "$1" >/dev/null || missing+=("$2")
}

# install_missing: install what `need` noted, in one go.
install_missing() {
    if [ ${#missing[@]} = 0 ]; then return; fi
    command -v apt-get >/dev/null || fail "needs ${missing[*]}: install them with your package tool"
    [ "$(id -u)" = 0 ] || fail "needs root to install packages: sudo apt-get install ${missing[*]}"
    may_install
    echo "installing ${missing[*]}" >&2
    local output
    # A fresh image has no package lists at all, an old one may have stale ones.
    output=$(apt_get install "${missing[@]}") ||
        output=$(apt_get update && apt_get install "${missing[@]}") ||
        fail "could not install ${missing[*]}: $(grep '^E: ' <<<"$output" | head -n 1)"
    missing=()
}

# may_install: ask on a terminal, where the script says that it $asks.
may_install() {
    local answer
    if [ "${asks:-no}" != yes ] || [ ! -t 0 ]; then return; fi
    read -r -p "$script: install ${missing[*]} with apt? [Y/n] " answer
    [[ ${answer:-y} == [Yy]* ]] || fail "needs ${missing[*]}"
}

apt_get() {
    DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends \
        -o DPkg::Lock::Timeout=120 "$@" </dev/null 2>&1
}

# setup_tools: what the agent runs.
setup_tools() {
    need wg wireguard-tools
    need ip iproute2
    install_missing
    if kernel_has_wireguard; then return; fi
    need wireguard-go wireguard-go
    install_missing
    if [ ! -e /dev/net/tun ]; then
        { mkdir -p /dev/net && mknod /dev/net/tun c 10 200; } 2>/dev/null ||
            fail "there is no /dev/net/tun, which wireguard-go needs: give this container one"
    fi
}

kernel_has_wireguard() {
    [ -d /sys/module/wireguard ] || {
        ! command -v wireguard-go >/dev/null &&
            unshare --net ip link add probe type wireguard 2>/dev/null
    }
}

# setup_python agent|EXTRA: the virtual environment, for the agent alone or with what an extra of
# pyproject.toml adds.
setup_python() {
    local stamp=$root/.venv/.installed-$1
    is_installed "$stamp" || (
        # Whoever comes second waits for the first, and then finds everything there.
        flock 9
        is_installed "$stamp" || install_python "$1"
    ) 9<"$root/pyproject.toml"
}

is_installed() { # STAMP
    [ "$1" -nt "$root/pyproject.toml" ] && [ -x "$python" ]
}

install_python() { # agent|EXTRA
    local wanted=$root output
    [ -x "$python" ] || make_environment
    [ "$1" = agent ] || wanted="${root}[$1]"
    echo "installing Python packages into .venv" >&2
    output=$("$python" -m pip install --quiet --disable-pip-version-check --retries 5 \
        --timeout 30 --config-settings editable_mode=compat --editable "$wanted" </dev/null 2>&1) ||
        fail "pip could not install what pyproject.toml asks for: $(grep 'ERROR:' <<<"$output" | tail -n 1)"
    touch "$root/.venv/.installed-$1" "$root/.venv/.installed-agent"
}

make_environment() {
    need python3 python3
    install_missing
    local base output
    base=$(command -v python3)
    "$base" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        fail "needs Python 3.11 or newer, $base is $("$base" -V 2>&1)"
    "$base" -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
    install_missing
    output=$("$base" -m venv --clear "$root/.venv" 2>&1) ||
        fail "could not make .venv: $(tail -n 1 <<<"$output")"
}
