# shellcheck shell=bash
# What scripts/check-packaging runs inside a Debian that has the project in /src/wesher.
set -euo pipefail
expected=
export HOME=/root
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
packaging=/src/wesher/packaging
version=$(sed -n 's/^__version__ = "\(.*\)"/\1/p' /src/wesher/wesher/__init__.py)

say() {
    echo "check-packaging: $*"
}

fail() {
    say "FAILED: $*" >&2
    exit 1
}

# closing WHAT COMMAND...: run it, and print its last line (that has $expected); what it says is
# shown if it fails.
closing() {
    local what=$1 log=$work/log
    shift
    "$@" >"$log" 2>&1 || {
        cat "$log" >&2
        fail "$what"
    }
    local told
    told=$({ grep -E "${expected:-.}" "$log" || true; } | tail -n 1 | sed 's/^ *//')
    say "$what: ${told:-no complaint}"
}

# wesher's sources as a tarball of a release, in DIRECTORY.
tarball() {
    tar -czf "$1/wesher-$version.tar.gz" --transform "s,^wesher,wesher-$version," -C /src wesher
}

files() {
    closing "cloud-init schema" cloud-init schema --config-file "$packaging/cloud-init/wesher.yaml"
    closing "promtool check rules" promtool check rules "$packaging/prometheus/wesher.rules.yml"
    closing "promtool test rules" promtool test rules "$packaging/prometheus/wesher.rules.test.yml"
    cp "$packaging/ufw/wesher" /etc/ufw/applications.d/
    closing "ufw app info" ufw app info wesher
    cp "$packaging/firewalld/wesher.xml" /etc/firewalld/services/
    closing "firewall-offline-cmd --check-config" firewall-offline-cmd --check-config
    for file in "$packaging"/nixos/*.nix; do
        closing "nix-instantiate --parse ${file##*/}" sh -c "nix-instantiate --parse $file >/dev/null && echo parsed"
    done
    cd "$packaging/ansible"
    closing "ansible-lint" ansible-lint --offline roles/wesher
}

rpm_package() {
    rm -rf /root/rpmbuild
    mkdir -p /root/rpmbuild/SOURCES
    tarball /root/rpmbuild/SOURCES
    # Debian's packages are unknown to rpm: what it needs is installed, by apt.
    expected=^Wrote: closing rpmbuild rpmbuild --nodeps -bb "$packaging/rpm/wesher.spec"
    local package
    package=$(echo /root/rpmbuild/RPMS/noarch/*.rpm)
    closing rpmlint rpmlint -r "$packaging/rpm/wesher.rpmlintrc" "$packaging/rpm/wesher.spec" "$package"
    rpm2cpio "$package" | (cd "$work" && cpio -id --quiet)
    PYTHONPATH=$(echo "$work"/usr/lib/python3*/site-packages)
    export PYTHONPATH
    closing "${package##*/}" "$work/usr/bin/wesher" --version
}

arch_package() {
    cp "$packaging/arch/PKGBUILD" "$work"
    tarball "$work"
    chown -R nobody "$work"
    cd "$work"
    # makepkg refuses to be root.
    closing makepkg setpriv --reuid nobody --regid nogroup --clear-groups \
        env HOME="$work" makepkg --nodeps --nocheck
    bsdtar -tf wesher-*.pkg.tar.* >contents
    for wanted in bin/wesher lib/systemd/system/wesher.service lib/tmpfiles.d/wesher.conf \
        man/man8/wesher.8 dist-packages/wesher/__main__.py; do
        grep -q "$wanted" contents || fail "the package has no $wanted"
    done
    say "$(echo wesher-*.pkg.tar.*): $(wc -l <contents) files and directories"
}

image() {
    export STORAGE_DRIVER=vfs BUILDAH_ISOLATION=chroot
    mkdir -p /etc/containers
    [ -e /etc/containers/policy.json ] ||
        echo '{"default": [{"type": "insecureAcceptAnything"}]}' >/etc/containers/policy.json
    local container
    if ! buildah images -q localhost/debian:bookworm-slim >/dev/null 2>&1; then
        closing mmdebstrap mmdebstrap --quiet --variant=minbase bookworm "$work/base.tar"
        container=$(buildah from scratch)
        buildah add -q "$container" "$work/base.tar" / >/dev/null
        buildah commit -q "$container" localhost/debian:bookworm-slim >/dev/null
        buildah rm "$container" >/dev/null
    fi
    mkdir -p /src/wesher/dist
    cp /src/wesher_*.deb /src/wesher/dist
    cd /src/wesher
    closing "buildah build" buildah build -q --build-arg BASE=localhost/debian:bookworm-slim \
        -t wesher -f packaging/container/Containerfile .
    container=$(buildah from --pull-never localhost/wesher)
    closing "image: wesher --version" buildah run "$container" -- wesher --version
    mesh_of_an_image "$container"
    buildah rm "$container" >/dev/null
}

# mesh_of_an_image CONTAINER: an agent of the image, with its own network, comes up and is healthy.
mesh_of_an_image() {
    local tree
    tree=$(buildah mount "$1")
    # shellcheck disable=SC2016  # the inner shell expands it
    closing "image: an agent in a network of its own" unshare --net --mount sh -euc '
        ip link set lo up
        mount --bind "$1" "$1"
        mount -t proc proc "$1/proc"
        mount -t tmpfs tmpfs "$1/dev"
        mkdir "$1/dev/net"
        mknod -m 666 "$1/dev/net/tun" c 10 200
        ln -s /proc/self/fd "$1/dev/fd"
        mknod -m 666 "$1/dev/null" c 1 3
        mknod -m 666 "$1/dev/urandom" c 1 9
        chroot "$1" /usr/bin/wesher --log-level info --bind-addr 127.0.0.1 --node-name image &
        agent=$!
        for _ in $(seq 100); do
            chroot "$1" /usr/bin/wesher status 2>/dev/null && break
            sleep 0.2
        done
        chroot "$1" /usr/bin/wesher members
        kill $agent
        wait $agent' sh "$tree"
    buildah umount "$1" >/dev/null
}

case $1 in
rpm) rpm_package ;;
arch) arch_package ;;
*) "$1" ;;
esac
