"""Parse Python source into a syntax tree, in one thread at a time.

CPython 3.11 has one depth counter for all threads that build syntax trees. If a thread starts to parse while
another is still parsing (a finalizer can switch threads), the counter is wrong and SystemError is raised.
"""

from __future__ import annotations

import ast
import threading
from typing import Any, Literal

_PARSE_LOCK = threading.RLock()


def parse_python(text: str, mode: Literal["exec", "eval"] = "exec") -> Any:
    """Call `ast.parse`, one thread at a time."""
    with _PARSE_LOCK:
        return ast.parse(text, mode=mode)
