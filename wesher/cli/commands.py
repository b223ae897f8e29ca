"""The table of commands: help, completions and man pages come from it."""

from wesher.base.frozen import frozen
from wesher.config.options import (
    ALL,
    CLEANUP_NAMES,
    CLIENT_NAMES,
    FORCE,
    FORMAT,
    JSON,
    NAME,
    OPTIONS,
    OUTPUT,
    PRIVATE_KEY,
    SHOW,
    STATE,
    WATCH,
    WITH_LEFT,
    Operand,
    Option,
    pick,
)

_CLIENT = pick(CLIENT_NAMES)


@frozen
class Command:
    """One word of the command line; `runs` is the module of wesher/cli/ and the function in it."""

    runs: str
    description: str
    options: tuple[Option, ...]
    operands: tuple[Operand, ...] = ()


AGENT = Command(
    "agent.run", "Join this host into an encrypted WireGuard mesh and keep it there.", OPTIONS
)
COMMANDS = {
    "status": Command(
        "status.run_status",
        "Show this node and all members, with what WireGuard and gossip know of each.",
        (*_CLIENT, STATE, WITH_LEFT, WATCH, JSON),
    ),
    "members": Command(
        "status.run_members",
        "List the members, this host included: name, overlay address and state, one a line.",
        (*_CLIENT, STATE, JSON),
    ),
    "info": Command(
        "status.run_info",
        "Show everything that is known of one member, and why it is not a peer if it is not.",
        (*_CLIENT, JSON),
        (NAME,),
    ),
    "monitor": Command(
        "monitor.run",
        "Show what happens to members as it happens, until interrupted.",
        (*_CLIENT, JSON),
    ),
    "ping": Command(
        "requests.run_ping",
        "Test a member over gossip and over the tunnel; says which of them is broken.",
        (*_CLIENT, JSON),
        (NAME,),
    ),
    "forget": Command(
        "requests.run_forget",
        "Remove a failed member from the mesh, on all hosts and for good.",
        (*_CLIENT, JSON),
        (NAME,),
    ),
    "key": Command(
        "requests.run_key",
        "Show the cluster key, which another host needs to join.",
        (*_CLIENT, FORCE, JSON),
        (SHOW,),
    ),
    "export": Command(
        "requests.run_export",
        "Print the interface as a file for wg-quick, or the mesh as JSON.",
        (*_CLIENT, FORMAT, PRIVATE_KEY, JSON),
    ),
    "doctor": Command(
        "doctor.run",
        "Find out what is wrong with this host's part of the mesh, and say what to do about it.",
        (*OPTIONS, JSON),
    ),
    "metrics": Command(
        "metrics.run",
        "Print the agent's metrics for Prometheus: for node_exporter's textfile directory.",
        (*_CLIENT, OUTPUT, JSON),
    ),
    "reload": Command(
        "requests.run_reload",
        "Let the agent read its configuration again; says what needs a restart.",
        (*_CLIENT, JSON),
    ),
    "cleanup": Command(
        "cleanup.run",
        "Remove the interface, routes and /etc/hosts entries that a crashed agent left behind.",
        (*pick(CLEANUP_NAMES), ALL),
    ),
}
