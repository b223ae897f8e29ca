"""Make and remove the WireGuard interface: the kernel's own, else wireguard-go's."""

import re

from wesher.base.errors import CommandError, MissingToolError, StartError
from wesher.base.problems import NO_WIREGUARD
from wesher.system.routes import apply_lines
from wesher.system.shell import patiently, run

CREATED = "wesher"
"""The alias of a device that we made."""
BORROWED = "wesher-borrowed"
"""The alias of a blank device that somebody made for us: ours to use, not to delete."""
MARKS = frozenset({CREATED, BORROWED})

_NAME = re.compile(r"(?!\.{1,2}$|-)[A-Za-z0-9_=+.-]{1,15}")  # IFNAMSIZ less its final zero
_NO_KERNEL_SUPPORT = ("unknown device type", "not supported")


def check_name(name: str) -> None:
    """Raise StartError when no interface can have this name."""
    if not _NAME.fullmatch(name):
        raise StartError(
            f"{name!r} is not a name for an interface: use at most 15 letters, digits, - and _"
        )


async def create(name: str) -> None:
    """Create interface `name` with our mark; the kernel's WireGuard first, else userspace.

    Raises StartError when this host can have neither, CommandError when a tool failed.
    """
    try:
        # Not retried: whoever does looks first whether it was made after all.
        await run(
            "ip",
            "-batch",
            "-",
            stdin=f"link add dev {name} type wireguard\nlink set dev {name} alias {CREATED}\n",
        )
    except CommandError as error:
        if not any(words in error.stderr.lower() for words in _NO_KERNEL_SUPPORT):
            raise
        await create_in_userspace(name)


async def create_in_userspace(name: str) -> None:
    """Create interface `name` with our mark and let wireguard-go serve it, which stays behind.

    What an ended wireguard-go left in /var/run/wireguard does not matter. Raises as `create` does.
    """
    try:
        await run("wireguard-go", name, leaves_daemon=True)
    except MissingToolError as error:
        raise StartError(NO_WIREGUARD.text) from error
    except CommandError as error:
        raise StartError(_explain(name, error)) from error
    await patiently(run)("ip", "link", "set", "dev", name, "alias", CREATED)


def _explain(name: str, error: CommandError) -> str:
    """Turn what wireguard-go printed, a box of advice first, into one line."""
    reason = error.stderr.rpartition("\n")[2] or str(error)
    if "unix socket in use" in reason:
        return (
            f"another wireguard-go serves an interface named {name}, perhaps in another network "
            f"namespace (/var/run/wireguard/{name}.sock): choose another with --interface"
        )
    if "/dev/net/tun" in reason:
        return f"wireguard-go needs /dev/net/tun: run `modprobe tun` ({reason})"
    return f"wireguard-go could not make {name}: {reason}"


async def delete(name: str) -> None:
    """Delete the interface with its peers, addresses and routes; it may be gone already."""
    failed = await apply_lines([f"link del dev {name}"])
    for line, reason in failed.items():
        raise CommandError(("ip", *line.split()), 1, reason)
