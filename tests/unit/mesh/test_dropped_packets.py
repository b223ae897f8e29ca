"""What is thrown away is counted, and who has another key is remembered for a while."""

from wesher.base import problems
from wesher.gossip import Address, DropReason, PacketDropped
from wesher.mesh.base.actions import Warn
from wesher.mesh.base.operator_log import QUIET, Recent
from wesher.mesh.reporting.network_warnings import MAX_SOURCES, DroppedPackets


def dropped(ip: str, reason: DropReason = DropReason.UNDECRYPTABLE) -> PacketDropped:
    return PacketDropped(Address(ip, 7946), reason, "")


def met(ip: str, at: float, count: int = 1) -> Recent:
    return Recent(Warn(problems.STRANGER, ip, {"address": ip}), at, count)


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
        met("192.0.2.2", 2),
        met("192.0.2.1", 4, count=2),
    ]


def test_a_stranger_is_forgotten_after_ten_minutes_and_counted_anew() -> None:
    drops = DroppedPackets()
    drops.add(dropped("192.0.2.1"), 0)
    assert drops.strangers(QUIET) == []

    drops.add(dropped("192.0.2.1"), QUIET)

    assert drops.strangers(QUIET) == [met("192.0.2.1", QUIET)]


def test_no_more_than_a_few_strangers_are_remembered() -> None:
    drops = DroppedPackets()

    for number in range(100):
        drops.add(dropped(f"192.0.2.{number}"), 0)

    assert [one.warning.subject for one in drops.strangers(0)] == [
        f"192.0.2.{number}" for number in range(100 - MAX_SOURCES, 100)
    ]
