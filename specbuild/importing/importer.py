"""The import of a model, from the request to the text of the spec."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field
from msgspec.structs import replace

from specbuild.api import Model
from specbuild.compiler.weight_locations import WeightLocation, framework_shapes, to_framework
from specbuild.diagnostics.errors import SpecError, SpecErrors
from specbuild.frontend.names import to_snake_case
from specbuild.importing.given_tables import GivenTables
from specbuild.importing.instance_rows import Mismatch
from specbuild.importing.key_rules import KeyMap, build_key_map
from specbuild.importing.lowering import TraceLowering
from specbuild.importing.named_values import BATCH, Landmark, NamedValue, Unsupported
from specbuild.importing.plans import Plans
from specbuild.importing.reader import ModelReader
from specbuild.importing.request import ImportRequest, choose_axes, describe_values
from specbuild.importing.rewrites import tidy_model
from specbuild.importing.spec_text import write_spec
from specbuild.importing.structure import PlannedModel, list_reports, plan_blocks
from specbuild.importing.trace import Trace, trace_from_json, walk_calls
from specbuild.importing.unfinished_blocks import Refusal
from specbuild.runtimes.jobs import WorkerOptions
from specbuild.runtimes.worker_jobs import Job, RefusedJob, load_tensors
from specbuild.runtimes.worker_process import WorkerFailure, WorkerProcess
from specbuild.weights.published_names import convert_published_weights

if TYPE_CHECKING:
    from specbuild.importing.trace import Array

TIMEOUT = 1_800.0  # seconds for one job


class ImportedModel(Struct):
    """A model as a spec: its text, the compiled model, where the weights go, and what the report says."""

    reader: ModelReader
    name: str
    text: str
    model: Model
    trace: Trace
    plans: Plans
    key_map: KeyMap
    outputs: Sequence[NamedValue]
    landmarks: Sequence[Landmark]  # traced values that steps of the spec compute, if none has been rewritten
    tables: GivenTables
    single_samples: list[str] = field(default_factory=list)
    refuted: list[str] = field(default_factory=list)  # expressions that the second capture refuses
    unexplained: list[str] = field(default_factory=list)  # what differs there, and depends on no argument
    second: ImportedModel | None = None  # the same spec with the arguments of the second capture
    values: dict[str, Any] = field(default_factory=dict)  # of the parameters, in a second capture
    unfinished: list[Refusal] = field(default_factory=list)  # why modules are left to be finished by hand
    input_dims: dict[str, list[str]] = field(
        default_factory=dict
    )  # the axes of each input in the original's order

    def carry_weights(self, published: Mapping[str, Array]) -> dict[str, Array]:
        """Return the original's tensors under the names of the emitted model. The rules in the spec give the names, so this tests them.

        What the file of tables has is among them.
        """
        given = [weight for weight in self.locations if weight.spec.given is not None]
        tables = {w.path: w.spec.given.to_array() for w in given if w.spec.given is not None}
        return {**self.rename_weights(published), **to_framework(given, tables)}

    def rename_weights(self, published: Mapping[str, Array]) -> dict[str, Array]:
        if self.key_map.is_strict:
            return {n: v for n, v in published.items() if n not in self.key_map.ignored}
        if self.key_map.is_long:
            return self.key_map.apply(published, framework_shapes(self.locations))
        return dict(convert_published_weights(self.model.graph, self.reader.naming, published))

    @property
    def locations(self) -> list[WeightLocation]:
        return self.model.compile_for(self.reader.backend_name).weights

    @property
    def call_count(self) -> int:
        return sum(1 for _ in walk_calls(self.trace.root))

    def with_image_size(self, more: int) -> str | None:
        """Return the spec for an image that is larger by `more` on both sides; None if there is no image."""
        entries = self.plans.plans[-1].instances[0].inputs
        images = [entry for entry in entries if "H" in entry.axes and "W" in entry.axes]
        if not images:
            return None
        text = self.text
        for entry in images:
            old = f"  {entry.name}: {{{', '.join(f'{a}: {n}' for a, n in entry.axes.items())}}}\n"
            larger = {a: n + more if a in "HW" else n for a, n in entry.axes.items()}
            text = text.replace(old, f"  {entry.name}: {json.dumps(larger)}\n")
        return text


def start_worker(reader: ModelReader) -> WorkerProcess:
    """Return the process that runs the user's code; it starts with the first job."""
    return WorkerProcess(WorkerOptions(timeout=TIMEOUT), reader.runtime, reader.worker)


