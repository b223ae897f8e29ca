#!/usr/bin/env python3
"""Run wesher from a checkout."""

import sys

from wesher.__main__ import start

if __name__ == "__main__":
    sys.exit(start())
