"""How many questions of others an agent answers."""

from wesher.control.doctor_runs import parsed
from wesher.control.member_answers import Allowance


def test_so_many_at_once_and_then_so_many_a_second() -> None:
    allowance = Allowance(rate=4, burst=16)

    assert sum(allowance.takes(100.0) for _ in range(50)) == 16
    assert sum(allowance.takes(101.0) for _ in range(50)) == 4
    assert sum(allowance.takes(5000.0) for _ in range(50)) == 16


def test_a_clock_that_goes_back_gives_nothing() -> None:
    allowance = Allowance(rate=4, burst=1)

    assert allowance.takes(100.0)
    assert not allowance.takes(99.0)


def test_what_the_doctor_printed_is_read_behind_warnings() -> None:
    assert parsed('a warning\n{\n  "healthy": true\n}\n') == {"healthy": True}
    assert parsed("wesher: no file\n") == {"error": "wesher: no file"}
    assert parsed("") == {"error": "the doctor has printed nothing"}
    assert parsed("{\nno json") == {"error": "no json"}
