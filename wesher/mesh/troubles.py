"""What can be wrong with a mesh: in these words the agent warns and `wesher doctor` reports."""

from wesher.mesh.refusals import RefusalKind
from wesher.troubles import Trouble

SEED_NAME = Trouble(
    "seed-name",
    "seed {seed} has no address",
    "correct its name in --join, or the name server that must know it",
)
SAME_NAME = Trouble(
    "same-name",
    "two hosts are named {member}, one at {address}, another at {claimed}",
    "give one of them another --node-name",
)
OUR_NAME = Trouble(
    "our-name",
    "a host at {claimed} has our name, {member}",
    "give one another --node-name",
)
TAKEN_NAME = Trouble(
    "taken-name",
    "the name {member} belongs to another live member, at {address}",
    "give this host another --node-name",
)
TAKEN_ADDRESS = Trouble(
    "taken-address",
    "the overlay address {address} belongs to another live member, {member}",
    "give this host another --overlay-addr, or none",
)
OTHER_CASE = Trouble(
    "other-case",
    "the name of member {member} is that of {holder} but for upper and lower case: "
    "the hosts file goes on naming {holder} only",
    "give {member} another --node-name",
)
HOSTS_LINE = Trouble(
    "hosts-line",
    "the name of member {member} is on line {line} of {file} already, so there it stays",
    "use its overlay address {address}, remove that line, or give this host --hosts-suffix",
)
DOTTED_NAME = Trouble(
    "dotted-name",
    "the name of member {member} has dots and is not in the domain of this host's own, "
    "so it is not in the hosts file",
    "use its overlay address {address}, or give this host --hosts-suffix or --hosts-dots",
)
UDP_BLOCKED = Trouble(
    "udp-blocked",
    "member {member} answers at {address} by TCP but not by UDP",
    "does a firewall drop its UDP packets? let UDP port {port} through on both hosts",
)
TALKS_ELSEWHERE = Trouble(
    "talks-elsewhere",
    "member {member} announces {address}, where it does not answer, but talks from {seen}",
    "give it --advertise-addr {seen}, or --bind-iface with the interface of that address",
)
WE_TALK_ELSEWHERE = Trouble(
    "we-talk-elsewhere",
    "this host announces {address}, where no answer arrives, but talks from {seen}",
    "give it --advertise-addr {seen}, or --bind-iface with the interface of that address",
)
ADDRESS_HERE = Trouble(
    "address-here",
    "member {member} announces {address}, an address of this host",
    "give it --advertise-addr or --bind-iface, so that it announces one of its own",
)
OTHER_KEY = Trouble(
    "other-key",
    "{address} has another cluster key, or none",
    "compare --cluster-key on both hosts",
)
NOBODY = Trouble(
    "nobody",
    "nobody answers at {seeds}",
    "is wesher running there, and do firewalls let UDP and TCP through? "
    "trying again until somebody does",
)
NO_PEER = Trouble(
    "no-peer",
    "member {member} is no peer: it {reason}",
    "{remedy}",
)
OVERLAY_FULL = Trouble(
    "overlay-full",
    "no overlay address is left for us: {winner} has {address}, and {network} is full",
    "choose a larger --overlay-net, the same on all hosts",
)
MOVED = Trouble(
    "moved",
    "this host moved from {old} to {new}, because {winner} has that address too and keeps it",
    "give it a fixed --overlay-addr if it must not happen again",
)
SAME_ADDRESS = Trouble(
    "same-address",
    "{winner} and {loser} both have overlay address {address}: it goes to {winner}",
    "give {loser} another --overlay-addr, or wait until it moves",
)
FIXED_ADDRESS = Trouble(
    "fixed-address",
    "{winner} and {loser} both have overlay address {address} and neither can move: "
    "it goes to {winner}",
    "give one of them another --overlay-addr, or another name if it has none",
)
METADATA_FORMAT = Trouble(
    "metadata-format",
    "member {member} cannot read our metadata",
    "it wants --metadata-format {format}",
)
FORGED = Trouble(
    "forged",
    "{address} passes on that {member} is at incarnation {incarnation}, which it cannot be",
    "it is not believed; somebody with the cluster key made it up: see who runs there",
)
KEY_CHANGED = Trouble(
    "key-changed",
    "member {member} changed its WireGuard key from {old} to {new} without being away",
    "if it was not started anew with another key, somebody with the cluster key speaks in its "
    "name: compare with `wesher status` there",
)
IMPERSONATED = Trouble(
    "impersonated",
    "somebody announces this host, {member}, with the WireGuard key {key}, which is not ours",
    "we contradict it; unless this host was cloned, somebody with the cluster key wants our "
    "traffic: find it",
)
CROWD = Trouble(
    "crowd",
    "{count} members were asked three times whether they are there, and never answered",
    "none of them is made a peer; if they are no hosts of yours, somebody with the cluster key "
    "made them up: find it, and give the mesh another key",
)
TABLE_FULL = Trouble(
    "table-full",
    "the table of members is full: {count} are known, {unproven} of which never answered us",
    "these give way to newcomers, and where none is left newcomers are turned away; if they are "
    "no hosts of yours, somebody with the cluster key made them up: find it",
)
TURNED_AWAY = Trouble(
    "turned-away",
    "{address} turns us away: its table of members is full",
    "see `wesher doctor` there; trying again until it has a place for us",
)
SLEPT = Trouble(
    "slept",
    "this host did not run for {seconds} s",
    "it asks others what they know; if it was not suspended, it has too much to do",
)

PEER_REMEDIES = {
    RefusalKind.PENDING: "wait until it has told more of itself",
    RefusalKind.METADATA: "it is no wesher, or one of an unknown version: see what runs there",
    RefusalKind.NAME: "give it another --node-name",
    RefusalKind.NETWORK: "give all members the same --overlay-net",
    RefusalKind.ADDRESS: "give it another --overlay-addr, or all members another --overlay-net",
    RefusalKind.KEY: "if it is a clone of that host, start it with --fresh-key; if it is none of "
    "yours, somebody with the cluster key made it up",
    RefusalKind.ENDPOINT: "give it an --advertise-addr at which others reach it",
}
