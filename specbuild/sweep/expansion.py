"""Compile the points of a grid; points with the same code share their files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct, field

from specbuild.api import Model, build_model
from specbuild.compiler.output_files import create_folder, read_output, write_output
from specbuild.diagnostics.errors import SpecError, SpecErrors
from specbuild.frontend.document import Spec
from specbuild.frontend.names import to_snake_case
from specbuild.frontend.resolver import SpecFiles
from specbuild.sweep.grid import ValueGrid

NAME_DIGITS = 10  # of the hash in the name of a file

Status = Literal["written", "unchanged", "duplicate", "too_large", "invalid"]


class ExpandedPoint(Struct, frozen=True):
    """What became of one point: its model and the files that have its code, or its errors."""

    number: int
    values: Mapping[str, Any]  # by the name of the parameter; the variant under an empty name
    status: Status
    model: Model | None = None
    name: str = ""
    files: Mapping[str, str] = field(default_factory=dict)  # names by backend
    errors: SpecErrors | None = None

    def point_record(self) -> dict[str, Any]:
        """Return the line of a manifest: what was chosen, what it costs, where the code is."""
        settings = {name: value for name, value in self.values.items() if name}
        record = {
            "point": self.number,
            "variant": self.values.get(""),
            "set": settings,
            "status": self.status,
            "name": self.name or None,
        }
        if self.model is None:
            return record
        cost = {"parameters": self.model.parameters, "multiply_adds": self.model.cost.macs}
        return {**record, "class": self.model.name, **cost, "files": dict(self.files)}


def expand_points(
    spec: Spec,
    files: SpecFiles,
    grid: ValueGrid,
    points: Iterable[int],
    backends: Sequence[str],
    folder: Path,
    max_params: int | None = None,
) -> Iterator[ExpandedPoint]:
    """Write the files of each point, and yield what became of it.

    Files are named by their content: equal code is written once, also by several runs on one folder.
    """
    known: set[str] = set()
    for number in points:
        values = grid.point_values(number)
        try:
            model = build_model(spec, files, grid.point_arguments(number))
            if max_params is not None and model.parameters > max_params:
                yield ExpandedPoint(number, values, "too_large", model)
                continue
            sources = {backend: model.source(backend) for backend in backends}
        except SpecError as error:
            yield ExpandedPoint(number, values, "invalid", errors=SpecErrors([error]))
            continue
        except SpecErrors as errors:
            yield ExpandedPoint(number, values, "invalid", errors=errors)
            continue
        name = content_name(model.name, sources)
        names = {backend: f"{name}_{backend}.py" for backend in backends}
        status: Status = "duplicate"
        if name not in known:
            known.add(name)
            written = [write_point(folder / names[backend], text) for backend, text in sources.items()]
            status = "written" if any(written) else "unchanged"
        yield ExpandedPoint(number, values, status, model, name, names)


def content_name(model: str, sources: Mapping[str, str]) -> str:
    """Return the name of a point: that of the model, and a hash of its code for all backends."""
    code = "\n".join(strip_header(text) for _, text in sorted(sources.items()))
    return f"{to_snake_case(model)}_{hashlib.sha256(code.encode()).hexdigest()[:NAME_DIGITS]}"


def strip_header(text: str) -> str:
    """Return an emitted file without its first line, which has the hash of the spec with its arguments."""
    return text.partition("\n")[2]


def write_point(path: Path, text: str) -> bool:
    """Write a file, unless it is there with the same code. Raises SB701 if it was edited by hand."""
    create_folder(path.parent)
    if strip_header(read_output(path) or "") == strip_header(text):
        return False
    return write_output(path, text)
