"""Where every run begins: `python -m wesher`, the installed script, and wesher.py."""

import signal
import sys
from importlib import import_module


def start() -> int:
    """Run the command line; returns the exit code."""
    # Until somebody catches it, Ctrl-C ends us without a word: no traceback of half an import.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    code: int = import_module("wesher.cli").main()
    return code


if __name__ == "__main__":
    sys.exit(start())
