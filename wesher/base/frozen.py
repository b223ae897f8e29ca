"""Value classes: fields that are set once, compared and shown by what they hold.

They are what dataclasses with `frozen` and `slots` are, but for their price. The standard library
compiles six methods for each class and builds it twice: 0.46 ms, and an agent defines over a
hundred before its first packet, which was a third of a start. Here one class costs 0.1 ms: what
must be quick (making, comparing, hashing) is compiled at once, the rest is shared (decision 19).
"""

from collections.abc import Iterator
from inspect import get_annotations
from typing import Any, NoReturn, TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True)
def frozen(cls: type[T]) -> type[T]:
    """Make a value class of the annotated fields of `cls`, whose values are their defaults.

    A default is shared by all values: it must not be changed. Fields are not inherited. What needs
    more, such as a secret that is not shown, is a dataclass.
    """
    names = tuple(get_annotations(cls))
    body = {name: value for name, value in cls.__dict__.items() if name not in _OF_THE_FIRST}
    defaults = {name: body.pop(name) for name in names if name in body}
    made: Any = type(
        cls.__name__,
        cls.__bases__,
        {
            **_SHARED,
            **body,
            "__slots__": names,
            "__match_args__": names,
            "__qualname__": cls.__qualname__,
        },
    )
    for name, method in _compiled(made, names, defaults).items():
        if name not in body:
            setattr(made, name, method)
    value_class: type[T] = made
    return value_class


def replace(value: T, **changes: Any) -> T:
    """Return a value like this one, but for what changes; TypeError for what is no field.

    Takes dataclasses as well.
    """
    return type(value)(**(fields(value) | changes))


def fields(value: object) -> dict[str, Any]:
    """Return the fields of a value, or of a dataclass, by name."""
    return dict(_items(value))


def _compiled(cls: type, names: tuple[str, ...], defaults: dict[str, Any]) -> dict[str, Any]:
    """Write the methods that must be quick, as the fields want them."""
    namespace: dict[str, Any] = {f"_default_{name}": value for name, value in defaults.items()}
    # A slot's own descriptor sets it although `__setattr__` refuses.
    namespace |= {f"_set_{name}": cls.__dict__[name].__set__ for name in names}
    arguments = (f"{name}=_default_{name}" if name in defaults else name for name in names)
    setting = "; ".join(f"_set_{name}(self, {name})" for name in names)
    mine, theirs = ("".join(f"{one}.{name}, " for name in names) for one in ("self", "other"))
    methods: dict[str, Any] = {}
    exec(  # as the standard library does: nothing but the names of fields
        f"def __init__(self, {', '.join(arguments)}): {setting or 'pass'}\n"
        "def __eq__(self, other):\n"
        "    if other.__class__ is not self.__class__: return NotImplemented\n"
        f"    return ({mine}) == ({theirs})\n"
        f"def __hash__(self): return hash(({mine}))\n",
        namespace,
        methods,
    )
    return methods


def _items(value: Any) -> Iterator[tuple[str, Any]]:
    return ((name, getattr(value, name)) for name in value.__match_args__)


def _repr(self: Any) -> str:
    fields = ", ".join(f"{name}={value!r}" for name, value in _items(self))
    return f"{type(self).__qualname__}({fields})"


def _reduce(self: Any) -> tuple[Any, ...]:
    return type(self), tuple(value for _, value in _items(self))


def _refuse(self: Any, name: str, _value: object = None) -> NoReturn:
    raise AttributeError(f"{type(self).__name__} is frozen: {name} cannot be set")


_OF_THE_FIRST = {"__dict__", "__weakref__"}
_SHARED = {
    "__repr__": _repr,
    "__reduce__": _reduce,
    "__setattr__": _refuse,
    "__delattr__": _refuse,
}
