"""Exchanging full tables (spec/memberlist.md, 3.5, 4.11, 4.13)."""

from collections.abc import Callable
from itertools import pairwise

import pytest

from tests.unit.gossip.harness import (
    LOCAL,
    LOCAL_IP,
    PORT,
    REMOTE,
    STRANGER,
    VERSIONS,
    Harness,
    address,
    alive,
    others,
    record,
    sealing,
)
from wesher.base.frozen import replace
from wesher.gossip import (
    WAN,
    Ack,
    Dead,
    DropReason,
    ErrorReply,
    ExchangeFinished,
    MemberJoined,
    Message,
    PacketDropped,
    PushPull,
    Record,
    RecordState,
    Refuted,
    StreamRequest,
    Suspect,
    UserDataReceived,
    pack_ip,
)
from wesher.gossip.push_pull import compatible

SEED = address("10.0.0.2")
OWN_RECORD = Record(LOCAL, pack_ip(LOCAL_IP), PORT, b"own", 1, RecordState.ALIVE, VERSIONS)
SERF = bytes([1, 5, 2, 2, 5, 4])


def joining(harness: Harness) -> tuple[int, StreamRequest]:
    """Let our owner join by SEED; return the exchange's number and its stream."""
    number = harness.gossip.push_pull(SEED, harness.now, join=True)
    [stream] = harness.streams()
    return number, stream


@pytest.mark.case(17)
def test_the_server_answers_with_all_it_held_before_and_both_tables_are_merged() -> None:
    gone = [alive("dead", ip="10.0.0.4"), alive("left", ip="10.0.0.5"), alive("sus", ip="10.0.0.6")]
    ends: list[Message] = [Dead(1, "dead", "x"), Dead(1, "left", "left"), Suspect(1, "sus", "x")]
    server = Harness(*gone, *ends)

    reply = server.asked(PushPull(True, (record("joiner", ip="10.0.0.3"),)))

    assert isinstance(reply, PushPull)
    states = {each.name: each.state for each in reply.records}
    assert reply.join is True
    assert states == {
        LOCAL: RecordState.ALIVE,
        "dead": RecordState.DEAD,
        "left": RecordState.LEFT,
        "sus": RecordState.SUSPECT,
    }
    assert isinstance(reply, PushPull)
    assert OWN_RECORD in reply.records
    assert server.events() == [MemberJoined(server.member("joiner"))]


@pytest.mark.case(17)
def test_the_client_sends_all_it_holds_and_merges_the_answer() -> None:
    client = Harness(alive("known", ip="10.0.0.3"))
    number, stream = joining(client)

    sent = client.wire.open_frame(stream.data)
    client.answered(stream, PushPull(True, (record(),)))

    assert (stream.to, stream.timeout) == (SEED, 30)
    assert isinstance(sent, PushPull)
    assert sent.join is True
    assert [each.name for each in sent.records] == [LOCAL, "known"]
    assert client.events() == [
        MemberJoined(client.member()),
        ExchangeFinished(number, SEED, (record(),)),
    ]


@pytest.mark.case(18)
def test_a_server_with_another_key_merges_nothing_and_the_client_learns_why_it_failed() -> None:
    client, server = Harness(), Harness(wire=sealing(b"x" * 32))
    number, stream = joining(client)

    reply = server.serves(stream.data)
    assert reply
    client.gossip.receive_reply(stream.id, reply, client.now)

    [dropped] = server.events()
    [finished] = client.events()
    assert isinstance(dropped, PacketDropped)
    assert isinstance(finished, ExchangeFinished)
    assert (dropped.reason, dropped.stream) == (DropReason.UNDECRYPTABLE, True)
    assert (finished.exchange, finished.undecryptable, finished.records) == (number, True, ())
    assert finished.error
    assert len(server.gossip.members) == len(client.gossip.members) == 1


@pytest.mark.parametrize(
    ("reply", "error"),
    [(ErrorReply("go away"), "go away"), (Ack(1), "unexpected reply")],
)
def test_another_answer_than_a_table_is_a_failure(reply: Ack | ErrorReply, error: str) -> None:
    client = Harness()
    number, stream = joining(client)

    client.answered(stream, reply)

    assert client.events() == [ExchangeFinished(number, SEED, error=error)]


