"""Units for an installation by pip or pipx: what is written, and what is refused."""

import os
from pathlib import Path

import pytest

from wesher.base.errors import StartError
from wesher.cli import install_unit
from wesher.cli.install_unit import MARK, UNITS, Installation, Places, install, uninstall

PROGRAM = "/opt/wesher/bin/wesher"
IN_OPT = Installation((PROGRAM,), (Path("/"),))


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(tmp_path)


def installed_at(path: Path) -> Installation:
    return Installation((PROGRAM,), (path,))


def test_every_unit_starts_this_installation_and_nothing_else(places: Places) -> None:
    said = install(places, IN_OPT)

    for name in UNITS:
        text = places.target(name).read_text()
        assert text.startswith(MARK)
        assert "/usr/bin/wesher" not in text
        assert text.count(PROGRAM) == text.count("\nExec")
    assert "/run/wireguard" in places.target("wesher.tmpfiles").read_text()
    assert f"they start {PROGRAM}" in said
    assert "systemctl enable --now wesher" in said[-1]


def test_a_second_time_replaces_them_and_leaves_nothing_of_the_first(places: Places) -> None:
    install(places, Installation(("/opt/old/wesher",), (Path("/"),)))
    install(places, IN_OPT)

    assert "/opt/old" not in places.target("wesher.service").read_text()


def test_what_runs_or_is_enabled_is_restarted(places: Places) -> None:
    install(places, IN_OPT)
    enable(places)

    assert install(places, IN_OPT)[-1] == "next: `systemctl restart wesher`, which loses no packet"


def enable(places: Places, name: str = "wesher.service") -> Path:
    link = places.own / "multi-user.target.wants" / name
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(places.target("wesher.service"))
    return link


@pytest.mark.parametrize("directory", ["usr/lib/systemd/system", "lib/systemd/system"])
def test_where_a_package_has_its_unit_none_is_written(directory: str, places: Places) -> None:
    unit = places.root / directory / "wesher.service"
    unit.parent.mkdir(parents=True)
    unit.touch()

    with pytest.raises(StartError, match=r"a package has brought .*enable --now wesher"):
        install(places, IN_OPT)

    assert not places.own.exists()


@pytest.mark.parametrize("name", [*UNITS, "wesher.tmpfiles"])
def test_nothing_is_written_over_what_somebody_else_wrote(name: str, places: Places) -> None:
    theirs = places.target(name)
    theirs.parent.mkdir(parents=True)
    theirs.write_text("[Unit]\n")

    with pytest.raises(StartError, match=f"{theirs} is not of `wesher install-unit`"):
        install(places, IN_OPT)

    assert [path for path in places.root.rglob("wesher*") if path.is_file()] == [theirs]


def test_a_masked_unit_stays_masked(places: Places) -> None:
    places.own.mkdir(parents=True)
    places.target("wesher.service").symlink_to("/dev/null")

    with pytest.raises(StartError, match="is not of"):
        install(places, IN_OPT)


def test_an_uninstall_leaves_nothing_of_ours_and_all_of_others(places: Places) -> None:
    install(places, IN_OPT)
    theirs = places.own / "wesher@lab.service"
    theirs.write_text("[Unit]\n")

    said = uninstall(places)

    assert len(said) == len(UNITS) + 1
    assert [path for path in places.root.rglob("wesher*") if path.is_file()] == [theirs]
    assert uninstall(places) == ["there are no units of ours"]


@pytest.mark.parametrize("unit", ["wesher.service", "wesher@lab.service", "wesher-metrics.socket"])
def test_what_is_enabled_is_not_taken_its_unit_from(unit: str, places: Places) -> None:
    install(places, IN_OPT)
    enable(places, unit)

    with pytest.raises(StartError, match=f"first run `systemctl disable --now {unit}`"):
        uninstall(places)

    assert places.target("wesher.service").exists()


def test_what_runs_is_not_taken_its_unit_from(places: Places) -> None:
    (places.root / "sys/fs/cgroup/system.slice/wesher.service").mkdir(parents=True)

    with pytest.raises(StartError, match=r"disable --now wesher\.service"):
        uninstall(places)


def test_a_home_is_shown_to_the_service(places: Places) -> None:
    install(places, installed_at(Path("/root/.local")))

    for name in UNITS:
        assert "ProtectHome=yes" not in places.target(name).read_text()
    assert "ProtectHome=read-only" in places.target("wesher.service").read_text()


def test_what_a_service_cannot_see_is_refused(places: Places) -> None:
    with pytest.raises(StartError, match="cannot be seen by a service"):
        install(places, installed_at(Path("/tmp/venv/bin/python")))


def test_a_path_that_a_unit_would_read_otherwise_is_refused(places: Places) -> None:
    with pytest.raises(StartError, match="only letters and digits"):
        install(places, Installation(("/opt/my tools/100%/wesher",), ()))


def test_who_owns_the_installation_could_become_root(
    places: Places, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(install_unit, "_HIDDEN", ())
    theirs = tmp_path / "venv"
    theirs.mkdir()
    if os.geteuid() == 0:
        os.chown(theirs, 1234, -1)

    said = install(places, installed_at(theirs / "."))

    assert any(f"{theirs} belongs to user {theirs.stat().st_uid}" in line for line in said)
