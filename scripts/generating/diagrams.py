"""The tables and diagrams of docs/architecture.md that are made from the program itself."""

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import TypeVar

import tomli

from scripts.generating.texts import with_section
from wesher.agent import phases as agent_phases
from wesher.gossip.members import MemberState
from wesher.gossip.precedence import ABOUT_OTHERS, ABOUT_OURSELVES, BECOMES, Action, Age, Claim
from wesher.mesh.base import phases as node_phases

_ROOT = Path(__file__).parents[2]
_PACKAGE = _ROOT / "wesher"

P = TypeVar("P", bound=Enum)
M = TypeVar("M", bound=Enum)
Moves = dict[tuple[MemberState, MemberState], list[str]]


def with_diagrams(architecture: str) -> str:
    """Return docs/architecture.md with what is between its marks made anew."""
    page = with_section(architecture, "storeys", _storeys("wesher"))
    page = with_section(page, "wings", _storeys("wesher.mesh"))
    page = with_section(page, "phases", _phases(node_phases.MOVES, node_phases.Phase.NEW))
    page = with_section(page, "agent", _phases(agent_phases.MOVES, agent_phases.Phase.STARTING))
    return with_section(page, "precedence", f"{_table()}\n{_diagram()}")


def _phases(moves: Mapping[tuple[P, M], P], first: P) -> str:
    """Return the diagram of a life, which ends where no move leads on."""
    edges = [f"{held.value} --> {to.value}: {move.value}" for (held, move), to in moves.items()]
    ends = dict.fromkeys(to.value for to in moves.values())
    for held, _ in moves:
        ends.pop(held.value, None)
    lines = [f"[*] --> {first.value}", *edges, *(f"{end} --> [*]" for end in ends)]
    return "```mermaid\nstateDiagram-v2\n" + "".join(f"    {one}\n" for one in lines) + "```\n"


def _storeys(container: str) -> str:
    """Return what the contract of this package says, and each part of it of itself."""
    head = "| storey | what it is |\n|---|---|\n"
    rows = (_storey(container, layer.split(" | ")) for layer in _layers(container))
    return head + "".join(rows)


def _layers(container: str) -> list[str]:
    contracts = tomli.loads((_ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    return next(
        list(one["layers"])
        for one in contracts["contracts"]
        if one.get("containers") == [container]
    )


def _storey(container: str, units: list[str]) -> str:
    names = ", ".join(f"`{_path(container, unit).relative_to(_PACKAGE)}`" for unit in units)
    says = " ".join(_summary(_path(container, unit)) for unit in units)
    return f"| {names} | {says} |\n"


def _path(container: str, unit: str) -> Path:
    path = _ROOT.joinpath(*container.split("."), unit)
    return path if path.is_dir() else path.with_suffix(".py")


def _summary(path: Path) -> str:
    file = path / "__init__.py" if path.is_dir() else path
    return (ast.get_docstring(ast.parse(file.read_text())) or "").partition("\n\n")[0]


def _table() -> str:
    claims = " | ".join(claim.value for claim in Claim)
    head = f"| held | {claims} |\n|{'---|' * (len(Claim) + 1)}\n"
    rows = [(state.name.lower(), ABOUT_OTHERS, state) for state in MemberState]
    rows.append(("ourselves, alive", ABOUT_OURSELVES, MemberState.ALIVE))
    rows.append(("ourselves, left", ABOUT_OURSELVES, MemberState.LEFT))
    return head + "".join(
        f"| {name} | {' | '.join(_cell(table[state, claim]) for claim in Claim)} |\n"
        for name, table, state in rows
    )


def _cell(actions: tuple[Action, ...]) -> str:
    """Tell from which age of a claim on what is done; `ignore` where nothing ever is."""
    ages: dict[Action, list[str]] = defaultdict(list)
    for age, action in zip(Age, actions, strict=True):
        ages[action].append(age.value)
    ages.pop(Action.IGNORE, None)
    said = (f"{' or '.join(when)}: {_words(action)}" for action, when in ages.items())
    return ", ".join(said) or "ignore"


def _words(action: Action) -> str:
    return action.name.lower().replace("_", " ")


def _diagram() -> str:
    moves: Moves = defaultdict(list)
    for (held, claim), actions in ABOUT_OTHERS.items():
        for to in {BECOMES[action] for action in actions if action in BECOMES} - {held}:
            moves[held, to].append(claim.value)
    return "```mermaid\nstateDiagram-v2\n" + "".join(_edges(moves)) + "```\n"


def _edges(moves: Moves) -> Iterator[str]:
    yield "    [*] --> Alive: alive\n"
    for (held, to), claims in sorted(moves.items()):
        over = ", or its time is over" if (held, to) == _GIVEN_UP else ""
        newer = "newer " if to is MemberState.ALIVE else ""
        yield f"    {_name(held)} --> {_name(to)}: {newer}{' or '.join(claims)}{over}\n"
    for end in (MemberState.DEAD, MemberState.LEFT):
        yield f"    {_name(end)} --> [*]: reaped\n"


_GIVEN_UP = (MemberState.SUSPECT, MemberState.DEAD)


def _name(state: MemberState) -> str:
    return state.name.capitalize()
