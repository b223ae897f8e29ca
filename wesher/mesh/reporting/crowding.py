"""What an operator should know when more members are claimed than there can be."""

from collections.abc import Callable
from typing import Any

from wesher.base import problems
from wesher.gossip import ExchangeFinished, NeverAnswered, TableFull
from wesher.gossip.push_pull import TABLE_FULL
from wesher.mesh.base.operator_log import OperatorLog

MANY = 100  # members that never answer; fewer are no crowd, but hosts that crashed as we came


class Crowding:
    """Warns of full tables and of members that do not exist."""

    def __init__(self, operator_log: OperatorLog) -> None:
        self._operator_log = operator_log
        self._handlers: dict[type[Any], Callable[[Any, float], None]] = {
            TableFull: self._on_full,
            NeverAnswered: self._on_never_answered,
            ExchangeFinished: self._on_exchange,
        }

    def handle(self, event: object, now: float) -> None:
        """Take note of an event of the gossip."""
        if handler := self._handlers.get(type(event)):
            handler(event, now)

    def _on_full(self, event: TableFull, now: float) -> None:
        self._operator_log.err(
            "", now, problems.TABLE_FULL, count=event.members, unproven=event.unproven
        )

    def _on_never_answered(self, event: NeverAnswered, now: float) -> None:
        if event.members >= MANY:
            self._operator_log.err("", now, problems.CROWD, count=event.members)

    def _on_exchange(self, event: ExchangeFinished, now: float) -> None:
        if event.error == TABLE_FULL:
            self._operator_log.err(event.to.ip, now, problems.TURNED_AWAY, address=event.to)
