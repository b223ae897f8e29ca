"""Value classes: fields that are set once, compared and shown by what they hold.

They are what dataclasses with `frozen` and `slots` are, but for their price. The standard library
compiles six methods for each class and builds it twice: 0.5 ms, and an agent defines over a
hundred before its first packet, which was a third of a start. Here what makes a value is compiled
once for each number of fields; a class gets a copy with the names of its own fields put in. What
compares and hashes takes all fields at once, the rest is shared: 0.02 ms (decision 19).
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from functools import cache
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
    *, hidden: Collection[str] = (), uncompared: Collection[str] = (), once: Collection[str] = ()
) -> Callable[[type[T]], type[T]]: ...
@dataclass_transform(frozen_default=True)
def frozen(
    cls: type[T] | None = None,
    /,
    *,
    hidden: Collection[str] = (),
    uncompared: Collection[str] = (),
    once: Collection[str] = (),
) -> type[T] | Callable[[type[T]], type[T]]:
    """Make a value class of the annotated fields of `cls`, whose values are their defaults.

    A default is shared by all values: it must not be changed. Fields are not inherited. `hidden`
    ones are not shown, as secrets must not be; two values may differ in `uncompared` ones and be
    equal. The properties that are named in `once` are computed as a value is made, and kept: they
    are asked for often.
    """
    if cls is None:
        return lambda cls: _made(cls, hidden, uncompared, once)
    return _made(cls, hidden, uncompared, once)


def replace(value: T, **changes: Any) -> T:
    """Return a value like this one, but for what changes; TypeError for what is no field.

    Takes dataclasses as well.
    """
    return type(value)(**(fields(value) | changes))


def fields(value: object) -> dict[str, Any]:
    """Return the fields of a value, or of a dataclass, by name."""
    return dict(_items(value))


def _made(
    cls: type[T], hidden: Collection[str], uncompared: Collection[str], once: Collection[str]
) -> type[T]:
    names = tuple(cls.__annotations__)
    body = dict(cls.__dict__)
    for of_the_first in ("__dict__", "__weakref__"):
        body.pop(of_the_first, None)
    defaults = tuple(body.pop(name) for name in names if name in body)
    computed = {name: body.pop(name).fget for name in once}
    compared = [name for name in names if name not in uncompared] if uncompared else names
    content: Callable[[object], object]
    content = attrgetter(*compared) if compared else lambda _: ()
    setters: dict[str, Any] = {}
    value_class: Any = type(
        cls.__name__,
        cls.__bases__,
        {
            **_SHARED,
            "__init__": _making(names, len(computed), defaults, setters, cls.__qualname__),
            "__eq__": _comparing(content),
            "__hash__": lambda self: hash(content(self)),
            "__hidden__": hidden,
            **body,
            "__slots__": (*names, *computed),
            "__match_args__": names,
            "__qualname__": cls.__qualname__,
        },
    )
    # A slot's own descriptor sets it although `__setattr__` refuses.
    for at, name in enumerate(names):
        setters[f"set{at}"] = value_class.__dict__[name].__set__
    for at, (name, compute) in enumerate(computed.items()):
        setters[f"keep{at}"], setters[f"compute{at}"] = value_class.__dict__[name].__set__, compute
    made: type[T] = value_class
    return made


def _making(
    names: tuple[str, ...],
    computed: int,
    defaults: tuple[Any, ...],
    setters: dict[str, Any],
    whose: str,
) -> FunctionType:
    """Return `__init__`, which sets the fields with what will be in `setters`."""
    code = _template(len(names), computed)
    code = code.replace(co_varnames=("self", *names), co_qualname=f"{whose}.__init__")
    return FunctionType(code, setters, "__init__", defaults)


@cache
def _template(count: int, computed: int) -> CodeType:
    """Compile the `__init__` of a class with fields that are called field0, field1, ..."""
    names = [f"field{at}" for at in range(count)]
    setting = [f"set{at}(self, {name})" for at, name in enumerate(names)]
    setting += [f"keep{at}(self, compute{at}(self))" for at in range(computed)]
    made: dict[str, FunctionType] = {}
    exec(f"def __init__({', '.join(['self', *names])}): {'; '.join(setting) or 'pass'}", {}, made)
    return made["__init__"].__code__


def _comparing(content: Callable[[object], object]) -> Callable[[object, object], bool]:
    def __eq__(self: object, other: object) -> bool:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return content(self) == content(other)

    return __eq__


def _items(value: Any) -> Iterator[tuple[str, Any]]:
    return ((name, getattr(value, name)) for name in value.__match_args__)


def _repr(self: Any) -> str:
    shown = (f"{name}={value!r}" for name, value in _items(self) if name not in self.__hidden__)
    return f"{type(self).__qualname__}({', '.join(shown)})"


def _reduce(self: Any) -> tuple[Any, ...]:
    return type(self), tuple(value for _, value in _items(self))


def _refuse(self: Any, name: str, _value: object = None) -> NoReturn:
    raise AttributeError(f"{type(self).__name__} is frozen: {name} cannot be set")


_SHARED = {
    "__repr__": _repr,
    "__reduce__": _reduce,
    "__setattr__": _refuse,
    "__delattr__": _refuse,
}
