"""`python -m docs [FOLDER]`: build the documentation as HTML, by default into build/site."""

from __future__ import annotations

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
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else BUILD / "site"
    code = build(target, BUILD / "docs")
    print(target / "index.html" if code == 0 else "the documentation has faults", file=sys.stderr)
    sys.exit(code)
