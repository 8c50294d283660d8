"""How models of Keras are imported: from a `.keras` file, by its configuration alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from specbuild.diagnostics.errors import SpecError
from specbuild.frontend.names import IDENTIFIER, find_name_problem
from specbuild.importing.axis_names import number_name
from specbuild.importing.reader import ModelReader
from specbuild.importing.trace import FunctionCall, Trace, walk_calls
from specbuild.runtimes.worker_jobs import Job

IMAGE_DIMENSIONS = 4  # of a batch of images


class KerasReader(ModelReader, frozen=True):
    """Reads `.keras` files."""

    def describe_source(
        self, source: str, settings: Mapping[str, Any], inputs: Mapping[str, tuple[Sequence[int], str]]
    ) -> Job:
        """Return the cleaned configuration of the model, with the sizes of its inputs. Raises SpecError SB961 and SB963."""
        from specbuild.importing.keras.archive import read_config  # imported late: it needs numpy
        from specbuild.importing.keras.config import resize_config

        if settings:
            raise SpecError("SB961", "a .keras file takes no arguments", hint="leave out --set and --also")
        path = Path(source)
        config, shapes = resize_config(read_config(path), inputs)
        names = list(inputs) or name_inputs(shapes)
        return {"config": config, "weights": str(path.resolve()), "names": names}

    def find_rounding(self, trace: Trace) -> str:
        kinds = {
            call.function
            for call in walk_calls(trace.root)
            if isinstance(call, FunctionCall) and call.settings.get("interpolation") == "bilinear"
        }
        return " and ".join(sorted(kinds))

    def name_source(self, source: str) -> str:
        return Path(source).name

    def arrange_trace(self, trace: Trace) -> Trace:
        from specbuild.importing.keras.folding import fold_trace

        return fold_trace(trace)


def name_inputs(shapes: Mapping[str, Sequence[Any]]) -> list[str]:
    """Return names for the inputs: their own, or if Keras has numbered them, names by their shapes."""
    names: list[str] = []
    for name, shape in shapes.items():
        is_own = not name.startswith(("input_layer", "input_")) and name != "input"
        usual = "image" if len(shape) == IMAGE_DIMENSIONS else "x"
        wanted = name if is_own and IDENTIFIER.fullmatch(name) else usual
        names.append(number_name(wanted if find_name_problem(wanted) is None else f"{wanted}_1", names))
    return names


READER = KerasReader(
    "keras",
    "specbuild.importing.keras.capture_worker:open_capture_worker",
    "specbuild.importing.keras.handlers.registry",
    {0: (), 1: ("C",), 2: ("T", "C"), 3: ("H", "W", "C"), 4: ("D", "H", "W", "C")},
    naming="keras",
    runs_code=False,
)
