"""What is thrown away is counted, and who has another key is remembered for a while."""

from wesher.gossip import Address, DropReason, PacketDropped
from wesher.mesh.reporting.network_warnings import (
    LATELY,
    MAX_SOURCES,
    DroppedPackets,
    UnknownSource,
)


def dropped(ip: str, reason: DropReason = DropReason.UNDECRYPTABLE) -> PacketDropped:
    return PacketDropped(Address(ip, 7946), reason, "")


def test_drops_are_counted_by_reason() -> None:
    drops = DroppedPackets()

    drops.add(dropped("192.0.2.1"), 0)
    drops.add(dropped("192.0.2.2"), 0)
    drops.add(dropped("192.0.2.2", DropReason.MALFORMED), 0)

    assert drops.reasons == {DropReason.UNDECRYPTABLE: 2, DropReason.MALFORMED: 1}


def test_strangers_are_who_sent_what_no_key_opens() -> None:
    drops = DroppedPackets()

    drops.add(dropped("192.0.2.1"), 1)
    drops.add(dropped("192.0.2.2"), 2)
    drops.add(dropped("192.0.2.3", DropReason.MALFORMED), 3)
    drops.add(dropped("192.0.2.1"), 4)

    assert drops.strangers(5) == [
        UnknownSource("192.0.2.2", 1, 2),
        UnknownSource("192.0.2.1", 2, 4),
    ]


def test_a_stranger_is_forgotten_after_ten_minutes_and_counted_anew() -> None:
    drops = DroppedPackets()
    drops.add(dropped("192.0.2.1"), 0)
    assert drops.strangers(LATELY) == []

    drops.add(dropped("192.0.2.1"), LATELY)

    assert drops.strangers(LATELY) == [UnknownSource("192.0.2.1", 1, LATELY)]


def test_no_more_than_a_few_strangers_are_remembered() -> None:
    drops = DroppedPackets()

    for number in range(100):
        drops.add(dropped(f"192.0.2.{number}"), 0)

    assert [one.ip for one in drops.strangers(0)] == [
        f"192.0.2.{number}" for number in range(100 - MAX_SOURCES, 100)
    ]
