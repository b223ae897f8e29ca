"""Cutting the network of a lab into two halves, between which no packet passes."""

from collections.abc import Sequence

from tests.testbed.lab.netns import Host, Lab

_CUT = """
table bridge partition {{
    set far {{ type ifname; elements = {{ {far} }}; }}
    chain between {{
        type filter hook forward priority 0;
        iifname @far oifname != @far drop
        iifname != @far oifname @far drop
    }}
}}
"""


def split(lab: Lab, far: Sequence[Host]) -> None:
    """Cut these hosts off from the others, at one instant for all."""
    ports = ", ".join(f'"host{host.number}"' for host in far)
    lab.run("nft", "-f", "-", stdin=_CUT.format(far=ports))


def mend(lab: Lab) -> None:
    """Undo `split`."""
    lab.run("nft", "delete", "table", "bridge", "partition")
