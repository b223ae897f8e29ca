"""The units and scripts of the Debian package keep what a host relies on."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.testbed.documents import ROOT

DEBIAN = ROOT / "packaging/debian"
UNITS = [DEBIAN / "wesher.service", DEBIAN / "wesher@.service"]
METRICS = [ROOT / "packaging/systemd" / f"wesher-metrics{end}" for end in (".socket", "@.service")]

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="needs systemd-analyze"
)
each_unit = pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)


def settings(unit: Path) -> dict[str, str]:
    """Return the settings of a unit by name, those of several lines joined."""
    found: dict[str, str] = {}
    for name, value in re.findall(r"^(\w+)=(.*)$", unit.read_text(), re.MULTILINE):
        found[name] = f"{found[name]} {value}" if name in found else value
    return found


@each_unit
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Type", "notify"),
        ("KillSignal", "SIGTERM"),
        ("RestartKillSignal", "SIGUSR1"),
        ("KillMode", "process"),
        ("Restart", "on-failure"),
        ("RestartSec", "5"),
        ("StartLimitIntervalSec", "0"),
        ("RestartPreventExitStatus", "2"),
        ("After", "network-online.target nss-lookup.target"),
        ("CapabilityBoundingSet", "CAP_NET_ADMIN"),
        ("DeviceAllow", "/dev/net/tun rw"),
        ("LimitCORE", "0"),
        ("MemoryMax", "1G"),
        ("TasksMax", "512"),
    ],
)
def test_a_unit_says_what_operators_rely_on(unit: Path, name: str, value: str) -> None:
    assert settings(unit)[name] == value


@each_unit
def test_no_stop_empties_directories_that_others_use(unit: Path) -> None:
    """As RuntimeDirectory= does: without its socket every wireguard-go ends."""
    of_tmpfiles = re.findall(r"^d (\S+)", (DEBIAN / "wesher.tmpfiles").read_text(), re.MULTILINE)

    assert of_tmpfiles == ["/run/wesher", "/run/wireguard"]
    assert "RuntimeDirectory" not in settings(unit)
    assert set(of_tmpfiles) <= set(settings(unit)["ReadWritePaths"].split())


def test_an_instance_differs_in_nothing_but_its_configuration() -> None:
    single, instance = map(settings, UNITS)
    file = " --config /etc/wesher/%i.toml"

    assert instance == single | {
        "Description": "WireGuard mesh %i",
        "ExecStart": single["ExecStart"] + file,
        "ExecReload": single["ExecReload"] + file,
    }


@needs_systemd
def test_the_units_are_hardened_and_correct(tmp_path: Path) -> None:
    for unit in (*UNITS, *METRICS):
        text = unit.read_text().replace("/usr/bin/wesher", "/bin/true")
        (tmp_path / unit.name).write_text(text)
    agent, instance, listening, scrape = (str(tmp_path / unit.name) for unit in (*UNITS, *METRICS))

    verified = analyze("verify", "--man=no", agent, instance, listening, scrape)
    assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")
    for path, most in ((agent, 30), (scrape, 20)):
        exposed = analyze("security", "--offline=true", f"--threshold={most}", path)
        assert exposed.returncode == 0, exposed.stdout[-300:]


def analyze(*arguments: str) -> "subprocess.CompletedProcess[str]":
    argv = ["systemd-analyze", *arguments]
    return subprocess.run(argv, check=False, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("script", sorted(DEBIAN.glob("wesher.p*")), ids=lambda path: path.name)
def test_a_maintainer_script_is_one_that_sh_can_run(script: Path) -> None:
    done = subprocess.run(["sh", "-n", script], check=False, capture_output=True, text=True)

    assert (done.returncode, done.stderr) == (0, "")
    assert script.read_text().startswith("#!/bin/sh\nset -e\n")


@pytest.mark.parametrize(
    ("wesher", "told"),
    [
        ("echo nothing to clean up", ""),
        ("echo removed interface wgoverlay", "removed interface wgoverlay\n"),
        ("exit 1", "wesher: could not clean up everything\n"),
    ],
)
def test_a_removal_tells_what_it_cleaned_up_and_no_more(
    wesher: str, told: str, tmp_path: Path
) -> None:
    program = tmp_path / "wesher"
    program.write_text(f"#!/bin/sh\n{wesher}\n")
    program.chmod(0o755)
    # On a host with systemd the script would stop the service there is.
    script = (DEBIAN / "wesher.prerm").read_text().replace("/run/systemd/system", "/nonexistent")

    done = subprocess.run(
        ["sh", "-c", script, "prerm", "remove"],
        check=True,
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )

    assert done.stdout == told
