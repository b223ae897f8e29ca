"""What `wesher status` says of the mesh as a whole."""

from typing import Any

import pytest

from tests.unit.cli.statuses import REACHED, status
from wesher.cli.status import render


def verdict(*members: dict[str, bool | str | None], **node: Any) -> str:
    """Return what is said of the mesh; members differ in this from one that is well."""
    told = status(*(REACHED | one for one in members), **node)
    (line,) = (line for line in render(told) if str(line).startswith("mesh "))
    return str(line).removeprefix("mesh").strip()


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ([], "no other members"),
        ([{}], "the other member is reached"),
        ([{}, {}, {"state": "suspect"}], "all 3 members reached"),
        ([{}, {"state": "left"}], "the other member is reached"),
        ([{}, {"state": "failed"}], "1 of 2 members reached; run `wesher doctor`"),
        ([{"handshake": None}], "0 of 1 members reached; run `wesher doctor`"),
        ([{"peer": False, "reason": "x"}], "0 of 1 members reached; run `wesher doctor`"),
        ([{}, {"reason": "shares"}], "1 of 2 members reached; run `wesher doctor`"),
    ],
)
def test_the_mesh_is_judged_by_whom_we_reach(
    members: list[dict[str, bool | str | None]], said: str
) -> None:
    assert verdict(*members) == said


def test_who_has_found_nobody_yet_is_not_told_that_there_is_nobody() -> None:
    assert verdict(complete=False) == "no member reached yet; run `wesher doctor`"


def test_nothing_is_said_of_tunnels_that_cannot_be_looked_at() -> None:
    assert verdict({}, wireguard_answers=False).startswith("unknown, `wg show` gives no answer")


def test_a_bad_score_of_our_own_is_no_verdict_on_the_mesh() -> None:
    assert verdict({}, health_score=3) == "the other member is reached"


def tunnels(*has: bool | None, **node: Any) -> list[str]:
    told = status(*(REACHED | {"preshared_key": one} for one in has), **node)
    said = [str(line) for line in render(told) if str(line).startswith("tunnels ")]
    return [line.removeprefix("tunnels").strip() for line in said]


@pytest.mark.parametrize(
    ("has", "said"),
    [
        ([], []),
        ([None], []),
        ([True, None], ["1, with a preshared key"]),
        ([False], ["1, without a preshared key"]),
        ([True, True], ["2, all with a preshared key"]),
        ([True, False, True], ["3, 2 of them with a preshared key"]),
        ([False, False], ["2, none of them with a preshared key"]),
    ],
)
def test_it_is_told_how_many_tunnels_have_a_preshared_key(
    has: list[bool | None], said: list[str]
) -> None:
    assert tunnels(*has) == said


def test_it_is_told_why_no_tunnel_has_one() -> None:
    (said,) = tunnels(False, False, preshared_keys=False)
    assert said == "2, none of them with a preshared key, --psk is off"


def test_an_older_agent_tells_nothing_of_preshared_keys() -> None:
    assert not [line for line in render(status(REACHED)) if "preshared" in str(line)]
