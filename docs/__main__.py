"""`python -m docs [FOLDER]`: build the documentation as HTML, by default into build/site."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from sphinx.cmd.build import main

from docs.pages import assemble

BUILD = Path("build")


def build(site: Path, sources: Path) -> int:
    """Write every page's source, then the site; Sphinx's exit code, warnings being errors."""
    assemble(sources)
    return main(["-W", "--keep-going", "-q", "-b", "html", str(sources), str(site)])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m docs", description="Build the documentation as HTML: about 10 minutes."
    )
    parser.add_argument("folder", nargs="?", type=Path, default=BUILD / "site", help="default: %(default)s")
    target = parser.parse_args().folder
    code = build(target, BUILD / "docs")
    print(target / "index.html" if code == 0 else "the documentation has faults", file=sys.stderr)
    sys.exit(code)
