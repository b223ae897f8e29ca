"""What survives a restart: the cluster key, our address and incarnation, the last known members.

The form is that of Go wesher (spec/memberlist.md, 8.4), which discards the whole file, key
included, when any field it knows is not exactly right. What only we need is in keys of our own.
"""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Mapping
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import Any

from loguru import logger

from wesher.base.addresses import Address
from wesher.base.errors import StartError, WesherError
from wesher.base.frozen import frozen
from wesher.mesh.base.plan import IPAddress
from wesher.mesh.base.rotation import MAX_NUMBER, Rotation, Step
from wesher.mesh.base.saved import Former, Saved, SavedKeys, SavedMember, Self, Tombstone
from wesher.system import files
from wesher.system.saved_pins import decode_pin, encode_pins

_KEY_LENGTH = 32  # bytes
_MAX_META = 512  # bytes, memberlist's limit
_MAX_INCARNATION = 2**32 - 1
_MAX_TIME = 2**40  # seconds since 1970
_MAX_ASIDE = 10  # files of one kind set aside; the last is overwritten from then on

_OURS = "Wesher"
_CHECK_LENGTH = 8  # bytes; of 2^64 other keys one passes
_CHECK_TEXT = re.compile(rb'"KeyCheck"\s*:\s*"([^"]*)"', re.IGNORECASE)
_FINGERPRINT = re.compile("[0-9a-f]{8}")
_KEY_TEXT = re.compile(rb'"ClusterKey"\s*:\s*"([A-Za-z0-9+/]{43}=)"', re.IGNORECASE)
_IDENTITY_TEXT = re.compile(
    rb'"IdentityKey"\s*:\s*"([A-Za-z0-9+/]{43}=)",\s*"IdentityCheck"\s*:\s*"([0-9a-f]*)"',
    re.IGNORECASE,
)


class StateFileError(WesherError):
    """The state could not be saved; the earlier one is intact and the next attempt may succeed."""


@frozen(hidden=("cluster_key", "other_keys", "identity"), uncompared=("by_original",))
class State:
    """Everything saved; no key means that nothing was saved yet.

    `mesh` is by the clock that counts from 1970, in whole seconds once it has been in a file.
    `other_keys` open what some members still, or already, seal with them. `identity` is the secret
    of this host's own key (mesh/base/identity.py), None until one is made. `by_original` tells that
    the Go program wrote the file last: it is then its interface, too.
    """

    cluster_key: bytes | None = None
    mesh: Saved = Saved()
    by_original: bool = False
    other_keys: tuple[bytes, ...] = ()
    identity: bytes | None = None

    @property
    def keys(self) -> tuple[bytes, ...]:
        """All cluster keys, the primary one first."""
        return (self.cluster_key, *self.other_keys) if self.cluster_key else ()


