"""What packaging/ has for other programs names what wesher really has.

Those programs read it in scripts/check-packaging.
"""

import json
import re
import shutil
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.testbed.documents import ROOT
from tests.unit.cli.statuses import member, status
from tests.unit.cli.test_prometheus import ACCOUNT
from wesher import __version__
from wesher.cli.prometheus import metrics
from wesher.config.options import OPTIONS

PACKAGING = ROOT / "packaging"
DASHBOARD = PACKAGING / "grafana/wesher.json"
RULES = PACKAGING / "prometheus/wesher.rules.yml"
RULES_TEST = PACKAGING / "prometheus/wesher.rules.test.yml"
GOSSIP, WIREGUARD = ("7946/tcp", "7946/udp"), "51820/udp"


needs_promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="needs promtool")


def labels() -> dict[str, set[str]]:
    """Return the labels of each metric there is."""
    told = metrics(status(member(device="kernel"), device="kernel"), ACCOUNT)
    return {metric.name: set(metric.labels) for metric in told}


def expressions() -> list[str]:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    of_dashboard = [target["expr"] for panel in panels for target in panel["targets"]]
    return of_dashboard + re.findall(r"^ +expr: (.*)$", RULES.read_text(), re.MULTILINE)


@pytest.mark.parametrize("file", [DASHBOARD, RULES, RULES_TEST], ids=lambda file: file.name)
def test_no_metric_is_asked_for_that_is_not_there(file: Path) -> None:
    named = set(re.findall(r"\bwesher_[a-z_]+\b", file.read_text()))

    assert named
    assert named - set(labels()) == set()


def test_no_label_is_asked_for_that_is_not_there() -> None:
    of_prometheus = {"instance", "job"}
    selectors = [
        (name, label)
        for expression in expressions()
        for name, inside in re.findall(r"(wesher_\w+)\{([^}]*)\}", expression)
        for label in re.findall(r"(\w+)=~?", inside)
    ]

    assert selectors
    for name, label in selectors:
        assert label in labels()[name] | of_prometheus
    grouped = {
        label
        for expression in expressions()
        for inside in re.findall(r"\b(?:by|on) \(([^)]*)\)", expression)
        for label in inside.split(", ")
    }
    assert grouped <= set().union(*labels().values()) | of_prometheus


def test_the_dashboard_has_a_panel_in_every_place_and_an_id_for_each() -> None:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    taken = [
        (x, y)
        for panel in panels
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]

    assert len(taken) == len(set(taken))
    assert {x for x, _ in taken} == set(range(24))
    assert len({panel["id"] for panel in panels}) == len(panels)


