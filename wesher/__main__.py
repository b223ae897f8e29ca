"""`python -m wesher`."""

import sys

from wesher.cli import main

sys.exit(main())
