"""Everything that can be wrong, in words, once: for errors, warnings, status and the doctor.

First what can be wrong with a host, then with a mesh. What only `wesher doctor` finds is in
doctor/problems.py.
"""

from collections.abc import Mapping

from wesher.base.frozen import frozen


@frozen
class Problem:
    """One kind of trouble: templates of what is wrong and of what to do about it.

    `name` never changes: scripts know the trouble by it, and docs/doctor.md explains it.
    """

    name: str
    fault: str
    remedy: str

    @property
    def text(self) -> str:
        """Return the template of a warning."""
        return f"{self.fault}: {self.remedy}"

    def fault_of(self, data: Mapping[str, object]) -> str:
        """Say what is wrong."""
        return self.fault.format(**data)

    def remedy_for(self, data: Mapping[str, object]) -> str:
        """Say what to do about it."""
        return self.remedy.format(**data)


NO_RIGHTS = Problem(
    "no-rights",
    "configuring the network needs CAP_NET_ADMIN",
    "run wesher as root (`sudo wesher`), "
    "or give its systemd unit AmbientCapabilities=CAP_NET_ADMIN",
)
NO_TOOL = Problem("no-tool", "`{tool}` is not installed", "run `apt install {package}`")
NO_WIREGUARD = Problem(
    "no-wireguard",
    "this kernel has no WireGuard and wireguard-go is not installed",
    "run `apt install wireguard-go`, or a kernel with WireGuard",
)
NO_ADDRESS = Problem(
    "no-address",
    "this host has no address that others could reach",
    "give it one, or give --advertise-addr",
)
SEVERAL_ADDRESSES = Problem(
    "several-addresses",
    "this host has no default route and several addresses: {addresses}",
    "give one of them as --advertise-addr",
)
OTHER_FAMILY = Problem(
    "other-family",
    "this host has no IPv{version} address any more, as the mesh uses, only {address}",
    "give it one again, or, once all members have addresses like that, restart wesher on each",
)
RENAMED = Problem(
    "renamed",
    "this host is named {name} now, and the mesh knows it as {member}",
    "restart wesher: it keeps its overlay address, and the old name is given up",
)
OVERLAY_ENCLOSED = Problem(
    "overlay-enclosed",
    "the overlay network {overlay} lies inside {network}, which this host is connected to",
    "choose another --overlay-net, the same on all hosts",
)
OVERLAY_HAS_US = Problem(
    "overlay-has-us",
    "this host's address {address} is in the overlay network {network}",
    "choose another --overlay-net if hosts cannot be reached",
)

# A mesh

