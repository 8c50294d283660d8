"""A file of the library means one block by each name: its own, an imported one, or the only one of that name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import yaml

from specbuild.frontend.library import LIBRARY

LOADER = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader


def list_used(value: Any) -> Iterator[str]:
    """Yield the names in CamelCase that are steps: texts in lists, and keys of mappings."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from (key for key in [key] if isinstance(key, str) and key[:1].isupper())
            yield from list_used(part)
    elif isinstance(value, list):
        for part in value:
            yield from [part] if isinstance(part, str) and part[:1].isupper() else list_used(part)


def test_no_file_relies_on_a_name_that_two_files_have() -> None:
    files = {path: yaml.load(path.read_text(), LOADER) for path in sorted(LIBRARY.rglob("*.yaml"))}
    own = {path: {*data.get("blocks", {}), *data.get("imports", {})} for path, data in files.items()}
    counts = Counter(name for data in files.values() for name in data.get("blocks", {}))
    unclear = []
    for path, data in files.items():
        bodies = [data, *data.get("blocks", {}).values()]
        used = {name for body in bodies for name in list_used((body or {}).get("steps", []))}
        unclear += [f"{path.name}: {name}" for name in used - own[path] if counts[name] > 1]
    assert unclear == []