class StateFile:
    """The state of one interface; all methods block on the disk.

    Only the holder of the interface's lock may use it. v0.2.6 had one file for all interfaces: it
    is read while there is none of our own, and never written.
    """

    def __init__(self, state_dir: Path, interface: str) -> None:
        self.path = state_dir / f"{interface}.json"
        self._legacy = state_dir / "state.json"
        self._saved: State | None = None
        self._saving = threading.Lock()

    def load(self, *, key_needed: bool = True) -> State:
        """Return what was saved, or an empty State when nothing ever was.

        A damaged file is set aside as `.corrupt`, and its key recovered when it can be found. When
        it cannot, now or at any later start, and `key_needed` (nobody gave a key), raises
        StartError: a new key would silently split this host from its cluster.
        """
        content = _read(self.path)
        if content is not None:
            try:
                return decode(content)
            except ValueError:
                return self._recover(content, self._set_aside("corrupt"), key_needed)
        if damaged := self._latest_corrupt():
            return self._recover(_read(damaged) or b"", damaged, key_needed)
        content = _read(self._legacy)
        if content is None:
            return State()
        try:
            return decode(content)
        except ValueError:
            return self._recover(content, self._legacy, key_needed)

    def save(self, state: State) -> bool:
        """Write `state` to the disk unless it is there already; returns whether it wrote.

        Raises StateFileError, with the earlier state intact, when the disk does not take it.
        """
        with self._saving:
            if state == self._saved and self.path.exists():
                return False
            try:
                files.make_directory(self.path.parent, 0o700)
                temporary = self.path.with_name(self.path.name + ".tmp")
                files.replace(self.path, encode(state), temporary, 0o600)
            except OSError as error:
                raise StateFileError(f"cannot save {self.path}: {files.reason(error)}") from error
            self._saved = state
            return True

    def set_aside(self) -> Path | None:
        """Rename an earlier state file to `.old` and return its new name; None without one."""
        return self._set_aside("old") if self.path.exists() else None

    def put_back(self, aside: Path) -> None:
        """Undo `set_aside`; StartError names where the file is when that cannot be done."""
        try:
            aside.replace(self.path)
        except OSError as error:
            raise StartError(f"cannot rename {aside} back: {error.strerror}") from error

    def _recover(self, content: bytes, where: Path, key_needed: bool) -> State:
        """Return a State with the key found in the damaged `content`, which is kept at `where`."""
        identity = _find_identity(content)
        if key := _find_key(content):
            logger.warning(
                "the state file was damaged and is kept as {path}; the cluster key was recovered,"
                " the members are forgotten",
                path=where,
            )
            return State(cluster_key=key, identity=identity)
        if key_needed:
            raise StartError(
                f"the state file is damaged and its cluster key is lost (kept as {where});"
                " give the key with --cluster-key, or start a new cluster with --init"
            )
        logger.warning("the state file was damaged and is kept as {path}", path=where)
        return State(identity=identity)

    def _set_aside(self, kind: str) -> Path:
        """Rename the state file, overwriting no earlier one of this kind but the tenth."""
        names = self._aside_names(kind)
        target = next((path for path in names if not path.exists()), names[-1])
        try:
            return self.path.replace(target)
        except OSError as error:
            raise StartError(f"cannot rename {self.path}: {error.strerror}") from error

    def _latest_corrupt(self) -> Path | None:
        found = [path for path in self._aside_names("corrupt") if path.exists()]
        return max(found, key=lambda path: path.stat().st_mtime_ns, default=None)

    def _aside_names(self, kind: str) -> list[Path]:
        suffixes = ["", *(f".{number}" for number in range(1, _MAX_ASIDE))]
        return [self.path.with_name(f"{self.path.name}.{kind}{suffix}") for suffix in suffixes]


def encode(state: State) -> bytes:
    """Return the file that Go wesher and we read; raises ValueError for a state without key."""
    if state.cluster_key is None:
        raise ValueError("a state without cluster key must not be saved")
    document = {
        "ClusterKey": base64.b64encode(state.cluster_key).decode(),
        "Nodes": [_encode_member(member) for member in state.mesh.members],
        _OURS: {
            "KeyCheck": _fingerprint(state.cluster_key),
            "OverlayAddr": str(state.mesh.overlay_addr or ""),
            "Incarnation": state.mesh.incarnation,
            "Tombstones": [_encode_tombstone(one) for one in state.mesh.tombstones],
            **_encode_other_keys(state),
            **_encode_identity(state),
            **_encode_rotation(state.mesh.keys),
            **_encode_marks(state.mesh),
            **encode_pins(state.mesh.pins),
        },
    }
    return json.dumps(document, indent=2).encode()


def decode(content: bytes) -> State:
    """Return the state in any form that was ever written; unusable members are left out.

    Raises ValueError when it is not JSON, or holds no proper key or another than was saved: then
    the file is damaged. Files of the Go program have no fingerprint of the key to tell.
    """
    try:
        document = json.loads(content)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    fields = _fold(document)
    ours = _fold(fields.get(_OURS.lower()))
    members = [_decode_member(node) for node in _as_list(fields.get("nodes"))]
    tombstones = [_decode_tombstone(one) for one in _as_list(ours.get("tombstones"))]
    mesh = Saved(
        members=tuple(member for member in members if member is not None),
        overlay_addr=_decode_address(ours.get("overlayaddr")),
        incarnation=_decode_integer(ours.get("incarnation"), 0, _MAX_INCARNATION) or 0,
        tombstones=tuple(one for one in tombstones if one is not None),
        fixed=ours.get("fixed") is True,
        former=_decode_former(ours),
        this_host=_decode_self(ours),
        keys=_decode_rotation(ours),
        pins=tuple(pin for one in _as_list(ours.get("pins")) if (pin := decode_pin(_fold(one)))),
    )
    return State(
        cluster_key=_decode_key(fields.get("clusterkey"), ours.get("keycheck")),
        mesh=mesh,
        by_original=_OURS.lower() not in fields,
        other_keys=_decode_other_keys(ours.get("otherkeys")),
        identity=_decode_identity(ours.get("identitykey"), ours.get("identitycheck")),
    )


