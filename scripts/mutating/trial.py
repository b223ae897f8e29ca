"""One trial: the tests, run by a child process in which one file has a mistake in it."""

import ast
import importlib.abc
import importlib.util
import os
import resource
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

import pytest

from scripts.mutating.mutants import Mutant, mutated

MEMORY = 4 << 30  # bytes; a mistake may make something grow without end
PASSED = 0


class _OneModule(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds the mutated file where the import system would have found the true one."""

    def __init__(self, name: str, path: str, tree: ast.Module) -> None:
        self._name, self._path, self._tree = name, path, tree

    def find_spec(self, name: str, _path: object, _target: object = None) -> ModuleSpec | None:
        if name != self._name:
            return None
        return importlib.util.spec_from_loader(name, self, origin=self._path)

    def exec_module(self, module: ModuleType) -> None:
        module.__file__ = self._path
        exec(compile(self._tree, self._path, "exec"), module.__dict__)


def start(mutant: Mutant | None, tests: Sequence[str], cpu_seconds: float) -> int:
    """Start the tests in a child, without any mistake if `mutant` is None; returns its pid.

    It exits with 0 if all passed; at `cpu_seconds` it is killed, as a mistake may make a loop
    endless.
    """
    if pid := os.fork():
        return pid
    try:
        status = _run(mutant, tests, cpu_seconds)
    except BaseException:
        status = 99
    os._exit(status)


def _run(mutant: Mutant | None, tests: Sequence[str], cpu_seconds: float) -> int:
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(nothing, stream)
    resource.setrlimit(resource.RLIMIT_CPU, (int(cpu_seconds) + 1,) * 2)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    if mutant:
        name = ".".join(mutant.path.with_suffix("").parts[-3:])
        sys.meta_path.insert(0, _OneModule(name, str(mutant.path), mutated(mutant)))
    return pytest.main(["-x", "-q", "-p", "no:cacheprovider", *tests])