@needs_promtool
def test_prometheus_takes_the_rules_and_each_fires_when_it_should() -> None:
    for command in (["check", "rules", str(RULES)], ["test", "rules", str(RULES_TEST)]):
        done = subprocess.run(
            ["promtool", *command], capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
def test_prometheus_takes_every_expression_of_the_dashboard(tmp_path: Path) -> None:
    rules = [
        {"record": f"panel:{number}", "expr": of_grafana(expression)}
        for number, expression in enumerate(expressions())
    ]
    file = tmp_path / "rules.yml"  # JSON is YAML
    file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))

    done = subprocess.run(
        ["promtool", "check", "rules", str(file)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert done.returncode == 0, done.stdout + done.stderr


def of_grafana(expression: str) -> str:
    """Put something in for what Grafana fills in."""
    return expression.replace("$__rate_interval", "1m").replace("$instance", ".*")


def ports_of_firewalld() -> set[str]:
    service = ElementTree.parse(PACKAGING / "firewalld/wesher.xml").getroot()
    return {f"{port.get('port')}/{port.get('protocol')}" for port in service.iter("port")}


def ports_of_ufw() -> set[str]:
    [line] = re.findall(r"^ports=(.*)$", (PACKAGING / "ufw/wesher").read_text(), re.MULTILINE)
    return set(line.split("|"))


def ports_of_the_image() -> set[str]:
    text = (PACKAGING / "container/Containerfile").read_text()
    [line] = re.findall(r"^EXPOSE (.*)$", text, re.MULTILINE)
    return set(line.split())


@pytest.mark.parametrize("ports", [ports_of_firewalld, ports_of_ufw, ports_of_the_image])
def test_firewalls_open_what_is_listened_on(ports: Callable[[], set[str]]) -> None:
    defaults = {option.name: option.default for option in OPTIONS}

    assert (defaults["cluster_port"], defaults["wireguard_port"]) == ("7946", "51820")
    assert ports() == {*GOSSIP, WIREGUARD}


def settings_named() -> Iterator[tuple[str, str]]:
    """Yield the options that each file sets, by the file."""
    daemonset = (PACKAGING / "container/daemonset.yaml").read_text()
    yield from (("daemonset", one) for one in re.findall(r"^ +- --([\w-]+)=", daemonset, re.M))
    for name in re.findall(r"- name: WESHER_(\w+)", daemonset):
        yield "daemonset", name.lower().replace("_", "-")
    cloud = (PACKAGING / "cloud-init/wesher.yaml").read_text()
    [toml] = re.findall(r"wesher\.toml\n.*\n +content: \|\n((?: {6}.*\n)+)", cloud)
    yield from (
        ("cloud-init", key) for key in tomllib.loads(toml.replace("\n      ", "\n").strip())
    )
    module = (PACKAGING / "nixos/module.nix").read_text()
    yield from (("nixos", one) for one in re.findall(r"cfg\.settings\.([\w-]+)", module))
    yield "nixos", "hosts-file"


@pytest.mark.parametrize(("file", "key"), sorted(set(settings_named())))
def test_every_setting_is_one(file: str, key: str) -> None:
    assert key in {option.key for option in OPTIONS}, file


def test_the_daemonset_is_not_on_the_port_of_others() -> None:
    manifest = (PACKAGING / "container/daemonset.yaml").read_text()

    assert "--cluster-port=7947" in manifest
    assert "7946" not in re.sub(r"^#.*$", "", manifest, flags=re.MULTILINE)
    assert 'drop: ["ALL"]' in manifest
    assert 'add: ["NET_ADMIN"]' in manifest


@pytest.mark.parametrize(
    ("file", "pattern"),
    [
        ("rpm/wesher.spec", r"^Version: +(\S+)$"),
        ("arch/PKGBUILD", r"^pkgver=(\S+)$"),
        ("nixos/package.nix", r'version = "(\S+)";'),
    ],
)
def test_every_package_has_the_version_of_the_program(file: str, pattern: str) -> None:
    assert re.findall(pattern, (PACKAGING / file).read_text(), re.MULTILINE) == [__version__]


@pytest.mark.parametrize("file", ["rpm/wesher.spec", "arch/PKGBUILD", "nixos/package.nix"])
def test_every_package_wants_what_the_program_imports(file: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    text = (PACKAGING / file).read_text()

    for needed in project["dependencies"]:
        name = re.split(r"[>=]", needed)[0]
        assert re.search(rf"\b(python3?-)?{name}\b", text), f"{file} lacks {name}"
    assert "wireguard-tools" in text


def test_the_module_for_nixos_runs_it_as_the_unit_of_debian_does() -> None:
    unit = (PACKAGING / "debian/wesher.service").read_text()
    module = (PACKAGING / "nixos/module.nix").read_text()
    taken = dict(re.findall(r"^ {8}(\w+) = (.*);$", module, re.MULTILINE))

    # Paths, and what is said elsewhere in a module, or is of no use there.
    other = {"ExecStart", "ExecReload", "ReadWritePaths", "Type", "KillSignal", "TimeoutStartSec"}
    other |= {"AmbientCapabilities", "ProcSubset", "RestrictAddressFamilies"}
    [service] = re.findall(r"\[Service\]\n(.*)\n\[Install\]", unit, re.DOTALL)
    for name, value in re.findall(r"^(\w+)=(.*)$", service, re.MULTILINE):
        if name not in other:
            assert taken[name].strip('"').replace("true", "yes") == value, name


def test_what_mounts_over_the_hosts_file_names_one_file() -> None:
    mount = (PACKAGING / "examples/etc-hosts.mount").read_text()
    copied = (PACKAGING / "examples/etc-hosts.conf").read_text()

    [source] = re.findall(r"^What=(.*)$", mount, re.MULTILINE)
    assert "Where=/etc/hosts\n" in mount
    assert re.search(rf"^C {source} 0644 root root - /etc/hosts$", copied, re.MULTILINE)
