"""The account of who has answered from where, and of whether the others are a crowd."""

from wesher.gossip.members import MAX_AT_ONE_ADDRESS, Proofs

HERE = "192.0.2.2"


def waiting(*names: str, limit: int = 10) -> Proofs:
    """Return the account of so many newcomers, of whom more than `limit` are a crowd."""
    proofs = Proofs(limit)
    for name in names:
        proofs.await_proof(name)
    return proofs


def names(count: int) -> list[str]:
    return [f"m{number}" for number in range(count)]


def test_who_is_to_be_proven_again_is_proven_no_more() -> None:
    proofs = waiting("web")
    proofs.prove("web", HERE)

    proofs.await_proof("web")

    assert proofs.proven == []
    assert list(proofs.unproven) == ["web"]


def test_one_that_goes_makes_room_for_one_at_its_address() -> None:
    proofs = waiting(*names(MAX_AT_ONE_ADDRESS + 2), limit=100)
    for name in names(MAX_AT_ONE_ADDRESS):
        proofs.prove(name, HERE)

    proofs.drop("m0")

    after = [proofs.prove(f"m{MAX_AT_ONE_ADDRESS + number}", HERE) for number in range(2)]
    assert after == [True, False]


def test_nothing_is_kept_of_addresses_where_nobody_is_any_more() -> None:
    proofs = waiting("web", "db")
    for name in ("web", "db"):
        proofs.prove(name, HERE)

    for name in ("web", "db", "web"):
        proofs.drop(name)

    assert not proofs._at


def test_a_crowd_is_over_when_a_tenth_of_it_is_left() -> None:
    proofs = waiting(*names(21), limit=20)
    crowded = []

    for name in names(20):
        crowded.append(proofs.crowded)
        proofs.drop(name)

    assert crowded == [True] * 19 + [False]