def _encode_member(one: SavedMember) -> dict[str, object]:
    meta = None if one.meta is None else base64.b64encode(one.meta).decode()
    address = str(_decode_address(one.address.ip) or "")
    # Go fills the last two no more, but wants them to be text.
    fields = {"Name": one.name, "Addr": address, "Meta": meta, "OverlayAddr": "", "PubKey": ""}
    ours = {
        "Port": one.address.port or None,
        "Left": one.left or None,
        "Incarnation": one.incarnation or None,
        "FailedAt": None if one.failed_at is None else round(one.failed_at),
    }
    return fields | {name: value for name, value in ours.items() if value is not None}


def _decode_member(value: object) -> SavedMember | None:
    fields = _fold(value)
    name, address = fields.get("name"), _decode_address(fields.get("addr"))
    if not isinstance(name, str) or not name or address is None:
        return None
    return SavedMember(
        name,
        Address(str(address), _decode_integer(fields.get("port"), 1, 65535) or 0),
        _decode_meta(fields.get("meta")),
        fields.get("left") is True,
        _decode_integer(fields.get("incarnation"), 0, _MAX_INCARNATION) or 0,
        _decode_integer(fields.get("failedat"), 0, _MAX_TIME),
    )


def _encode_marks(mesh: Saved) -> dict[str, object]:
    """Return what not every host has to say."""
    marks: dict[str, object] = {"Fixed": True} if mesh.fixed else {}
    if one := mesh.this_host:
        marks |= {"Name": one.name, "Addr": one.ip, "PubKey": one.public_key}
    if mesh.former:
        address, left_at = str(mesh.former.overlay_addr), round(mesh.former.left_at)
        marks |= {"FormerAddr": address, "FormerLeftAt": left_at}
    return marks


def _decode_former(ours: Mapping[str, Any]) -> Former | None:
    address = _decode_address(ours.get("formeraddr"))
    left_at = _decode_integer(ours.get("formerleftat"), 0, _MAX_TIME)
    return None if address is None or left_at is None else Former(address, left_at)


def _encode_tombstone(tombstone: Tombstone) -> dict[str, object]:
    return {
        "Name": tombstone.name,
        "Incarnation": tombstone.incarnation,
        "MadeAt": round(tombstone.made_at),
    }


def _decode_tombstone(value: object) -> Tombstone | None:
    fields = _fold(value)
    name = fields.get("name")
    incarnation = _decode_integer(fields.get("incarnation"), 0, _MAX_INCARNATION)
    made_at = _decode_integer(fields.get("madeat"), 0, _MAX_TIME)
    if not isinstance(name, str) or not name or incarnation is None or made_at is None:
        return None
    return Tombstone(name, incarnation, made_at)


def _decode_self(ours: Mapping[str, Any]) -> Self | None:
    found = [ours.get(field) for field in ("name", "addr", "pubkey")]
    texts = [one for one in found if isinstance(one, str) and one]
    return Self(*texts) if len(texts) == len(found) else None


def _as_list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _decode_address(value: object) -> IPAddress | None:
    try:
        address = ip_address(value) if isinstance(value, str) else None
    except ValueError:
        return None
    if not isinstance(address, IPv6Address):
        return address
    return None if address.scope_id else address.ipv4_mapped or address