def test_a_failed_connection_is_a_failure() -> None:
    client = Harness()
    number, stream = joining(client)

    client.gossip.stream_failed(stream.id, "connection refused", client.now)

    assert client.events() == [ExchangeFinished(number, SEED, error="connection refused")]


def test_an_exchange_that_the_transport_forgets_ends_by_itself() -> None:
    client = Harness()
    number, _ = joining(client)

    client.run(30)

    assert ExchangeFinished(number, SEED, error="timed out") in client.events()


def test_an_exchange_with_ourselves_is_recognised() -> None:
    client = Harness()
    number, stream = joining(client)

    reply = client.serves(stream.data)
    finished = client.events()
    client.gossip.stream_failed(stream.id, "closed", client.now)

    assert reply is None
    assert finished == [ExchangeFinished(number, SEED, own=True)]
    assert client.events() == []


def test_a_request_of_ours_is_nothing_special_once_it_is_answered() -> None:
    client = Harness()
    _, stream = joining(client)
    client.answered(stream, PushPull(True, ()))

    assert client.serves(stream.data) is not None


def test_every_exchange_of_our_owner_has_a_number_of_its_own() -> None:
    harness = Harness()

    numbers = [joining(harness)[0] for _ in range(3)]

    assert len({*numbers, 0}) == 4
    assert all(isinstance(number, int) for number in numbers)


def test_an_exchange_with_somebody_else_is_not_taken_for_our_own() -> None:
    client, other = Harness(), Harness()
    joining(client)
    _, stream = joining(other)

    assert client.serves(stream.data) is not None


def test_looking_tells_nothing_and_merges_nothing() -> None:
    client = Harness()
    number = client.gossip.push_pull(SEED, client.now, join=False, look=True)
    [stream] = client.streams()
    answer = PushPull(False, (record(), record(LOCAL, 9, ip=LOCAL_IP)), b"state")

    client.answered(stream, answer)

    assert client.wire.open_frame(stream.data) == PushPull(False, ())
    assert client.events() == [ExchangeFinished(number, SEED, answer.records, b"state")]
    assert client.state() == "unknown"


@pytest.mark.case(45)
@pytest.mark.parametrize("join", [True, False])
def test_a_request_without_records_is_answered_in_full_and_changes_nothing(join: bool) -> None:
    server = Harness(alive())
    server.no_longer_queues()
    before = list(server.gossip.members)

    reply = server.asked(PushPull(join, ()))

    assert isinstance(reply, PushPull)
    assert {each.name for each in reply.records} == {LOCAL, REMOTE}
    assert reply.join is join
    assert list(server.gossip.members) == before
    assert server.queued() == []
    assert server.events() == []


@pytest.mark.case(45)
@pytest.mark.parametrize("held", ["ALIVE", "SUSPECT", "DEAD", "LEFT", "unknown"])
def test_three_records_of_one_name_move_it_to_another_address(held: str) -> None:
    claims: dict[str, list[Message]] = {
        "SUSPECT": [Suspect(1, REMOTE, "x")],
        "DEAD": [Dead(1, REMOTE, "x")],
        "LEFT": [Dead(1, REMOTE, REMOTE)],
    }
    server = Harness(*([] if held == "unknown" else [alive(), *claims.get(held, [])]))
    assert server.state() == held

    server.exchanges(
        record(incarnation=2),
        record(incarnation=2, state=RecordState.LEFT),
        record(incarnation=3, ip="10.0.0.9"),
    )

    assert server.state() == "ALIVE"
    assert server.member().addr == pack_ip("10.0.0.9")


@pytest.mark.case(33)
@pytest.mark.parametrize("bench_merges", ["as server", "as client"])
def test_a_merge_follows_the_rules(bench_merges: str) -> None:
    harness = Harness(*others(5))
    records = (
        record("m0", 2, ip="10.0.1.1"),
        record("m1", 1, RecordState.SUSPECT, ip="10.0.1.2"),
        record("m2", 1, RecordState.DEAD, ip="10.0.1.3"),
        record("m3", 1, RecordState.LEFT, ip="10.0.1.4"),
        record("new", 1, ip="10.0.0.9"),
    )

    if bench_merges == "as server":
        harness.exchanges(*records)
    else:
        _, stream = joining(harness)
        harness.answered(stream, PushPull(True, records))

    states = {name: harness.state(name) for name in ("m0", "m1", "m2", "m3", "m4", "new")}
    joined = [event for event in harness.events() if isinstance(event, MemberJoined)]
    assert harness.member("m0").incarnation == 2
    assert states == {
        "m0": "ALIVE",
        "m1": "SUSPECT",
        "m2": "SUSPECT",
        "m3": "LEFT",
        "m4": "ALIVE",
        "new": "ALIVE",
    }
    assert joined == [MemberJoined(harness.member("new"))]


