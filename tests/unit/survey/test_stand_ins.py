"""What a report does not tell, and what stands in its place."""

import base64
import re

import pytest

from wesher.survey.stand_ins import SECRET, StandIns

KEY = base64.b64encode(bytes(range(32))).decode()
PUBLIC = base64.b64encode(bytes(range(32, 64))).decode()
OTHER = base64.b64encode(bytes(range(64, 96))).decode()
NAMES = ["web1", "db", "alpha.example.org", "192.0.2.7"]


def stand_ins(*, full: bool = False) -> StandIns:
    return StandIns([KEY, bytes(range(32)).hex()], [PUBLIC], NAMES, full=full)


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize(
    "secret",
    [KEY, bytes(range(32)).hex(), OTHER, OTHER.replace("+", "-"), "wesher1-0123456789ABCDEFGHJK"],
)
def test_secrets_always_go_and_so_does_what_may_be_one(secret: str, full: bool) -> None:
    told = stand_ins(full=full).replaced(f'{{"key": "{secret}"}} {secret}')

    assert secret not in told
    assert told.count(SECRET) == 2


def test_a_public_key_has_a_stand_in_unless_all_is_told() -> None:
    assert stand_ins().replaced(f"peer: {PUBLIC}") == "peer: key-1"
    assert stand_ins(full=True).replaced(f"peer: {PUBLIC}") == f"peer: {PUBLIC}"


def test_names_have_the_same_stand_in_everywhere() -> None:
    made = stand_ins()

    first = made.replaced("web1 reaches db, and WEB1 reaches web10; db.")
    second = made.replaced("db and web1, alpha.example.org, alpha, db.example.org")

    one, two = first.split()[0], first.split()[2].rstrip(",")
    assert first == f"{one} reaches {two}, and {one} reaches web10; {two}."
    assert second.startswith(f"{two} and {one}, ")
    assert not re.search("web1|alpha|example|db", second)
    assert re.fullmatch("host-[1-9]", one)
    assert one != two


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("192.168.77.1:7946", "ip4-1:7946"),
        ("10.0.0.0/8 via 192.0.2.1, 10.0.0.0/8", "ip4-1/8 via ip4-2, ip4-1/8"),
        ("[fd00::1]:51820", "[ip6-1]:51820"),
        ("fe80::1%eth0/64", "ip6-1%eth0/64"),
        ("fd00:0::1 fd00::1", "ip6-1 ip6-1"),
        (
            "link/ether 02:00:5e:10:00:01 brd ff:ff:ff:ff:ff:ff",
            "link/ether mac-1 brd ff:ff:ff:ff:ff:ff",
        ),
        ("127.0.0.1 ::1 0.0.0.0 :: 255.255.255.255", "127.0.0.1 ::1 0.0.0.0 :: 255.255.255.255"),
        ("wesher 1.0.0, python 3.11.7, at 12:34:56", "wesher 1.0.0, python 3.11.7, at 12:34:56"),
        ("300.1.2.3 1.2.3.4.5", "300.1.2.3 1.2.3.4.5"),
    ],
)
def test_addresses_have_stand_ins_but_for_those_of_every_host(text: str, told: str) -> None:
    assert stand_ins().replaced(text) == told
    assert stand_ins(full=True).replaced(text) == text


def test_without_any_name_nothing_is_one() -> None:
    assert StandIns([""], [], []).replaced("node1 is up") == "node1 is up"
