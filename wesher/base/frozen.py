"""Value classes: fields that are set once, compared and shown by what they hold.

They are what dataclasses with `frozen` and `slots` are, but for their price. The standard library
compiles six methods for each class and builds it twice: 0.5 ms, and an agent defines over a
hundred before its first packet, which was a third of a start. Here what makes a value is compiled
once for each number of fields; a class gets a copy with the names of its own fields put in. What
compares and hashes takes all fields at once, the rest is shared: 0.03 ms (decision 19).
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from functools import cache
from inspect import get_annotations
from operator import attrgetter
from types import CodeType, FunctionType, MappingProxyType
from typing import Any, NoReturn, TypeVar, dataclass_transform, overload

T = TypeVar("T")

EMPTY: Mapping[Any, Any] = MappingProxyType({})
"""A default for mappings, which all values may share."""


@overload
def frozen(cls: type[T], /) -> type[T]: ...
@overload
def frozen(
    *, hidden: Collection[str] = (), uncompared: Collection[str] = ()
) -> Callable[[type[T]], type[T]]: ...
@dataclass_transform(frozen_default=True)
def frozen(
    cls: type[T] | None = None,
    /,
    *,
    hidden: Collection[str] = (),
    uncompared: Collection[str] = (),
) -> type[T] | Callable[[type[T]], type[T]]:
    """Make a value class of the annotated fields of `cls`, whose values are their defaults.

    A default is shared by all values: it must not be changed. Fields are not inherited. `hidden`
    ones are not shown, as secrets must not be; two values may differ in `uncompared` ones and be
    equal.
    """
    if cls is None:
        return lambda cls: _made(cls, hidden, uncompared)
    return _made(cls, hidden, uncompared)


def replace(value: T, **changes: Any) -> T:
    """Return a value like this one, but for what changes; TypeError for what is no field.

    Takes dataclasses as well.
    """
    return type(value)(**(fields(value) | changes))


def fields(value: object) -> dict[str, Any]:
    """Return the fields of a value, or of a dataclass, by name."""
    return dict(_items(value))


def _made(cls: type[T], hidden: Collection[str], uncompared: Collection[str]) -> type[T]:
    names = tuple(get_annotations(cls))
    body = {name: value for name, value in cls.__dict__.items() if name not in _OF_THE_FIRST}
    defaults = tuple(body.pop(name) for name in names if name in body)
    marks = {"__slots__": names, "__match_args__": names, "__qualname__": cls.__qualname__}
    if hidden:
        marks["__hidden__"] = tuple(hidden)
    value_class: type[T] = type(cls.__name__, cls.__bases__, {**_SHARED, **body, **marks})
    compared = [name for name in names if name not in uncompared]
    methods = {
        "__init__": _making(value_class, names, defaults),
        **_comparing(attrgetter(*compared) if compared else lambda _: ()),
    }
    for name, method in methods.items():
        if name not in body:
            setattr(value_class, name, method)
    return value_class


def _making(cls: type, names: tuple[str, ...], defaults: tuple[Any, ...]) -> FunctionType:
    """Return `__init__`; a slot's own descriptor sets it although `__setattr__` refuses."""
    code = _template(len(names)).replace(
        co_varnames=("self", *names), co_qualname=f"{cls.__qualname__}.__init__"
    )
    setters = {f"set{at}": cls.__dict__[name].__set__ for at, name in enumerate(names)}
    return FunctionType(code, setters, "__init__", defaults)


@cache
def _template(count: int) -> CodeType:
    """Compile the `__init__` of a class with fields that are called field0, field1, ..."""
    names = [f"field{at}" for at in range(count)]
    setting = "; ".join(f"set{at}(self, {name})" for at, name in enumerate(names)) or "pass"
    made: dict[str, FunctionType] = {}
    exec(f"def __init__({', '.join(['self', *names])}): {setting}", {}, made)
    return made["__init__"].__code__


def _comparing(content: Callable[[object], object]) -> dict[str, Callable[..., object]]:
    def __eq__(self: object, other: object) -> bool:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return content(self) == content(other)

    def __hash__(self: object) -> int:
        return hash(content(self))

    return {"__eq__": __eq__, "__hash__": __hash__}


def _items(value: Any) -> Iterator[tuple[str, Any]]:
    return ((name, getattr(value, name)) for name in value.__match_args__)


def _repr(self: Any) -> str:
    shown = (f"{name}={value!r}" for name, value in _items(self) if name not in self.__hidden__)
    return f"{type(self).__qualname__}({', '.join(shown)})"


def _reduce(self: Any) -> tuple[Any, ...]:
    return type(self), tuple(value for _, value in _items(self))


def _refuse(self: Any, name: str, _value: object = None) -> NoReturn:
    raise AttributeError(f"{type(self).__name__} is frozen: {name} cannot be set")


_OF_THE_FIRST = {"__dict__", "__weakref__"}
_SHARED = {
    "__hidden__": (),
    "__repr__": _repr,
    "__reduce__": _reduce,
    "__setattr__": _refuse,
    "__delattr__": _refuse,
}
