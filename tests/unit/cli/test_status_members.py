"""`wesher members` gives scripts what they can use."""

from typing import Any

from wesher.cli.status import usable

NODE = {"name": "local", "overlay_address": "10.0.0.1"}


def member(name: str, **fields: Any) -> dict[str, bool | str]:
    return {"name": name, "overlay_address": "10.0.0.2", "state": "alive", "peer": True, **fields}


def names(*members: dict[str, bool | str], node: dict[str, Any] = NODE) -> list[str]:
    return [one["name"] for one in usable({"node": node, "members": list(members)})]


def test_this_host_is_one_of_the_members() -> None:
    found = list(usable({"node": NODE, "members": [member("a"), member("z")]}))

    assert [(one["name"], one["state"]) for one in found] == [
        ("a", "alive"),
        ("local", "alive"),
        ("z", "alive"),
    ]


def test_a_node_without_address_is_not_yet_a_member() -> None:
    assert names(member("a"), node=NODE | {"overlay_address": None}) == ["a"]


def test_refused_members_are_left_out() -> None:
    assert names(member("two words", peer=False), member("-rf", peer=False)) == ["local"]


def test_who_left_is_no_peer_but_listed_if_the_name_is_one() -> None:
    gone: dict[str, Any] = {"peer": False, "state": "left"}

    assert names(member("web", **gone), member("-rf", **gone)) == ["local", "web"]
