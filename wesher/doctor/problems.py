"""What only the doctor finds, in words; see base/problems.py for all else that can be wrong."""

from wesher.base.problems import Problem

AGENT_STOPPED = Problem(
    "agent-stopped",
    "the agent on {interface} (pid {pid}) is stopped by a signal",
    "continue it with `kill -CONT {pid}`",
)
AGENT_STARTING = Problem(
    "agent-starting",
    "the agent on {interface} is still starting",
    "if that lasts, its log says what it waits for, an address of this host for instance",
)
AGENT_SILENT = Problem(
    "agent-silent",
    "the agent cannot be asked: {reason}",
    "see its log and the load of this host; `systemctl restart wesher` keeps the interface",
)
NOT_ROOT = Problem(
    "not-root",
    "only root may ask the agent on {interface}",
    "run this as root (`sudo wesher doctor`)",
)
NOT_UP_TO_DATE = Problem(
    "not-up-to-date",
    "the {what} is not up to date: {reason}",
    "the agent tries again until it works; put right what it names",
)
NO_TUN = Problem(
    "no-tun",
    "wireguard-go needs /dev/net/tun, which is not there",
    "run `modprobe tun`, or give this container the device",
)
PORT_TAKEN = Problem(
    "port-taken",
    "{protocol} port {port} is taken by {owner}",
    "stop what uses it, or choose another {option}",
)
WIREGUARD_PORT = Problem(
    "wireguard-port",
    "WireGuard listens on UDP port {port} instead of {wanted}",
    "see whether UDP port {wanted} is free; the agent sets it again within half a minute",
)
LOOPBACK = Problem(
    "loopback",
    "we advertise {address}, which is no address for other hosts",
    "bind to another address with --bind-addr, or give --advertise-addr",
)
NO_FORWARDING = Problem(
    "no-forwarding",
    "this host announces networks behind it, but forwards no IPv{version} packets",
    "run `sysctl -w {setting}=1`, for good in a file in /etc/sysctl.d",
)
FORWARD_DROPPED = Problem(
    "forward-dropped",
    "the firewall of this host drops what it forwards ({chain}), and names no {interface} there",
    "run `nft insert rule {chain} iifname {interface} accept` and "
    "`nft insert rule {chain} oifname {interface} accept`, for good where its rules are kept",
)
OVERLAY_COVERS = Problem(
    "overlay-covers",
    "the overlay network {overlay} covers this host's gateway {address}",
    "choose another --overlay-net, the same on all hosts",
)
SEED_SILENT = Problem(
    "seed-silent",
    "seed {seed} answers neither by TCP nor by UDP",
    "is wesher running there, and do firewalls let UDP and TCP port {port} through?",
)
SEED_REFUSED = Problem(
    "seed-refused",
    "seed {seed} refuses connections to port {port}: nothing listens there",
    "is wesher running there, with this --cluster-port?",
)
SEED_HALF = Problem(
    "seed-half",
    "seed {seed} answers by {heard} but not by {silent}",
    "does a firewall drop its {silent} packets? let {silent} port {port} through on both hosts",
)
TCP_BLOCKED = Problem(
    "tcp-blocked",
    "member {member} answers at {address} by UDP but not by TCP",
    "does a firewall drop its TCP packets? let TCP port {port} through on both hosts",
)
OURSELVES_UNREACHED = Problem(
    "ourselves-unreached",
    "our own agent does not answer at {address} by {silent}",
    "a firewall of this host drops it: let {silent} port {port} in",
)
MEMBER_FAILED = Problem(
    "member-failed",
    "member {member} failed {ago} ago",
    "see whether its host runs; `wesher forget {member}` removes it for good",
)
MEMBER_REFUSED = Problem(
    "member-refused",
    "member {member} refuses connections to {address}: nothing listens there",
    "it will be held failed if this lasts: is wesher running there?",
)
MEMBER_SILENT = Problem(
    "member-silent",
    "member {member} answers at {address} neither by TCP nor by UDP",
    "it will be held failed if this lasts: see whether its host and its agent run",
)
OTHER_NAME = Problem(
    "other-name",
    "another member answers at {address}, not {member}",
    "see which host has that address; {member} needs an --advertise-addr at which it is reached",
)
NO_HANDSHAKE = Problem(
    "no-handshake",
    "member {member} is reached by gossip, but WireGuard has no handshake with it at {endpoint}",
    "does a firewall drop UDP port {port}? let it through on both hosts",
)
SILENT_TUNNEL = Problem(
    "silent-tunnel",
    "member {member} is reached by gossip, but answers nothing through WireGuard; "
    "the last handshake was {ago} ago",
    "does a firewall drop UDP port {port}, or ping inside the overlay?",
)
ONLY_TUNNEL = Problem(
    "only-tunnel",
    "member {member} is reached through WireGuard, but not by gossip at {address}",
    "is its agent running, and do firewalls let UDP and TCP port {port} through?",
)
NARROW_PATH = Problem(
    "narrow-path",
    "packets of {size} bytes to member {member} get lost: "
    "the path to {address} carries {mtu} bytes, WireGuard needs {needed}",
    "run `ip link set dev {interface} mtu {tunnel}` on both hosts (for good: --mtu {tunnel}), or "
    "raise the MTU of the path",
)
NO_PATH_FOR_IPV6 = Problem(
    "no-path-for-ipv6",
    "packets of {size} bytes to member {member} get lost: the path to {address} carries {mtu} "
    "bytes, WireGuard needs {needed}, and IPv6 lets {interface} have no MTU as low as that",
    "raise the MTU of the path, or run `ip link set dev {link} mtu {mtu}` on both hosts, "
    "which then split what is larger",
)
NARROW_TUNNEL = Problem(
    "narrow-tunnel",
    "packets of {size} bytes to member {member} get lost, smaller ones do not",
    "the path to {address} must carry {needed} bytes: see the MTU of what is on it, "
    "or lower that of {interface} on both hosts",
)
HOSTS_FILE = Problem(
    "hosts-file",
    "cannot write the hosts file {file}: {reason}",
    "make it writable (`lsattr`, `findmnt -T {file}`), or run the agent with --no-etc-hosts",
)
