"""Stand-ins for what a report is not to tell: the same one for the same thing, wherever it is.

Secrets always go. Whatever reads as a key and is not known to be a public one counts as a secret,
so that one nobody thought of goes, too. Names of hosts and addresses go unless all is to be told;
what means the same on every host (loopback, the unspecified address, broadcast) stays.
"""

import re
from collections.abc import Iterable
from ipaddress import ip_address

SECRET = "[secret]"
_KEY = re.compile(r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{43}=(?![A-Za-z0-9+/=])")
_HEX = re.compile(r"(?<![0-9A-Fa-f])[0-9A-Fa-f]{64,}")
_TOKEN = re.compile(r"wesher1-[0-9A-Za-z-]{10,}")
_MAC = re.compile(r"(?<![0-9A-Fa-f:])(?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}(?![0-9A-Fa-f:])")
_IPV4 = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?!\w|\.\d)")
_IPV6 = re.compile(
    r"(?<![\w:.])[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?:(?:\d{1,3}\.){3}\d{1,3})?"
)
_SAME_MACS = frozenset({"00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff"})
_PART = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)+\.?")


class StandIns:
    """Replaces, in any text of one report, what it is not to tell."""

    def __init__(
        self,
        secrets: Iterable[str],
        public_keys: Iterable[str],
        names: Iterable[str],
        *,
        full: bool = False,
    ) -> None:
        self._secrets = sorted(filter(None, secrets), key=len, reverse=True)
        self._public = frozenset(public_keys)
        self._full = full
        self._given: dict[tuple[str, str], str] = {}
        known = sorted(_with_parts(names), key=len, reverse=True)
        for name in sorted(known):  # numbered in an order that tells nothing of who is who
            self._stand_in("host", name)
        letters = "|".join(map(re.escape, known))
        self._names = (
            re.compile(rf"(?<![\w-])(?:{letters})(?![\w-])", re.IGNORECASE) if known else None
        )

    def replaced(self, text: str) -> str:
        """Return the text with stand-ins."""
        for secret in self._secrets:
            text = text.replace(secret, SECRET)
        text = _TOKEN.sub(SECRET, _HEX.sub(SECRET, _KEY.sub(lambda key: self._key(key[0]), text)))
        if self._full:
            return text
        text = _MAC.sub(lambda mac: self._mac(mac[0]), text)
        if self._names:
            text = self._names.sub(lambda name: self._stand_in("host", name[0]), text)
        text = _IPV6.sub(lambda address: self._address(address[0]), text)
        return _IPV4.sub(lambda address: self._address(address[0]), text)

    def _key(self, key: str) -> str:
        if key not in self._public:
            return SECRET
        return key if self._full else self._stand_in("key", key)

    def _mac(self, mac: str) -> str:
        return mac if mac.lower() in _SAME_MACS else self._stand_in("mac", mac)

    def _address(self, text: str) -> str:
        try:
            address = ip_address(text)
        except ValueError:
            return text
        if address.is_unspecified or address.is_loopback or text == "255.255.255.255":
            return text
        return self._stand_in(f"ip{address.version}", str(address))

    def _stand_in(self, kind: str, of: str) -> str:
        count = sum(1 for known, _ in self._given if known == kind)
        return self._given.setdefault((kind, of.lower()), f"{kind}-{count + 1}")


def _with_parts(names: Iterable[str]) -> set[str]:
    """Return names, and of those with a domain the first part and the domain by themselves."""
    found = set()
    for name in names:
        if not name or _is_address(name):
            continue
        found.add(name)
        if _PART.fullmatch(name):
            first, _, domain = name.rstrip(".").partition(".")
            found |= {first, domain}
    return found


def _is_address(text: str) -> bool:
    try:
        ip_address(text.strip("[]"))
    except ValueError:
        return False
    return True
