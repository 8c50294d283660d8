"""A second capture of a user's model, with other arguments that specbuild chooses: every expression must hold there, too.

In one model, a width of 64 and an embedding of 64 cannot be distinguished. So the class is constructed again with larger
sizes and other depths. If the constructor fails, or the spec does not fit the second model, other values are tried. If
none works, there is only the first capture.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from itertools import cycle
from typing import Any

from msgspec.structs import replace

from specbuild.diagnostics.errors import SpecError, SpecErrors
from specbuild.importing.importer import ImportedModel, import_request
from specbuild.importing.model_params import CLASS_COUNTS, COUNT_NAME, has_size_name
from specbuild.importing.proof import Proof, prove_import
from specbuild.importing.relations import COUNTS, MIN_SIZE
from specbuild.importing.request import ImportRequest
from specbuild.runtimes.worker_process import WorkerProcess

MAX_PARAMETERS = 30_000_000  # of a model that is made more than once
PUBLISHED = ("timm:", "torchvision:")  # their functions have other arguments than their classes
# Sizes of the inputs, and numbers that other sizes must be a multiple of.
FIXED = re.compile(
    r"^in_|^cin$|in_ch|in_dim|input|image|img|patch|window|kernel|block_size|max_|seq|context|len|stride|group|pool|step"
)
QUARTERS = (8, 10, 12, 14, 6, 7)  # of sizes: different ones separate more sizes, but must fit together
DOUBLE = 2
MORE = (1, 2)  # layers


def find_variation(
    request: ImportRequest, first: ImportedModel, worker: WorkerProcess, other_worker: WorkerProcess
) -> tuple[ImportedModel, Proof] | None:
    """Return the import with a second capture whose spec is proved there, and this proof; None if there is none."""
    count = sum(math.prod(shape) for shape in first.trace.weights.values())
    if request.source.startswith(PUBLISHED) or not first.reader.runs_code or count > MAX_PARAMETERS:
        return None
    given = first.trace.root.constructor
    inputs = {size for number in first.trace.inputs.values() for size in first.trace.values[number].shape[1:]}
    for others in list_variations(given, inputs):
        try:
            varied = import_request(replace(request, others=others), worker, other_worker)
        except (SpecError, SpecErrors):
            continue
        if varied.second is None or varied.unexplained:
            continue
        proof = prove_import(varied.second, other_worker)
        if proof.is_equal:
            return varied, proof
    return None


def list_variations(given: Mapping[str, Any], inputs: set[int]) -> Iterator[dict[str, Any]]:
    """Yield other arguments for a class, the most informative first.

    `inputs` are sizes of its inputs: arguments with these values may be such sizes, so later trials keep them.
    """
    tried: list[dict[str, Any]] = []
    for pair in zip(vary_arguments(given, set()), vary_arguments(given, inputs), strict=True):
        for others in pair:
            if others and others not in tried:
                tried.append(others)
                yield others


def vary_arguments(given: Mapping[str, Any], fixed: set[int]) -> Iterator[dict[str, Any]]:
    names = [name for name, value in given.items() if varies_as_size(name, value, fixed)]
    factors = cycle(QUARTERS)
    sizes = {n: mix_factors(given[n], factors) for n in names}
    doubled = {n: scale_value(given[n], DOUBLE) for n in names}
    rows = [name for name, value in given.items() if varies_as_count(name, value)]
    counts = {n: scale_value(given[n], 1, MORE[i % len(MORE)]) for i, n in enumerate(rows)}
    classes = {n: given[n] + 3 for n in CLASS_COUNTS if isinstance(given.get(n), int)}
    yield {**sizes, **counts, **classes}
    yield {**doubled, **counts, **classes}
    yield {**doubled, **classes}
    yield {**counts, **classes}
    yield {n: v for n, v in doubled.items() if has_size_name(n)}


def mix_factors(value: Any, factors: Iterator[int]) -> Any:
    """Return a size, or a list of sizes, each times another factor if it stays a whole number."""
    if isinstance(value, list | tuple):
        return [mix_factors(v, factors) for v in value]
    quarters = next(factors)
    return value * quarters // 4 if value % 4 == 0 else value * DOUBLE


def scale_value(value: Any, factor: int, more: int = 0) -> Any:
    if isinstance(value, list | tuple):
        return [factor * v + more for v in value]
    return factor * value + more


def varies_as_size(name: str, value: Any, fixed: set[int]) -> bool:
    """Return whether an argument is a size such as a number of channels, or a list of sizes."""
    values = list(value) if isinstance(value, list | tuple) else [value]
    if not values or not all(isinstance(v, int) and not isinstance(v, bool) and v > 1 for v in values):
        return False
    is_free = not FIXED.search(name) and (isinstance(value, list | tuple) or value not in fixed)
    if name in CLASS_COUNTS or COUNT_NAME.search(name):
        return False
    return is_free and (has_size_name(name) or (min(values) >= MIN_SIZE and not COUNTS.search(name)))


def varies_as_count(name: str, value: Any) -> bool:
    """Return whether an argument is a number of layers, or a list of them."""
    values = list(value) if isinstance(value, list | tuple) else [value]
    is_number = all(isinstance(v, int) and not isinstance(v, bool) and 0 < v < 100 for v in values)
    return bool(values) and is_number and COUNT_NAME.search(name) is not None and not has_size_name(name)