def _decode_meta(value: object) -> bytes | None:
    try:
        meta = _decode_base64(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return meta if meta is not None and len(meta) <= _MAX_META else None


def _decode_key(value: object, check: object) -> bytes:
    key = _decode_base64(value) if isinstance(value, str) else b""
    if len(key) != _KEY_LENGTH:
        raise ValueError("no cluster key of 32 bytes")
    if isinstance(check, str) and check.lower() != _fingerprint(key):
        raise ValueError("the cluster key is not the one that was saved")
    return key


def _encode_other_keys(state: State) -> dict[str, object]:
    if not state.other_keys:
        return {}
    keys = [
        {"Key": base64.b64encode(key).decode(), "Check": _fingerprint(key)}
        for key in state.other_keys
    ]
    return {"OtherKeys": keys}


def _decode_other_keys(value: object) -> tuple[bytes, ...]:
    entries = [_fold(one) for one in _as_list(value)]
    return tuple(_decode_key(one.get("key"), one.get("check")) for one in entries)


def _encode_rotation(keys: SavedKeys) -> dict[str, object]:
    """Return how far a change of the cluster key has come, if there ever was one."""
    if keys.rotation is None:
        return {}
    one = keys.rotation
    rotation = {
        "Number": one.number,
        "Key": base64.b64encode(one.key).decode(),
        "Check": _fingerprint(one.key),
        "Step": int(one.step),
        "RetireAt": round(one.retire_at),
        "ByHand": one.by_hand,
        "WithoutUnable": one.without_unable,
        "WithoutFailed": one.without_failed,
        "Over": keys.over,
        "Retired": list(one.retired),
    }
    return {"Rotation": rotation, "RetiredKeys": list(keys.retired)}


def _decode_rotation(ours: Mapping[str, Any]) -> SavedKeys:
    """Return it; what is not right about it is left out, as other members know it, too."""
    fields = _fold(ours.get("rotation"))
    number = _decode_integer(fields.get("number"), 1, MAX_NUMBER)
    step = _decode_integer(fields.get("step"), Step.INSTALL, Step.RETIRE)
    retire_at = _decode_integer(fields.get("retireat"), 0, _MAX_TIME)
    try:
        key = _decode_key(fields.get("key"), fields.get("check"))
    except ValueError:
        return SavedKeys()
    if number is None or step is None or retire_at is None:
        return SavedKeys()
    by_hand, unable, failed = (
        fields.get(one) is True for one in ("byhand", "withoutunable", "withoutfailed")
    )
    retired = _decode_fingerprints(fields.get("retired"))
    rotation = Rotation(number, key, Step(step), retire_at, by_hand, unable, failed)
    history = _decode_fingerprints(ours.get("retiredkeys"))
    return SavedKeys(rotation.retiring(retired), fields.get("over") is True, history)


def _decode_fingerprints(value: object) -> tuple[str, ...]:
    told = _as_list(value)
    return tuple(one for one in told if isinstance(one, str) and _FINGERPRINT.fullmatch(one))


def _encode_identity(state: State) -> dict[str, object]:
    if state.identity is None:
        return {}
    text = base64.b64encode(state.identity).decode()
    return {"IdentityKey": text, "IdentityCheck": _fingerprint(state.identity)}


def _decode_identity(value: object, check: object) -> bytes | None:
    """Return the secret of our identity; ValueError for a damaged one: it would be another's."""
    return None if value is None and check is None else _decode_key(value, check)


def _fingerprint(key: bytes) -> str:
    """Return what tells a damaged key: a key that differs in one bit is proper, too."""
    return hashlib.sha256(b"wesher cluster key" + key).hexdigest()[: 2 * _CHECK_LENGTH]


def _find_key(content: bytes) -> bytes | None:
    match, check = _KEY_TEXT.search(content), _CHECK_TEXT.search(content)
    if match is None:
        return None
    try:
        key = match[1].decode()
        return _decode_key(key, check[1].decode("ascii", "replace") if check else None)
    except ValueError:
        return None


def _find_identity(content: bytes) -> bytes | None:
    match = _IDENTITY_TEXT.search(content)
    try:
        return _decode_identity(match[1].decode(), match[2].decode()) if match else None
    except ValueError:
        return None


def _decode_base64(text: str) -> bytes:
    """Decode as Go does: line ends are skipped, anything else out of place is an error."""
    return base64.b64decode(text.replace("\n", "").replace("\r", ""), validate=True)


def _fold(value: object) -> Mapping[str, Any]:
    """Return a JSON object with lower-case names, as Go compares them; {} for other values."""
    return {name.lower(): one for name, one in value.items()} if isinstance(value, dict) else {}


def _decode_integer(value: object, lowest: int, highest: int) -> int | None:
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if lowest <= value <= highest else None


def _read(path: Path) -> bytes | None:
    """Return the content of a state file, None when there is none."""
    try:
        return files.read(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StartError(f"cannot read {path}: {files.reason(error)}") from error
