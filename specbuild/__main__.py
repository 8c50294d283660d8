"""`python -m specbuild`."""

from __future__ import annotations

import os
import sys

if sys.path[:1] == [os.getcwd()]:  # put there by -m: a numpy.py in it would be taken for numpy
    del sys.path[0]

from specbuild.cli import main

sys.exit(main())