def test_a_suspicion_learnt_from_a_table_is_our_own() -> None:
    harness = Harness(*others(6))

    harness.exchanges(record("m0", 1, RecordState.DEAD, ip="10.0.1.1"))

    assert harness.news("m0") == [Suspect(1, "m0", LOCAL)]


@pytest.mark.parametrize(
    ("state", "incarnation", "answer"),
    [
        (RecordState.ALIVE, 4, 5),
        (RecordState.SUSPECT, 1, 2),
        (RecordState.DEAD, 3, 4),
        (RecordState.LEFT, 1, 2),
    ],
)
def test_what_others_remember_of_our_life_before_the_restart_is_refuted(
    state: RecordState, incarnation: int, answer: int
) -> None:
    harness = Harness()
    _, stream = joining(harness)

    old = record(LOCAL, incarnation, state, ip=LOCAL_IP, meta=b"of before")
    harness.answered(stream, PushPull(True, (old,)))

    assert harness.events()[0] == Refuted(answer)


@pytest.mark.case(43)
def test_two_that_hold_each_other_for_dead_meet_again_by_the_second_exchange() -> None:
    one = Harness(alive(), Dead(1, REMOTE, "x"))
    other = Harness(
        alive(LOCAL, ip=LOCAL_IP, meta=b"own"), Dead(1, LOCAL, "x"), name=REMOTE, ip="10.0.0.2"
    )

    after = []
    for _ in range(2):
        _, stream = joining(one)
        reply = other.serves(stream.data)
        assert reply
        one.gossip.receive_reply(stream.id, reply, 0)
        after.append((one.state(REMOTE), other.state(LOCAL)))

    assert after == [("DEAD", "DEAD"), ("ALIVE", "ALIVE")]


def test_user_state_goes_with_every_table_and_is_handed_over() -> None:
    harness = Harness()
    harness.gossip.send_with_tables(b"ours")

    reply = harness.exchanges(user_state=b"theirs")
    _, stream = joining(harness)
    harness.answered(stream, PushPull(True, (), b"their answer"))

    assert reply.user_state == b"ours"
    request = harness.wire.open_frame(stream.data)
    assert isinstance(request, PushPull)
    assert request.user_state == b"ours"
    assert [event for event in harness.events() if isinstance(event, UserDataReceived)] == [
        UserDataReceived(STRANGER, b"theirs"),
        UserDataReceived(SEED, b"their answer"),
    ]


def core(low: int, high: int, current: int) -> bytes:
    return bytes([low, high, current, 0, 0, 0])


def delegate(low: int, high: int, current: int) -> bytes:
    return bytes([1, 5, 2, low, high, current])


PROTOCOL_CHECKS = [
    pytest.param([(1, 5, 2)], [(1, 5, 2)], True, id="identical"),
    pytest.param([(1, 5, 2)], [(0, 9, 2)], True, id="wider range"),
    pytest.param([(0, 1, 1)], [(2, 3, 2)], False, id="disjoint"),
    pytest.param([(0, 1, 0), (0, 2, 1)], [(1, 3, 1)], False, id="not through a third"),
    pytest.param([(0, 3, 2), (1, 4, 2)], [(0, 5, 2), (2, 6, 2)], True, id="several"),
    pytest.param([(0, 3, 2), (1, 4, 2)], [(0, 5, 2), (3, 6, 3)], False, id="one of several"),
    pytest.param([(1, 5, 2)], [(1, 5, 3)], True, id="not the same within the range"),
]


