"""The names of gossip's timers; with a subject, as `(Timer.SUSPICION, name)`, where there are many.

In base/timers.py is the heap itself.
"""

from enum import StrEnum


class Timer(StrEnum):
    """What a participant waits for."""

    PROBE = "probe"
    """The next member's turn to be probed."""
    PROBE_AGAIN = "probe again"
    """The probed member has not answered: ping it again, or try the other ways."""
    ACK = "ack"
    """The end of a wait for an ack, by sequence number."""
    SUSPICION = "suspicion"
    """A suspect is declared dead, by name."""
    GOSSIP = "gossip"
    GOSSIP_EAGERLY = "gossip eagerly"
    PUSH_PULL = "push/pull"
    EARLY_PUSH_PULL = "early push/pull"
    STREAM = "stream"
    """The time that a TCP exchange may take, by its number."""
    TRIALS = "trials"
    LEAVE = "leave"
