"""Is there an agent, does it answer, and has it got everything done?"""

from collections.abc import Iterator

from wesher.base import problems
from wesher.base.errors import NotRootError
from wesher.base.problems import RENAMED
from wesher.doctor.context import Case
from wesher.doctor.findings import Finding, fault, ok, warning
from wesher.doctor.formatting import lasting
from wesher.system.control_client import STARTING, holder, is_stopped


async def check_agent(case: Case) -> list[Finding]:
    """See whether the agent runs and answers."""
    if case.no_agent_runs:
        return [fault("agent", problems.NO_AGENT, interface=case.interface)]
    if case.status is None or case.account is None:
        return [_silent(case)]
    node = case.status["node"]
    up = f"{node['name']} runs as pid {node['pid']} for {lasting(node['uptime'])}"
    return [*_pending(case), *_renamed(case), ok("agent", f"{up} and answers")]


def _silent(case: Case) -> Finding:
    if is_stopped(case.run_dir, case.interface):
        pid = holder(case.run_dir, case.interface)
        return fault("agent", problems.AGENT_STOPPED, interface=case.interface, pid=pid)
    if isinstance(case.silence, NotRootError):
        return fault("agent", problems.NOT_ROOT, interface=case.interface)
    if str(case.silence) == STARTING:
        return fault("agent", problems.AGENT_STARTING, interface=case.interface)
    return fault("agent", problems.AGENT_SILENT, reason=case.silence)


def _renamed(case: Case) -> Iterator[Finding]:
    """Yield that the host has another name by now."""
    assert case.account
    if name := case.account.get("renamed_to"):  # an older agent does not tell
        member = case.settings.node_name
        yield warning("agent", RENAMED, name=name, member=member)


def _pending(case: Case) -> Iterator[Finding]:
    """Yield what the agent could not bring up to date."""
    assert case.account
    for what, reason in case.account["pending"].items():
        yield fault("agent", problems.NOT_UP_TO_DATE, what=what, reason=reason)
    if case.status and not case.status["node"]["wireguard_answers"]:
        reason = "`wg show` gives it no answer"
        yield warning("agent", problems.NOT_UP_TO_DATE, what="status", reason=reason)
