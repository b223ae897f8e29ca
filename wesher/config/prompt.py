"""Ask somebody at a terminal for a secret, which is not shown; imported only for that."""

import signal
from getpass import getpass


def ask(question: str) -> str:
    """Return what was typed; raises EOFError at Ctrl-D, KeyboardInterrupt at Ctrl-C.

    The terminal shows again what is typed, whatever ends this: an agent that is told to stop while
    it starts just exits, and would leave it without.
    """
    numbers = (signal.SIGINT, signal.SIGTERM)
    usual = [signal.signal(one, signal.default_int_handler) for one in numbers]
    try:
        return getpass(question)
    finally:
        for number, handler in zip(numbers, usual, strict=True):
            signal.signal(number, handler)
