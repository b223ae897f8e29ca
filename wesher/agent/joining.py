"""Redeem an invitation: from a token to what the agent of a new host starts from.

All addresses of the token are asked, each a moment after the one before, with one and the same
first message: it costs one use, however many of them it reaches and however often. The first
answer that is sealed counts; what is not sealed anybody on the way can have written, so it only
tells why nothing better came.

What comes of it is saved as any agent saves it: the keys, and members to contact. A setting of the
mesh that is another than this host's goes into the configuration file, where the next start, by
whoever, finds it.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterable, Mapping

from wesher import __version__
from wesher.base.addresses import Address
from wesher.base.errors import LimitError, ProtocolError, StartError, UndecryptableError, printable
from wesher.base.frozen import frozen
from wesher.config.config import Config
from wesher.mesh.base.identity import Identity
from wesher.mesh.base.saved import Saved, SavedMember
from wesher.mesh.invitations import (
    Asking,
    Grant,
    OtherVersionError,
    Reason,
    Refused,
    Request,
    Token,
    derive,
    prologue,
    read_reply,
    sealed_request,
    whole,
)
from wesher.system.invitation_client import PATIENCE, ask
from wesher.system.state_file import State

STAGGER = 0.25  # seconds between two addresses: most tokens have one, and that one answers
ROUNDS = (0.0, 1.0, 3.0)  # seconds before each: a service that restarts, or too many wrong ones
MAX_SKEW = 60.0  # seconds that two clocks may differ by
EPHEMERAL_SIZE = 32  # bytes

_ANOTHER = "make another with `wesher invite`"
_REFUSED = {
    Reason.USED: f"the invitation is used up: {_ANOTHER}",
    Reason.WITHDRAWN: f"the invitation was withdrawn: {_ANOTHER}",
    Reason.UNSAVED: "{inviter} cannot save that the invitation is used: its log says why",
}
_NOT_SEALED = {
    Reason.UNKNOWN: "knows no such invitation: it was made elsewhere, or for another mesh, or is "
    f"long over; {_ANOTHER}",
    Reason.FORGED: "does not accept the token's secret: what was sent was changed on its way",
    Reason.LIMITED: "has been asked with too many wrong tokens by this network: wait a minute",
    Reason.VERSION: "speaks another version of invitations: install the same wesher there",
}
_STRANGE = "answers, but knows no invitations: is that an older wesher, or the original?"


@frozen
class Redeemed:
    """What was granted, and the address where it was."""

    grant: Grant
    at: Address


@frozen
class _Failed:
    """Why an address granted nothing; `final` if it will not do so in a moment either."""

    at: Address
    why: str
    final: bool = False
    silent: bool = False


async def redeem(token: Token, name: str, identity: Identity) -> Redeemed:
    """Redeem a token for the host of this name; raises StartError, saying why it is refused."""
    invitation, key = derive(token.secret)
    asking = Asking(key, prologue(invitation), os.urandom(EPHEMERAL_SIZE))
    request = Request(name, __version__, int(_wall()), identity.public_key)
    frame = sealed_request(invitation, asking, request)
    failed: dict[Address, _Failed] = {}
    left = token.addresses
    for pause in ROUNDS:
        await asyncio.sleep(pause)
        async for outcome in _ask_all(left, frame, asking, token):
            if isinstance(outcome, Redeemed):
                return outcome
            failed[outcome.at] = outcome
        left = tuple(one for one in left if not failed[one].final)
        if not left:
            break
    raise StartError(_in_words(list(failed.values()), token))


async def _ask_all(
    addresses: Iterable[Address], frame: bytes, asking: Asking, token: Token
) -> "AsyncIterator[Redeemed | _Failed]":
    """Yield what comes of asking at each address, whichever is first."""
    tasks = [
        asyncio.create_task(_ask(address, number * STAGGER, frame, asking, token))
        for number, address in enumerate(addresses)
    ]
    try:
        for done in asyncio.as_completed(tasks):
            yield await done
    finally:
        for task in tasks:
            task.cancel()


async def _ask(
    address: Address, pause: float, frame: bytes, asking: Asking, token: Token
) -> Redeemed | _Failed:
    """Ask at one address; raises StartError for a refusal under seal."""
    await asyncio.sleep(pause)
    try:
        answer = await ask(address, frame, lambda head: whole(head, reply=True))
        outcome = read_reply(asking, answer)
    except TimeoutError:
        return _Failed(address, f"no answer within {PATIENCE:g} s", silent=True)
    except OSError as error:
        return _Failed(address, _reason(error), silent=True)
    except UndecryptableError:
        return _Failed(address, "answers something else than asked: it was changed on its way")
    except OtherVersionError:
        return _Failed(address, _NOT_SEALED[Reason.VERSION], final=True)
    except (ProtocolError, LimitError):
        return _Failed(address, _STRANGE)
    if isinstance(outcome, Grant):
        return Redeemed(outcome, address)
    if outcome.inviter is None:
        final = outcome.why is not Reason.LIMITED
        return _Failed(address, _NOT_SEALED[outcome.why], final=final)
    raise StartError(_refused(outcome, token))


def _reason(error: OSError) -> str:
    return os.strerror(error.errno).lower() if error.errno else str(error)


def _refused(refused: Refused, token: Token) -> str:
    if refused.why is Reason.EXPIRED:
        ago = _span((refused.at or 0) - token.expires_at)
        return f"the invitation expired {ago} ago: {_ANOTHER}{_skew(refused.at)}"
    text = _REFUSED.get(refused.why, f"the invitation is refused: {_ANOTHER}")
    return text.format(inviter=printable(refused.inviter or ""))


def _skew(at: int | None) -> str:
    skew = clock_skew(at or 0)
    return f" ({skew})" if skew else ""


def _in_words(failed: list[_Failed], token: Token) -> str:
    """Return why nobody has granted anything: what those say who answer, if any do."""
    answered = [one for one in failed if not one.silent]
    if answered:
        return "; ".join(f"{one.at} {one.why}" for one in answered)
    told = ", ".join(f"{one.at} ({one.why})" for one in failed)
    port = failed[0].at.port
    text = f"nobody answers at {told}: does wesher run there, and is TCP port {port} open?"
    if (over := _wall() - token.expires_at) > 0:
        text += f" By this host's clock the invitation expired {_span(over)} ago"
    return text


def clock_skew(theirs: int) -> str | None:
    """Return how wrong our clock is if theirs is right; None when they agree well enough."""
    ahead = _wall() - theirs
    if abs(ahead) <= MAX_SKEW:
        return None
    way = "ahead of" if ahead > 0 else "behind"
    return f"this host's clock is {_span(abs(ahead))} {way} theirs"


def _span(seconds: float) -> str:
    """Return a time in words, in its greatest unit."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0, seconds):.0f} s"


def state_of(redeemed: Redeemed, identity: Identity) -> State:
    """Return what a first start as a member begins with; members are only there to be contacted."""
    grant = redeemed.grant
    inviter, *_ = grant.members
    contacts = [(one.name, one.address) for one in grant.members]
    if redeemed.at not in [address for _, address in contacts]:
        contacts.append((inviter.name, redeemed.at))
    members = tuple(SavedMember(name, one, left=True) for name, one in contacts)
    mesh = Saved(members=members)
    return State(grant.keys[0], mesh, other_keys=grant.keys[1:], identity=identity.seed)


def settings_of(grant: Grant, config: Config) -> Mapping[str, str]:
    """Return, by option, what this host must be told to be like the mesh.

    The port is the host's own affair where it was given one.
    """
    theirs = {
        "overlay_net": grant.overlay_net,
        "timing": grant.timing,
        "metadata_format": grant.metadata_format,
    }
    if not config.given("cluster_port"):
        theirs["cluster_port"] = str(grant.port)
    return {name: value for name, value in theirs.items() if value != str(getattr(config, name))}


def _wall() -> float:
    return time.clock_gettime(time.CLOCK_REALTIME)
