"""`python -m tests.system.other_sizes BACKEND [NAME...]`: run every spec at other sizes, and print what happens."""

from __future__ import annotations

import sys

from tests.system.other_sizes.specs import SPECS
from tests.system.other_sizes.sweep import sweep

if __name__ == "__main__":
    for name in sys.argv[2:] or SPECS:
        try:
            trials = sweep(SPECS[name], sys.argv[1])
        except Exception as error:
            print(name, "ERROR", str(error)[:600])
            continue
        for trial in trials:
            mark = "" if trial.is_right else "  <---"
            print(f"{name} {trial.sizes} {trial.outcome} {trial.error[:300]!r}{mark}", flush=True)