def find_usual_axes(reader: ModelReader, name: str, count: int, dtype: str) -> tuple[str, ...]:
    """Return the names of so many axes of an input. Raises SpecError SB961 if its framework has none for them."""
    usual = reader.usual_axes.get(count)
    if usual is None:
        hint = f"name them and their sizes, as in --input {name}=TxHxWxC:4x8x8x3"
        raise SpecError("SB961", f"the input {name} has {count} axes, which have no usual names", hint=hint)
    return choose_axes(usual, dtype)


def import_request(
    request: ImportRequest, worker: WorkerProcess, other_worker: WorkerProcess | None = None
) -> ImportedModel:
    """Import a model that a source names. Raises SpecError SB961 to SB967, or SpecErrors for several reasons.

    If the request has other arguments for a second capture, `other_worker` makes and keeps the second model.
    """
    trace, constants = capture_model(request, worker)
    second = None
    if other_worker is not None:
        try:
            second = capture_model(request.with_others(), other_worker)
        except SpecError as error:
            message = f"with {describe_values(request.others)}: {error.message}"
            raise SpecError(error.code, message, hint=error.hint) from None
    axes = {name: wanted.axes for name, wanted in request.inputs.items()}
    for name, number in trace.inputs.items():
        if name not in axes:
            traced = trace.values[number]
            axes[name] = find_usual_axes(request.reader, name, len(traced.shape) - 1, traced.dtype)
    return import_trace(
        request.reader, request.model_name, trace, constants, axes, request.source, second, request.partial
    )


def capture_model(request: ImportRequest, worker: WorkerProcess) -> tuple[Trace, dict[int, Array]]:
    """Record the model in the worker process; return the trace and the numbers of constants."""
    reader = request.reader
    shapes = {name: (x.sizes, x.dtype) for name, x in request.inputs.items()}
    with tempfile.TemporaryDirectory(prefix="specbuild-") as name:
        folder = Path(name)
        job: Job = {
            "do": "capture",
            **reader.describe_source(request.source, request.settings, shapes),
            "trace": str(folder / "trace.json"),
            "out": str(folder / "constants.safetensors"),
        }
        try:
            worker.run_job(job)
        except RefusedJob as refusal:
            raise as_spec_error(refusal) from None
        except WorkerFailure as failure:
            raise SpecError("SB961", f"{request.source} cannot be recorded: {failure}") from None
        try:
            trace = trace_from_json((folder / "trace.json").read_text(encoding="utf-8"))
            stored = load_tensors(job["out"])
        except FileNotFoundError:
            worker.stop_process(kill=True)  # its next answers could be to this job
            reason = "its code wrote where the answers of the process belong, or removed what it recorded"
            raise SpecError("SB961", f"{request.source} cannot be recorded: {reason}") from None
    return reader.arrange_trace(trace), {int(key.partition(":")[2]): array for key, array in stored.items()}


def as_spec_error(refusal: RefusedJob) -> SpecError:
    """Return the error for a refusal, whose message may begin with a code."""
    match = re.fullmatch(r"(?:(SB\d+) )?(.*)", str(refusal), re.DOTALL)
    assert match is not None
    return SpecError(match[1] or "SB961", match[2], hint=refusal.hint)