@pytest.mark.case(24)
@pytest.mark.parametrize("triple", [core, delegate])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize(("ours", "theirs", "goes"), PROTOCOL_CHECKS)
def test_protocol_check(
    ours: list[tuple[int, ...]],
    theirs: list[tuple[int, ...]],
    goes: bool,
    reverse: bool,
    triple: Callable[[int, int, int], bytes],
) -> None:
    sides = [theirs, ours] if reverse else [ours, theirs]

    records = [record(versions=triple(*versions)) for side in sides for versions in side]

    assert compatible(records) is goes


@pytest.mark.case(24)
@pytest.mark.parametrize(
    ("strange", "goes"),
    [
        (record("x", versions=None), False),
        (record("x", versions=VERSIONS[:5]), False),
        (record("x", state=RecordState.DEAD, versions=None), False),
        (record("x", state=RecordState.DEAD, versions=SERF), False),
        (record("x", state=RecordState.DEAD, versions=bytes([2, 2, 2, 0, 0, 0])), True),
        (record("x", state=RecordState.ALIVE, versions=bytes([1, 1, 1, 0, 0, 0])), False),
    ],
    ids=[
        "no versions",
        "five bytes",
        "dead without versions",
        "dead one that speaks what nobody else does",
        "dead one of a narrow range",
        "alive one of a narrow range",
    ],
)
def test_one_record_may_spoil_an_exchange(strange: Record, goes: bool) -> None:
    assert compatible([record(), strange]) is goes


@pytest.mark.case(24)
@pytest.mark.parametrize("versions", [None, VERSIONS])
def test_where_nobody_is_alive_there_are_no_bounds(versions: bytes | None) -> None:
    assert compatible([record(state=RecordState.DEAD, versions=versions)])


@pytest.mark.case(24)
@pytest.mark.parametrize(("oldest", "goes"), [(0, True), (1, False)])
def test_without_versions_one_counts_as_speaking_version_0(oldest: int, goes: bool) -> None:
    bounds = record(versions=bytes([oldest, 5, 2, 0, 5, 4]))

    assert compatible([bounds, record("x", versions=None)]) is goes


@pytest.mark.case(24)
def test_nothing_of_an_incompatible_table_is_merged() -> None:
    server, client = Harness(), Harness()
    records = (record("good", ip="10.0.0.8"), record("serf", versions=SERF))
    number, stream = joining(client)

    reply = server.exchanges(*records)
    client.answered(stream, PushPull(True, records))

    assert reply.records == (OWN_RECORD,)
    assert server.state("good") == client.state("good") == "unknown"
    assert server.events() == [
        PacketDropped(STRANGER, DropReason.REFUSED, "incompatible versions", stream=True)
    ]
    assert client.events() == [
        ExchangeFinished(number, SEED, error="incompatible protocol versions")
    ]


# Periodic and early exchanges


def exchanges_until(harness: Harness, until: float) -> list[float]:
    """Return when exchanges were opened; all are answered at once, and so are all pings."""
    times = []
    while harness.next_timer() <= until:
        harness.step_answering()
        for stream in harness.streams():
            times.append(harness.now)
            harness.answered(stream, PushPull(False, ()))
    return times


@pytest.mark.case(39)
@pytest.mark.parametrize(("members", "interval"), [(32, 60), (33, 120), (65, 180)])
def test_periodic_exchanges_scale_with_the_cluster(members: int, interval: float) -> None:
    harness = Harness(*others(members - 1))

    times = exchanges_until(harness, 600)

    assert times[0] < 60
    assert {round(after - before, 6) for before, after in pairwise(times)} == {interval}


def test_a_periodic_exchange_asks_a_member_that_is_alive_and_is_reported_as_number_zero() -> None:
    harness = Harness(alive(), alive("m0", ip="10.0.1.1"), Dead(1, "m0", "x"))

    while not (streams := harness.streams()):
        harness.step_answering()
    harness.answered(streams[0], PushPull(False, ()))

    request = harness.wire.open_frame(streams[0].data)
    assert streams[0].to == SEED
    assert isinstance(request, PushPull)
    assert request.join is False
    assert {each.name for each in request.records} == {LOCAL, REMOTE, "m0"}
    assert ExchangeFinished(0, SEED) in harness.events()


