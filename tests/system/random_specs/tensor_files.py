"""A file of tables beside random specs: `const: {file: tables.safetensors, tensor: 3x4}`."""

from __future__ import annotations

import tempfile
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from safetensors.numpy import save_file

from specbuild.compiler.pipeline import build_graph
from specbuild.ir.graph import Block

FILE = "tables.safetensors"
LARGEST = 12  # size of an axis of a table


@cache
def tables_folder() -> tempfile.TemporaryDirectory[str]:
    """A folder with the file, which has a table of numbers from -1.5 to 2 for each shape of one or two axes."""
    folder = tempfile.TemporaryDirectory(prefix="specbuild-tables-")
    random, sizes = np.random.default_rng(0), range(1, LARGEST + 1)
    shapes: list[tuple[int, ...]] = [*product(sizes), *product(sizes, sizes)]
    save_tables(
        Path(folder.name), {tensor_name(s): random.uniform(-1.5, 2, s).astype("float32") for s in shapes}
    )
    return folder


def save_tables(folder: Path, tables: dict[str, Any]) -> None:
    save_file(tables, str(folder / FILE))


def tensor_name(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


def graph_of(data: dict[str, Any], text: str) -> Block:
    """The graph of a random spec, which may read the file."""
    if FILE not in text:
        return build_graph(text)
    path = Path(tables_folder().name) / "net.yaml"
    path.write_text(yaml.safe_dump(data, sort_keys=False), encoding="utf-8")
    return build_graph(path)
