"""Placeholder."""

from scripts.benches.measuring import Options, Result


def measure(options: Options) -> Result:
    raise NotImplementedError
