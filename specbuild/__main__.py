"""`python -m specbuild`."""

from __future__ import annotations

import os
import sys

if sys.path[:1] == [os.getcwd()]:  # added by -m: a numpy.py in this folder would hide the real numpy
    del sys.path[0]

from specbuild.cli import main

sys.exit(main())
