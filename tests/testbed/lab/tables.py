"""What daemons hold of each other, by their own tables."""

import base64
from collections.abc import Sequence

from tests.testbed.lab.daemons import Daemon, Mesh
from tests.testbed.lab.gossip_lookup import alive, look
from wesher.gossip import Record, RecordState

_LIVE = (RecordState.ALIVE, RecordState.SUSPECT)


def hold_alive(mesh: Mesh, daemons: Sequence[Daemon]) -> bool:
    """Whether each of these agents holds just these for alive, by its own table."""
    names = {daemon.host.name for daemon in daemons}
    return all(alive(table_of(mesh, daemon)) == names for daemon in daemons)


def given_up(mesh: Mesh, gone: Sequence[Daemon], by: Sequence[Daemon]) -> bool:
    """Whether each agent of `by` has declared every one of `gone` dead, or forgotten it since."""
    names = {daemon.host.name for daemon in gone}
    return all(
        table and not any(table[name].state in _LIVE for name in names & table.keys())
        for table in (table_of(mesh, daemon) for daemon in by)
    )


def table_of(mesh: Mesh, daemon: Daemon) -> dict[str, Record]:
    """Return an agent's own table, even while nobody else reaches it."""
    return look(daemon.host, daemon.host, base64.b64decode(mesh.key))