def test_the_next_periodic_exchange_waits_for_the_end_of_the_one_before() -> None:
    harness = Harness(alive())
    times: list[float] = []
    while len(times) < 2:
        harness.step_answering()
        times += [harness.now for _ in harness.streams()]

    assert times[1] - times[0] == pytest.approx(30 + 60)


def test_without_anybody_else_there_is_no_exchange() -> None:
    harness = Harness()

    assert exchanges_until(harness, 300) == []


def test_periodic_exchanges_begin_with_the_first_one_there_is_to_ask() -> None:
    harness = Harness(timing=replace(WAN, probe_interval=1000))
    harness.run(300)
    harness.hears(alive())

    times = exchanges_until(harness, 600)

    assert len(times) == 5
    assert times[0] <= 360


def test_other_exchanges_make_no_more_periodic_ones() -> None:
    harness = Harness(alive(), seed=3)
    _, stream = joining(harness)
    harness.answered(stream, PushPull(True, (record(),)))

    times = [when for when in exchanges_until(harness, 600) if when > 10]

    assert {round(after - before, 6) for before, after in pairwise(times)} == {60}


def test_after_joining_there_are_two_early_exchanges() -> None:
    harness = Harness(alive(), seed=3)
    _, stream = joining(harness)
    harness.answered(stream, PushPull(True, (record(),)))

    times = [when for when in exchanges_until(harness, 20) if when < 10]

    assert len(times) == 2
    assert 0.75 <= times[0] <= 1.25
    assert 3.75 <= times[1] <= 6.25


def test_a_second_join_makes_no_more_early_exchanges() -> None:
    harness = Harness(alive(), seed=3)
    for _ in range(2):
        _, stream = joining(harness)
        harness.answered(stream, PushPull(True, ()))

    assert len(exchanges_until(harness, 10)) == 2


def test_learning_much_at_once_makes_two_early_exchanges_then_two_in_ten_seconds() -> None:
    harness = Harness(*others(3), seed=3)

    times = []
    for second in range(20):
        times += exchanges_until(harness, second)
        harness.now = second
        gone = [Dead(second + 1, member.node, member.node) for member in others(3)]
        back = [replace(member, incarnation=second + 2) for member in others(3)]
        harness.hears(*gone, *back)

    assert len(times) == 4
    for start, soon, later in ((0, *times[:2]), (10, *times[2:])):
        assert 0.75 <= soon - start <= 1.25
        assert 3.75 <= later - start <= 6.25


def test_more_news_while_an_early_exchange_is_planned_makes_no_more() -> None:
    harness = Harness(seed=3)

    harness.hears(*others(3))
    first = exchanges_until(harness, 2)
    harness.hears(*[alive(f"n{letter}", ip="10.0.2.1") for letter in "abcd"])
    later = exchanges_until(harness, 30)

    assert len(first) == len(later) == 1
    assert 3.75 <= later[0] <= 6.25


def test_learning_little_at_once_makes_no_early_exchange() -> None:
    harness = Harness(*others(30), seed=3)

    harness.hears(*[alive(f"n{index}", ip="10.0.2.1") for index in range(3)])
    harness.hears(alive())

    assert exchanges_until(harness, 10) == []


@pytest.mark.parametrize(
    ("joined_count", "members", "exchanges"), [(1, 2, 0), (2, 3, 2), (2, 19, 2), (2, 20, 0)]
)
def test_more_than_one_of_whom_we_hear_at_once_is_much_if_it_is_over_a_tenth(
    joined_count: int, members: int, exchanges: int
) -> None:
    known = others(members - 1)
    harness = Harness(*known[joined_count:], seed=3)
    harness.run(0.5)

    harness.hears(*known[:joined_count])

    assert len(exchanges_until(harness, 9)) == exchanges


def test_without_eager_gossip_there_is_no_early_exchange() -> None:
    harness = Harness(eager=False, seed=3)
    _, stream = joining(harness)

    harness.answered(stream, PushPull(True, tuple(record(f"m{index}") for index in range(9))))

    assert exchanges_until(harness, 10) == []


def test_an_early_exchange_without_anybody_alive_is_left_out() -> None:
    harness = Harness(seed=3)
    _, stream = joining(harness)

    harness.answered(stream, PushPull(True, ()))

    assert exchanges_until(harness, 10) == []
