"""The mutants of a source file: each is the file with one small mistake in it."""

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

_OTHER_COMPARISON: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_OTHER_OPERATOR: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
}
_OTHER_NAME = {"min": "max", "max": "min", "any": "all", "all": "any"}
_TYPES_ONLY = {"annotation", "returns", "decorator_list"}

Edit = tuple[str, Callable[[], None]]
"""What a mistake is called, and how to make it in the tree it was found in."""


@dataclass(frozen=True)
class Mutant:
    """One mistake: the `number`th that can be made in the file."""

    path: Path
    number: int
    line: int
    function: str
    mistake: str
    source: str

    def __str__(self) -> str:
        place = f"{self.path.name}:{self.line}: {self.function}"
        return f"{place}: {self.mistake}: {self.source}"


def mutants_of(path: Path) -> list[Mutant]:
    """Return every mutant of a file, always in the same order."""
    tree = ast.parse(path.read_text())
    lines = path.read_text().splitlines()
    return [
        Mutant(
            path,
            number,
            node.lineno,
            _function_at(node.lineno, tree),
            mistake,
            lines[node.lineno - 1].strip(),
        )
        for number, (node, (mistake, _)) in enumerate(_places(tree))
    ]


def mutated(mutant: Mutant) -> ast.Module:
    """Return the tree of the file with the mistake in it."""
    tree = ast.parse(mutant.path.read_text())
    _, (_, make) = list(_places(tree))[mutant.number]
    make()
    return ast.fix_missing_locations(tree)


def _function_at(line: int, tree: ast.AST) -> str:
    """Return the name of the innermost function around a line."""
    around = "module"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.lineno <= line <= (node.end_lineno or 0):
            around = node.name
    return around


def _places(tree: ast.AST) -> Iterator[tuple[ast.stmt | ast.expr, Edit]]:
    for parent, field, index, node in _nodes(tree):
        if isinstance(node, ast.stmt | ast.expr):
            put = partial(_put, parent, field, index)
            for edit in (*_in_expression(node, put), *_in_statement(node, put)):
                yield node, edit


def _put(parent: ast.AST, field: str, index: int | None, new: ast.AST) -> None:
    if index is None:
        setattr(parent, field, new)
    else:
        getattr(parent, field)[index] = new


def _nodes(parent: ast.AST) -> Iterator[tuple[ast.AST, str, int | None, ast.AST]]:
    """Walk in the order of the source, leaving out what only says types."""
    for field, value in ast.iter_fields(parent):
        if field in _TYPES_ONLY:
            continue
        children = enumerate(value) if isinstance(value, list) else [(None, value)]
        for index, child in children:
            if isinstance(child, ast.AST):
                yield parent, field, index, child
                yield from _nodes(child)


def _in_expression(node: ast.AST, put: Callable[[ast.AST], None]) -> Iterator[Edit]:
    match node:
        case ast.Compare(ops=ops):
            for place, op in enumerate(ops):
                other = _OTHER_COMPARISON[type(op)]
                yield (
                    f"{_name(op)} became {_name(other())}",
                    partial(ops.__setitem__, place, other()),
                )
        case ast.BoolOp(op=op):
            opposite = ast.Or() if isinstance(op, ast.And) else ast.And()
            yield f"{_name(op)} became {_name(opposite)}", partial(setattr, node, "op", opposite)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield "not was dropped", lambda: put(operand)
        case ast.BinOp(op=op) if type(op) in _OTHER_OPERATOR:
            yield _with_other_operator(node, op)
        case ast.Constant(value=bool(value)):
            yield f"{value} became {not value}", lambda: put(ast.Constant(not value))
        case ast.Constant(value=int(value) | float(value)):
            yield f"{value} became {value + 1}", lambda: put(ast.Constant(value + 1))
        case ast.Call(func=ast.Name(id=name) as function) if name in _OTHER_NAME:
            yield (
                f"{name} became {_OTHER_NAME[name]}",
                lambda: setattr(function, "id", _OTHER_NAME[name]),
            )
        case ast.IfExp(test=test):
            yield "condition was negated", lambda: setattr(node, "test", _negated(test))


def _in_statement(node: ast.AST, put: Callable[[ast.AST], None]) -> Iterator[Edit]:
    match node:
        case ast.If(test=test) | ast.While(test=test):
            yield "condition was negated", lambda: setattr(node, "test", _negated(test))
        case ast.Return(value=ast.expr() as value) if not isinstance(value, ast.Constant):
            yield "nothing was returned", lambda: put(ast.Return(ast.Constant(None)))
        case ast.AugAssign(op=op) if type(op) in _OTHER_OPERATOR:
            yield _with_other_operator(node, op)
            yield "statement was dropped", lambda: put(ast.Pass())
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
            yield "statement was dropped", lambda: put(ast.Pass())
        case ast.Expr(value=ast.Call()) | ast.Delete() | ast.Continue() | ast.Break():
            yield "statement was dropped", lambda: put(ast.Pass())
        case ast.Return(value=None) | ast.Raise():
            yield "statement was dropped", lambda: put(ast.Pass())


def _with_other_operator(node: ast.AST, op: ast.operator) -> Edit:
    other = _OTHER_OPERATOR[type(op)]
    return f"{_name(op)} became {_name(other())}", lambda: setattr(node, "op", other())


def _negated(test: ast.expr) -> ast.expr:
    return ast.UnaryOp(ast.Not(), test)


def _name(op: ast.AST) -> str:
    return type(op).__name__
