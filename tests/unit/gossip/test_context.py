"""What holds the mechanisms back: our health, and the limits on others."""

import pytest

from wesher.gossip.context import Awareness, TokenBucket


@pytest.mark.case(39)
def test_health_stays_within_bounds() -> None:
    awareness = Awareness(8)

    scores = []
    for delta in (-1, 1, 3, 9, -2, -20):
        awareness.adjust(delta)
        scores.append(awareness.score)

    assert scores == [0, 1, 4, 7, 5, 0]


def test_bad_health_stretches_probes() -> None:
    awareness = Awareness(8)
    awareness.adjust(1)

    assert awareness.scale(5) == 10


@pytest.mark.parametrize("start", [1000, 0, -1000])
def test_a_bucket_allows_its_rate_and_no_more(start: int) -> None:
    bucket = TokenBucket(10)

    times = (start, start, start + 0.5, start + 1000)
    allowed = [sum(bucket.allow(now) for _ in range(100)) for now in times]

    assert allowed == [10, 0, 5, 10]
