"""Member names that may stand in the hosts file."""

import pytest

from wesher.mesh.names import is_host_name, name_problem


@pytest.mark.parametrize(
    "name", ["a", "web-1", "web_1", "db.example.org", "10.0.0.1", "A" * 253, "ip6", "localhosts"]
)
def test_host_names_name_members(name):
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
    ],
)
def test_other_names_are_refused_saying_why_without_repeating_them(name, why):
    problem = name_problem(name)

    assert problem is not None
    assert why in problem
    assert len(name) < 2 or name not in problem or name == "localhost"


def test_localhost_still_has_the_form_of_a_host_name():
    assert is_host_name("localhost")
