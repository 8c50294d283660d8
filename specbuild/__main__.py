"""`python -m specbuild`."""

from __future__ import annotations

import sys

from specbuild.cli import main

sys.exit(main())
