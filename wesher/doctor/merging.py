"""One finding, one line: what several checks say of one thing is told by who knows it best."""

from collections.abc import Iterable

from wesher.doctor.findings import Finding, Verdict

_GOSSIP_IS_SILENT = frozenset({"member-silent", "member-refused", "other-name"})
_WRONG_ADDRESS = frozenset({"talks-elsewhere", "address-here"})

_BETTER_KNOWN_AS = {
    "member-failed": frozenset({"only-tunnel"}),
    # These say that the member is reached by gossip.
    "no-handshake": _GOSSIP_IS_SILENT,
    "silent-tunnel": _GOSSIP_IS_SILENT,
    # No firewall is needed to make a wrong address silent.
    "udp-blocked": _WRONG_ADDRESS,
    "member-silent": _WRONG_ADDRESS,
}
"""What need not be said of a member of which one of the others is said."""

_SEEDS = frozenset({"seed-silent", "seed-refused", "seed-half", "seed-name"})


def merged(findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings without what others say as well, the worst first."""
    findings = list(dict.fromkeys(findings))
    said = {(one.trouble, one.about) for one in findings}
    named = {one.trouble for one in findings}
    now = [one.text for one in findings if one.check != "warnings" and one.verdict != Verdict.OK]
    deaf = any(one.trouble == "ourselves-unreached" and "UDP" in one.text for one in findings)
    kept = [
        one
        for one in findings
        if not (one.check == "warnings" and any(text in one.text for text in now))
        and not any((other, one.about) in said for other in _better_known(one))
        and not (one.trouble == "nobody" and named & _SEEDS)
        # Whoever is silent to the agent is so because of this host.
        and not (deaf and one.check == "warnings" and one.trouble == "udp-blocked")
        and not (one.about == "hosts file" and "hosts-file" in named)
    ]
    order = list(Verdict)
    return sorted(kept, key=lambda one: order.index(one.verdict))


def _better_known(finding: Finding) -> frozenset[str]:
    return _BETTER_KNOWN_AS.get(finding.trouble or "", frozenset())
