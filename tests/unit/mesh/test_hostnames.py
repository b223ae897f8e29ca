"""Member names that may stand in the hosts file."""

import pytest

from wesher.mesh.base.hostnames import is_host_name, name_problem

LONGEST = ".".join(["A" * 63] * 3 + ["A" * 61])


@pytest.mark.parametrize(
    "name",
    ["a", "web-1", "web_1", "db.example.org", "web-01", "x1.lan", LONGEST, "ip6", "localhosts"],
)
def test_host_names_name_members(name: str) -> None:
    assert name_problem(name) is None


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "empty"),
        ("A" * 254, "253 characters"),
        ("-rf", "letters"),
        ("a b", "letters"),
        ("a\tb", "letters"),
        ("a\n", "letters"),
        ("a#b", "letters"),
        ("a..b", "letters"),
        (".a", "letters"),
        ("a.", "letters"),
        ("fd00::1", "letters"),
        ("wörld", "letters"),
        ("a\udcff", "letters"),
        ("٣", "letters"),
        ("localhost", "host itself"),
        ("LocalHost", "host itself"),
        ("localhost.localdomain", "host itself"),
        ("app.localhost", "host itself"),
        ("ip6-allnodes", "host itself"),
        ("IP6-Loopback", "host itself"),
        ("localhost4", "host itself"),
        ("LocalHost6", "host itself"),
        ("localhost4.localdomain4", "host itself"),
        ("loopback", "host itself"),
        ("Broadcasthost", "host itself"),
        ("_gateway", "host itself"),
        ("_outbound", "host itself"),
        ("127.0.0.1", "address"),
        ("0x7f.1", "address"),
        ("0X7F.0x1", "address"),
        ("2130706433", "address"),
        ("web.1", "address"),
        ("A" * 64, "63 characters"),
        ("web." + "a" * 64 + ".org", "63 characters"),
    ],
)
def test_other_names_are_refused_saying_why_without_repeating_them(name: str, why: str) -> None:
    problem = name_problem(name)

    assert problem is not None
    assert why in problem
    assert len(name) < 2 or name not in problem or name == "localhost"


def test_localhost_still_has_the_form_of_a_host_name() -> None:
    assert is_host_name("localhost")
