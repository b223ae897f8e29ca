"""The table of commands: help, completions and man pages come from it.

A description fits one line of `wesher --help`; details are what its own help says besides.
"""

from wesher.base.frozen import frozen
from wesher.config.options import (
    ALL,
    CLEANUP_NAMES,
    CLIENT_NAMES,
    DOCTOR_NAMES,
    DOT,
    FORCE,
    FORMAT,
    FULL,
    GRACE,
    HTML,
    HTTP,
    IDENTITY,
    INVITATION,
    INVITING,
    JSON,
    KEY_WORDS,
    MESH,
    NAME,
    ONCE_IN_MESH,
    OPTIONS,
    OUTPUT,
    PRIVATE_KEY,
    REPORT_FILE,
    SAVE_ONLY,
    STATE,
    SVG,
    TOKEN,
    TOKEN_FILE,
    TTL,
    UNINSTALL,
    USES,
    WATCH,
    WITH_LEFT,
    Operand,
    Option,
    pick,
)

_CLIENT = pick(CLIENT_NAMES)
_OF_A_MEMBER = ("cluster_key", "cluster_key_file", "join")  # which an invitation brings


@frozen
class Command:
    """One word of the command line; `runs` is the module of wesher/cli/ and the function in it.

    What is `ignored` is taken without a word and shown nowhere.
    """

    runs: str
    description: str
    options: tuple[Option, ...]
    operands: tuple[Operand, ...] = ()
    details: str = ""
    ignored: tuple[Option, ...] = ()


AGENT = Command(
    "agent.run",
    "Join this host into an encrypted WireGuard mesh and keep it there.",
    OPTIONS,
    details="Without a command the agent runs until it is stopped.",
)
COMMANDS = {
    "status": Command(
        "status.run_status",
        "Show this node and all members of the mesh.",
        (*_CLIENT, STATE, WITH_LEFT, WATCH, JSON),
        details="Of each member: its state, and what WireGuard and gossip know of it.",
    ),
    "members": Command(
        "status.run_members",
        "List the members: name, overlay address and state, one per line.",
        (*_CLIENT, STATE, JSON),
        details="This host is among them; members that are not peers are not.",
    ),
    "info": Command(
        "status.run_info",
        "Show all that is known of a member, and why if it is not a peer.",
        (*_CLIENT, JSON),
        (NAME,),
    ),
    "monitor": Command(
        "monitor.run",
        "Show what happens to members, as it happens.",
        (*_CLIENT, ONCE_IN_MESH, JSON),
        details="It goes on until interrupted.",
    ),
    "ping": Command(
        "requests.run_ping",
        "Test a member over gossip and over the tunnel.",
        (*_CLIENT, JSON),
        (NAME,),
        "Says which of the two is broken, if one is, and what to do about it.",
    ),
    "map": Command(
        "map.run",
        "Show who reaches whom in the mesh, and what is wrong with it.",
        (*_CLIENT, HTML, SVG, DOT, JSON),
        details="All members are asked what they know of their tunnels; those that run the "
        "original cannot be, and are shown as the others see them.",
    ),
    "forget": Command(
        "requests.run_forget",
        "Remove a failed member from the mesh, on all hosts and for good.",
        (*_CLIENT, JSON),
        (NAME,),
    ),
    "trust": Command(
        "requests.run_trust",
        "Let a member's name go to the identity that claims it.",
        (*_CLIENT, IDENTITY, JSON),
        (NAME,),
        "For `--trust pinned`, once the fingerprint was compared with `wesher status` on that "
        "host. All members hear of it.",
    ),
    "key": Command(
        "key.run",
        "Show the cluster key, or change it on all hosts without a pause.",
        (*_CLIENT, GRACE, FORCE, JSON),
        (KEY_WORDS,),
        "`rotate` makes a new key, has all members use it, and retires the old one: nobody need do "
        "anything else. `status` says where that stands and `list` who has which key. The steps of "
        "it one by one are `install`, `use` and `remove`.",
    ),
    "invite": Command(
        "invite.run",
        "Print a line that lets another host join.",
        (*_CLIENT, TTL, USES, JSON),
        (INVITING, INVITATION),
        "It holds a token, not the cluster key, which only this agent redeems. `list` shows all "
        "such invitations, `revoke` withdraws one.",
    ),
    "join": Command(
        "join.run",
        "Join this host into the mesh that it was invited to.",
        (*(one for one in OPTIONS if one.name not in _OF_A_MEMBER), TOKEN_FILE, SAVE_ONLY),
        (TOKEN,),
        "Then the service runs, where it is installed and no option was given, else the agent "
        "in the foreground.",
    ),
    "export": Command(
        "requests.run_export",
        "Print the interface as a file for wg-quick, or the mesh as JSON.",
        (*_CLIENT, FORMAT, PRIVATE_KEY, JSON),
    ),
    "doctor": Command(
        "doctor.run",
        "Find out what is wrong with this host's part of the mesh.",
        (*pick(DOCTOR_NAMES), MESH, JSON),
        details="Says what to do about each finding. A running agent is asked what it runs with; "
        "without one, the options say what it would be started with.",
        ignored=tuple(option for option in OPTIONS if option.name not in DOCTOR_NAMES),
    ),
    "report": Command(
        "report.run",
        "Write an archive for a bug report, without secrets.",
        (*_CLIENT, FULL),
        (REPORT_FILE,),
        "With what the doctors of all members find, the map, the last hour, versions, settings and "
        "tables. Names and addresses have stand-ins.",
    ),
    "metrics": Command(
        "metrics.run",
        "Print the agent's metrics for Prometheus.",
        (*_CLIENT, OUTPUT, HTTP, JSON),
        details="They are for node_exporter's textfile directory, or for wesher-metrics.socket.",
    ),
    "reload": Command(
        "requests.run_reload",
        "Have the agent read its configuration again.",
        (*_CLIENT, JSON),
        details="Says what of it needs a restart.",
    ),
    "install-unit": Command(
        "install_unit.run",
        "Write the units of systemd for an installation by pip or pipx.",
        (UNINSTALL,),
        details="It enables and starts nothing, and says what to do next. "
        "The Debian package brings its units along.",
    ),
    "cleanup": Command(
        "cleanup.run",
        "Remove what a crashed agent has left behind on this host.",
        (*pick(CLEANUP_NAMES), ALL),
        details="That is its interface, routes and /etc/hosts entries.",
    ),
}