SEED_NAME = Problem(
    "seed-name",
    "seed {seed} has no address",
    "correct its name in --join, or the name server that must know it",
)
SAME_NAME = Problem(
    "same-name",
    "two hosts are named {member}, one at {address}, another at {claimed}",
    "give one of them another --node-name",
)
OUR_NAME = Problem(
    "our-name",
    "a host at {claimed} has our name, {member}",
    "give one another --node-name",
)
TAKEN_NAME = Problem(
    "taken-name",
    "the name {member} belongs to another live member, at {address}",
    "give this host another --node-name",
)
TAKEN_ADDRESS = Problem(
    "taken-address",
    "the overlay address {address} belongs to another live member, {member}",
    "give this host another --overlay-addr, or none",
)
OTHER_CASE = Problem(
    "other-case",
    "the name of member {member} is that of {holder} but for upper and lower case: "
    "the hosts file goes on naming {holder} only",
    "give {member} another --node-name",
)
HOSTS_LINE = Problem(
    "hosts-line",
    "the name of member {member} is on line {line} of {file} already, so there it stays",
    "use its overlay address {address}, remove that line, or give this host --hosts-suffix",
)
DOTTED_NAME = Problem(
    "dotted-name",
    "the name of member {member} has dots and is not in the domain of this host's own, "
    "so it is not in the hosts file",
    "use its overlay address {address}, or give this host --hosts-suffix or --hosts-dots",
)
UDP_BLOCKED = Problem(
    "udp-blocked",
    "member {member} answers at {address} by TCP but not by UDP",
    "does a firewall drop its UDP packets? let UDP port {port} through on both hosts",
)
TALKS_ELSEWHERE = Problem(
    "talks-elsewhere",
    "member {member} announces {address}, where it does not answer, but talks from {seen}",
    "give it --advertise-addr {seen}, or --bind-iface with the interface of that address",
)
WE_TALK_ELSEWHERE = Problem(
    "we-talk-elsewhere",
    "this host announces {address}, where no answer arrives, but talks from {seen}",
    "give it --advertise-addr {seen}, or --bind-iface with the interface of that address",
)
ADDRESS_HERE = Problem(
    "address-here",
    "member {member} announces {address}, an address of this host",
    "give it --advertise-addr or --bind-iface, so that it announces one of its own",
)
OTHER_KEY = Problem(
    "other-key",
    "{address} has another cluster key, or none",
    "compare the fingerprints in `wesher status` on both hosts: each must have the other's primary "
    "key in --cluster-key, and take it with `wesher reload`; if the key was changed while one was "
    "away, `wesher key show` on a member prints what that one needs",
)
NOT_READ = Problem(
    "not-read",
    "{address} cannot read us: it lacks our primary cluster key",
    "give it that key, too (--cluster-key, then `wesher reload` there), or put the key that it has "
    "first here until then",
)
STALE_KEY = Problem(
    "stale-key",
    "the cluster key was changed to {new}, and this host's configuration has only {given}",
    "put the new key, which `wesher key show` prints, where that is configured; the old one can go "
    "once `wesher key status` says that the change is over",
)
NOBODY = Problem(
    "nobody",
    "nobody answers at {seeds}",
    "is wesher running there, and do firewalls let UDP and TCP through? "
    "trying again until somebody does",
)
NO_PEER = Problem(
    "no-peer",
    "member {member} is not a peer: it {reason}",
    "{remedy}",
)
OVERLAY_FULL = Problem(
    "overlay-full",
    "no overlay address is left for us: {winner} has {address}, and {network} is full",
    "choose a larger --overlay-net, the same on all hosts",
)
MOVED = Problem(
    "moved",
    "this host moved from {old} to {new}, because {winner} has that address too and keeps it",
    "give it a fixed --overlay-addr if it must not happen again",
)
SAME_ADDRESS = Problem(
    "same-address",
    "{winner} and {loser} both have overlay address {address}: it goes to {winner}",
    "give {loser} another --overlay-addr, or wait until it moves",
)
FIXED_ADDRESS = Problem(
    "fixed-address",
    "{winner} and {loser} both have overlay address {address} and neither can move: "
    "it goes to {winner}",
    "give one of them another --overlay-addr, or another name if it has none",
)
SAME_NETWORK = Problem(
    "same-network",
    "{loser} announces {network}, but {other} goes to {winner}, which announced it first",
    "take it from --route on {loser}; if it is to stand in for {winner}, let it announce {other}@1",
)
REFUSED_NETWORK = Problem(
    "refused-network",
    "nobody sends to the network {network} behind {member}: it {reason}",
    "take it from --route there, or announce narrower networks",
)
METADATA_FORMAT = Problem(
    "metadata-format",
    "member {member} cannot read our metadata",
    "it wants --metadata-format {format}",
)
FORGED = Problem(
    "forged",
    "{address} passes on that {member} is at incarnation {incarnation}, which it cannot be",
    "it is not believed; somebody with the cluster key made it up: see who runs there",
)
KEY_CHANGED = Problem(
    "key-changed",
    "member {member} changed its WireGuard key from {old} to {new} without being away",
    "if it was not started anew with another key, somebody with the cluster key speaks in its "
    "name: compare with `wesher status` there",
)
IMPERSONATED = Problem(
    "impersonated",
    "somebody announces this host, {member}, with the WireGuard key {key}, which is not ours",
    "we contradict it; unless this host was cloned, somebody with the cluster key wants our "
    "traffic: find it",
)
OTHER_IDENTITY = Problem(
    "other-identity",
    "{address} passes on that {member} is the identity {claimed}; it is {held} and keeps its name "
    "as long as it answers",
    "if its host was reinstalled, stop the old one; else somebody with the cluster key wants its "
    "name: see who runs at {address}",
)
IDENTITY_CHANGED = Problem(
    "identity-changed",
    "member {member} is the identity {claimed} now; it was {held}, which does not answer any more",
    "if its host was not reinstalled, somebody with the cluster key has taken its name: compare "
    "with `wesher status` there",
)
NOT_PINNED = Problem(
    "not-pinned",
    "{address} passes on that {member} is the identity {claimed}, and it is pinned to {held}",
    "if its host was reinstalled, compare {claimed} with `wesher status` there, and run `wesher "
    "trust {member}` here; else somebody with the cluster key wants its name: see who runs there",
)
NO_IDENTITY = Problem(
    "no-identity",
    "{address} passes on that {member} is a member, which has no identity",
    "it is not let in: run this version of wesher there, or give all --trust pinned,unsigned",
)
TRUSTED = Problem(
    "trusted",
    "the name {member} is for {identity} now, says an operator on {author}",
    "if nobody typed that there, somebody has that host: pin the name again with "
    "`wesher trust {member}`",
)
UNTRUSTED_WORD = Problem(
    "untrusted-word",
    "{address} passes on that the name {member} is for {identity}, signed by {author}, which is no "
    "member that we know",
    "it does not count; type `wesher trust {member}` on a member that all know",
)
OUR_IDENTITY = Problem(
    "our-identity",
    "{address} passes on that we, {member}, are the identity {claimed}; we are {held}",
    "if this host was reinstalled or cloned, see `wesher doctor` on the others; else somebody with "
    "the cluster key wants our name: see who runs at {address}",
)
BAD_SIGNATURE = Problem(
    "bad-signature",
    "{address} passes on a claim of {member} that the identity it names has not signed",
    "it is not believed; somebody with the cluster key made it up: see who runs at {address}",
)
CROWD = Problem(
    "crowd",
    "{count} members were asked three times whether they are there, and never answered",
    "none of them is made a peer; if they are not hosts of yours, somebody with the cluster "
    "key made them up: find it, and give the mesh another key",
)
TABLE_FULL = Problem(
    "table-full",
    "the table of members is full: {count} are known, {unproven} of which never answered us",
    "these give way to newcomers, and where none is left newcomers are turned away; if they are "
    "not hosts of yours, somebody with the cluster key made them up: find it",
)
TURNED_AWAY = Problem(
    "turned-away",
    "{address} turns us away: its table of members is full",
    "see `wesher doctor` there; trying again until it has a place for us",
)
SLEPT = Problem(
    "slept",
    "this host was suspended or stalled for {seconds} s",
    "it asks the others for news; if it was not suspended, it is overloaded",
)
NO_AGENT = Problem(
    "no-agent",
    "no agent runs on interface {interface}",
    "start it with `systemctl start wesher`, or with `wesher`; its log says why it ended",
)
STRANGER = Problem(
    "stranger",
    "{address} sent us {count} packets that our cluster key does not open, the last {ago} ago",
    "if it should be a member, give this host the key it uses (--cluster-key, `wesher reload`); "
    "if not, keep it out",
)
