"""A host that lacks something is told what to do."""

from pathlib import Path

import pytest

from tests.testbed.tools import Tools
from wesher.base.errors import StartError
from wesher.system.interface import check_requirements


@pytest.fixture
def status(tmp_path: Path) -> Path:
    path = tmp_path / "status"
    path.write_text("Name:\tpython3\nCapPrm:\t0000000000000000\nCapEff:\t0000000000001000\n")
    return path


def test_cap_net_admin_and_two_tools_are_enough(tools: Tools, status: Path) -> None:
    check_requirements(status)


@pytest.mark.parametrize("text", ["CapEff:\t000001ffffffefff\n", "CapEff:\t0\n", ""])
def test_without_cap_net_admin_the_remedy_is_named(tools: Tools, status: Path, text: str) -> None:
    status.write_text(text)

    with pytest.raises(StartError, match=r"CAP_NET_ADMIN: run wesher as root \(`sudo wesher`\)"):
        check_requirements(status)


def test_without_wg_the_package_is_named(
    tools: Tools, status: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", tools.without("wg"))

    with pytest.raises(
        StartError, match="`wg` is not installed: run `apt install wireguard-tools`"
    ):
        check_requirements(status)
