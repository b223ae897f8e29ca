"""`wesher report` in a mesh of three: what is in it, and what is not."""

import base64
import re
import subprocess
import tarfile
from pathlib import Path

from tests.testbed.lab.daemons import WESHER, Daemon, Mesh, MeshOf
from tests.testbed.lab.interfaces import secret_keys

WANTED = {
    "README.txt",
    "status.json",
    "account.json",
    "map.json",
    "doctor.json",
    "settings.json",
    "state.json",
    "versions.txt",
    "wg.txt",
    "ip-address.txt",
    "ip-route.txt",
}


def reported(daemon: Daemon, *flags: str) -> dict[str, str]:
    """Return the files of a report by name; what it prints must say where it is."""
    told = daemon.host.run(*WESHER, "report", *flags, "/etc/report.tar.gz", timeout=60)
    assert "no secrets" in told
    packed = daemon.host.path("/etc/report.tar.gz")
    assert packed.stat().st_mode & 0o777 == 0o600
    copy = daemon.host.directory / "report.tar.gz"
    copy.write_bytes(packed.read_bytes())
    with tarfile.open(copy) as archive:
        return {
            Path(one.name).name: taken.read().decode()
            for one in archive.getmembers()
            if (taken := archive.extractfile(one))
        }


def secrets_of(mesh: Mesh) -> set[str]:
    """Return every secret of the lab, in several forms."""
    found = {base64.b64decode(mesh.key)}
    public = {key for daemon in mesh.daemons for key in daemon.peers()}
    for daemon in mesh.daemons:
        found.update(secret_keys(daemon.host))
        saved = re.findall(r'"([A-Za-z0-9+/]{43}=)"', daemon.state_file.read_text())
        found |= {base64.b64decode(one) for one in saved if one not in public}
    return {form for one in found for form in (base64.b64encode(one).decode(), one.hex())}


def test_a_report_has_no_secrets_and_without_full_neither_names_nor_addresses(
    mesh_of: MeshOf,
) -> None:
    mesh = mesh_of(3)
    mesh.start("--timing", "local")
    mesh.settle()
    one = mesh.daemons[0]
    places = [daemon.host.address for daemon in mesh.daemons]
    places += [str(daemon.overlay_address()) for daemon in mesh.daemons]
    names = [daemon.host.name for daemon in mesh.daemons]
    keys = {key for daemon in mesh.daemons for key in daemon.peers()}
    macs = set(re.findall(r"link/ether (\S+)", one.host.run("ip", "link")))

    anonymous, full = reported(one), reported(one, "--full")

    assert WANTED <= set(anonymous) == set(full)
    assert len(secrets_of(mesh)) > 2 * len(mesh.daemons)
    for text in (*anonymous.values(), *full.values()):
        assert not any(secret in text for secret in secrets_of(mesh))
    all_told = "\n".join(anonymous.values())
    assert [word for word in (*places, *names, *keys, *macs) if word in all_told] == []
    assert all(name in full["map.json"] for name in names)
    assert all(place in full["status.json"] for place in places)
    assert "everybody reaches everybody" in anonymous["map.json"]
    assert len(set(re.findall(r"host-\d+", anonymous["map.json"]))) == 3
    assert subprocess.run(["gzip", "-t", str(one.host.directory / "report.tar.gz")], check=True)
