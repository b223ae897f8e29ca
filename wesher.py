#!/usr/bin/env python3
"""Run wesher from a checkout."""

import sys

from wesher.cli import main

if __name__ == "__main__":
    sys.exit(main())
