"""Python text as a syntax tree, in one thread at a time.

CPython 3.11 counts the depth of the trees that it makes for all threads together: where another thread parses
while one is still at it (a finalizer can hand over), the count is wrong, and it raises SystemError.
"""

from __future__ import annotations

import ast
import threading
from typing import Any, Literal

_PARSE_LOCK = threading.RLock()


def parse_python(text: str, mode: Literal["exec", "eval"] = "exec") -> Any:
    """What `ast.parse` gives, with what it raises."""
    with _PARSE_LOCK:
        return ast.parse(text, mode=mode)
