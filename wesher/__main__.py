"""Where every run begins: `python -m wesher`, the installed script, and wesher.py."""

import os
import signal
import sys
from importlib import import_module


def start() -> int:
    """Run the command line; returns the exit code."""
    # Until somebody catches it, Ctrl-C ends us without a word: no traceback of half an import.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    _open_missing_streams()
    code: int = import_module("wesher.cli").main()
    return code


def _open_missing_streams() -> None:
    """Give us the standard streams that our parent had closed: no socket may get their numbers."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode))


if __name__ == "__main__":
    sys.exit(start())
