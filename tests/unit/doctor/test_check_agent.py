"""What the doctor says of the agent itself."""

from typing import Any

import pytest

from tests.unit.doctor.cases import account, case, found, status
from wesher.doctor.check_agent import check_agent


@pytest.mark.parametrize(("told", "wanted"), [({"renamed_to": "new"}, True), ({}, False)])
def test_a_host_that_was_renamed_is_told(told: dict[str, Any], wanted: bool) -> None:
    node: dict[str, Any] = {"name": "node1", "pid": 7, "uptime": 60.0}

    says = found(check_agent, case(status=status(**node), account=account(**told)))

    named = [text for _, trouble, text in says if trouble == "renamed"]
    assert ["is named new now" in text for text in named] == [True] * wanted
