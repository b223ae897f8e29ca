"""What a stop takes back when its time is already over."""

import asyncio
from ipaddress import ip_address

import pytest

from wesher.agent.shutdown import take_down
from wesher.config.config import load
from wesher.mesh.base.plan import HostsEntry
from wesher.system.hosts import HostsFile

FOREIGN = "127.0.0.1 localhost\n"


@pytest.mark.parametrize("late", [0.0, 5.0])
def test_hosts_lines_are_removed_however_late_it_is(tmp_path, monkeypatch, late):
    """A host that stood still for seconds has no time left, and the work takes milliseconds."""
    monkeypatch.setattr("wesher.config.config.DEFAULT_FILE", str(tmp_path / "none.toml"))
    path = tmp_path / "hosts"
    path.write_text(FOREIGN)
    hosts = HostsFile(path, "wg0", tmp_path / "run")
    hosts.update([HostsEntry(ip_address("10.0.0.1"), "north")])

    async def stop():
        deadline = asyncio.get_running_loop().time() - late
        return await take_down(load({}, {}), hosts, None, deadline)

    assert asyncio.run(stop()) == []
    assert path.read_text() == FOREIGN