def import_trace(
    reader: ModelReader,
    name: str,
    trace: Trace,
    constants: Mapping[int, Array],
    axes: Mapping[str, Sequence[str]],
    source: str = "",
    second: tuple[Trace, Mapping[int, Array]] | None = None,
    partial: bool = False,
) -> ImportedModel:
    """Import a model from its trace; needs no framework.

    `second` is the trace of the model with other arguments: what the spec says must hold for it, too.
    """
    tables = GivenTables(f"{to_snake_case(name)}_tables.safetensors")
    lowered = [
        lower_trace(reader, pair, axes, tables, partial)
        for pair in [(trace, constants), *([second] if second else [])]
    ]
    for lowering in lowered:
        lowering.model.class_name = name
    try:
        planned = plan_blocks(*(lowering.model for lowering in lowered))
        doc = f"Imported from {reader.name_source(source)}." if source else ""
        text = write_spec(name, planned.plans, doc)
        model = tables.load_spec(text)
        orders = find_orders(reader, model, lowered[0].outputs)
        if any(orders):
            text = write_spec(name, planned.plans, doc, orders)
            model = tables.load_spec(text)
        unfinished = lowered[0].unfinished
        is_whole = not unfinished
        key_map = (
            map_names(reader, planned.plans, model, trace)
            if is_whole
            else KeyMap([], list(trace.weights), [])
        )
        if key_map.lines and not key_map.is_long:
            text = f"{text}\nweights:\n" + "\n".join(key_map.lines) + "\n"
            model = tables.load_spec(text)
        outputs, landmarks = lowered[0].outputs, lowered[0].landmarks
        imported = ImportedModel(
            reader, name, text, model, trace, planned.plans, key_map, outputs, landmarks, tables
        )
        imported.single_samples = list_reports(planned.plans)
        imported.unfinished = unfinished
        imported.input_dims = {name: list(axes[name]) for name in trace.inputs}
        imported.refuted, imported.unexplained = planned.lifted.refuted, planned.lifted.unexplained
        if second is not None and not imported.unexplained:
            imported.second = vary_model(imported, second[0], planned, lowered[1])
    except Unsupported as error:
        raise SpecError(error.code, str(error), hint=error.hint) from None
    except Mismatch:
        raise SpecError("SB964", "a block could not be made of the calls of one module") from None
    return imported


def lower_trace(
    reader: ModelReader,
    captured: tuple[Trace, Mapping[int, Array]],
    axes: Mapping[str, Sequence[str]],
    tables: GivenTables,
    partial: bool = False,
) -> TraceLowering:
    """Return a trace as steps on named axes, and its outputs. Raises SpecError or SpecErrors with all reasons."""
    lowering = TraceLowering(*captured, axes, reader, partial)
    instance = lowering.run()
    if lowering.refusals:
        raise join_refusals([*lowering.unfinished, *lowering.refusals])
    try:
        lowering.resolve_names()
        tidy_model(instance, lowering.low.names, reader.handler_table.patterns, tables)
        lowering.resolve_names()  # all axes have names now
    except Unsupported as error:
        raise SpecError(error.code, str(error), hint=error.hint) from None
    return lowering


def find_orders(reader: ModelReader, model: Model, outputs: Sequence[NamedValue]) -> list[tuple[str, ...]]:
    """Return the order of the axes of each output in the original; empty if the emitted file has the same."""
    orders = []
    for output, value in zip(model.graph.outputs.values(), outputs, strict=True):
        order = tuple(axis for dim in value.dims for axis in dim if axis != BATCH)
        orders.append(() if order == reader.backend.natural_order(output.type) else order)
    return orders


def map_names(reader: ModelReader, plans: Plans, model: Model, trace: Trace) -> KeyMap:
    locations: list[WeightLocation] = model.compile_for(reader.backend_name).weights
    return build_key_map(plans, locations, trace.weights, reader.naming)


def vary_model(
    imported: ImportedModel, trace: Trace, planned: PlannedModel, lowering: TraceLowering
) -> ImportedModel | None:
    """Return the spec with the arguments of the second capture; None, with the reason noted, if it takes no such ones."""
    values = planned.lifted.list_values(1)
    [plans] = planned.others
    try:
        model = imported.tables.load_spec(imported.text, values)
        key_map = map_names(imported.reader, plans, model, trace)
    except (SpecError, SpecErrors, KeyError) as error:
        reason = str(error).splitlines()[0] if not isinstance(error, KeyError) else "it has other weights"
        imported.unexplained.append(f"the spec with {describe_values(values)}: {reason}")
        return None
    key_map = replace(key_map, lines=imported.key_map.lines)  # the same rules
    return replace(
        imported,
        model=model,
        trace=trace,
        plans=plans,
        key_map=key_map,
        outputs=lowering.outputs,
        landmarks=lowering.landmarks,
        values=values,
        single_samples=[],
        refuted=[],
        unexplained=[],
    )


def join_refusals(refusals: Sequence[Refusal]) -> SpecError | SpecErrors:
    """Return all reasons as one error each, with the module and the line of the source."""
    errors = []
    for refusal in dict.fromkeys(refusals):
        where = f" in {refusal.path}" if refusal.path else ""
        trail = (f"called at {refusal.line}",) if refusal.line else ()
        errors.append(SpecError(refusal.code, f"{refusal.message}{where}", hint=refusal.hint, trail=trail))
    return errors[0] if len(errors) == 1 else SpecErrors(errors)
