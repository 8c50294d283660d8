"""Import many published models, each in a process of its own, with a limit of time and memory. Writes one JSON line each.

python benchmarks/import_sweep.py benchmarks/import_models.txt --out sweep.jsonl --shard 0/4
python benchmarks/import_sweep.py --timm --out all_of_timm.jsonl --seconds 300
python benchmarks/import_sweep.py --table sweep.jsonl

A list has one source a line: timm:NAME or torchvision:NAME. Each is imported at 64 pixels where it takes them, else at
128, else at its own size, proved, and compiled to both backends. Sources that stand in the output already are
left out. The import runs as in the command, only that PyTorch is imported once, by the process that forks the others.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from specbuild.diagnostics.errors import SpecError, SpecErrors
from specbuild.importing.importer import ImportedModel, import_request
from specbuild.importing.proof import Proof, prove_import
from specbuild.importing.pytorch.capture_worker import OriginalModel, find_input_shapes, make_model
from specbuild.importing.pytorch.operators_worker import call_with_operators
from specbuild.importing.pytorch.reader import READER
from specbuild.importing.report import report_record
from specbuild.importing.request import ImportRequest, InputRequest
from specbuild.runtimes.jobs import WorkerOptions
from specbuild.runtimes.worker_jobs import Job, RefusedJob, open_worker, save_tensors
from specbuild.runtimes.worker_process import WorkerFailure

SIZES = (64, 128)
VIDEO_SIZES = (112,)
FAMILIES = 150
SIZE_WORDS = (
    "zepto atto femto pico nano micro xxxs xxs xxt xs xt xtiny t tiny mini s small lite m medium".split()
)
# The code of a refusal, and how far the import came.
NOT_CAPTURED = ("SB961", "SB962", "SB965")


class LocalWorker:
    """Runs the jobs of an import in this process."""

    def __init__(self) -> None:
        self.original = OriginalModel()
        self.emitted = open_worker(READER.runtime.worker, WorkerOptions())

    def run_job(self, job: Job) -> None:
        """Run a job. Raises RefusedJob, and WorkerFailure for whatever the model raises."""
        try:
            is_emitted = job["do"] == "emitted"
            result = self.emitted.run_job(job) if is_emitted else self.original.run_aside(job)
        except RefusedJob:
            raise
        except Exception as error:
            raise WorkerFailure(f"{type(error).__name__}: {error}") from error
        if result is not None:
            save_tensors(job["out"], result)


# ------------------------------------------------------------------------------------------- one model


def import_source(
    source: str, folder: Path | None, tell: Callable[[Any], None], proves: bool
) -> dict[str, Any]:
    """Return what became of one model: the report, or the reasons of the refusal. Tells how far it came before the proof."""
    begin = time.perf_counter()
    record: dict[str, Any] = {"source": source}
    try:
        imported, worker, record["size"] = import_at_some_size(source)
        record |= {"captured": True, "lowered": True}
        record["lower_seconds"] = round(time.perf_counter() - begin, 1)
        if folder is not None:
            (folder / f"{source.replace(':', '_')}.yaml").write_text(imported.text, encoding="utf-8")
        imported.model.source("keras")
        record |= {"compiled": True, "lines": imported.text.count("\n"), "strict": imported.key_map.is_strict}
        tell(record)
        proofs: list[Proof] = [prove_import(imported, worker)] if proves else []
        record |= report_record(source, imported, proofs)
    except (SpecError, SpecErrors) as error:
        errors = error.errors if isinstance(error, SpecErrors) else [error]
        record["reasons"] = [[e.code, e.message] for e in errors]
        record.setdefault("captured", errors[0].code not in NOT_CAPTURED)
        record.setdefault("lowered", errors[0].code[:4] != "SB96")
    except RefusedJob as refusal:
        record["reasons"] = [["SB961", str(refusal)]]
    except Exception as error:  # a fault of the import: told as such
        record["reasons"] = [["fault", f"{type(error).__name__}: {error}"[:300]]]
    record["seconds"] = round(time.perf_counter() - begin, 1)
    record["megabytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return record


def import_at_some_size(source: str) -> tuple[ImportedModel, LocalWorker, int]:
    """Import a model at the first size at which it can be imported. Raises SpecError."""
    sizes = list_sizes(source)
    for shape in sizes:
        request = ImportRequest(
            source, inputs={"image": InputRequest(READER.usual_axes[len(shape)], tuple(shape))}
        )
        worker = LocalWorker()
        try:
            return import_request(request, worker), worker, shape[-1]
        except SpecError as error:
            if error.code[:3] not in ("SB4", "SB9") or shape == sizes[-1]:
                raise
    raise AssertionError


def list_sizes(source: str) -> list[list[int]]:
    """Return the shapes of the image to try; those with a table for one size have only their own."""
    model = make_model(source, {})
    own = list(find_input_shapes(model, source)["image"][0])
    if getattr(model, "pretrained_cfg", {}).get("fixed_input_size"):
        return [own]
    sizes = VIDEO_SIZES if len(own) == 4 else SIZES
    smaller = [[*own[:-2], size, size] for size in sizes if size < own[-1]]
    return [*smaller, own]


def run_apart(source: str, seconds: int, megabytes: int, folder: Path | None, proves: bool) -> dict[str, Any]:
    """Import a model in a process of its own; return its record, or that it was stopped."""
    reader, writer = os.pipe()
    process = os.fork()
    if process == 0:
        os.close(reader)
        resource.setrlimit(resource.RLIMIT_AS, (megabytes << 20, megabytes << 20))
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))
        with os.fdopen(writer, "w", encoding="utf-8") as stream:

            def tell(record: dict[str, Any]) -> None:
                print(json.dumps(record), file=stream, flush=True)

            tell(import_source(source, folder, tell, proves))
        os._exit(0)
    os.close(writer)
    begin = time.perf_counter()
    with os.fdopen(reader, encoding="utf-8") as stream:
        told = [json.loads(line) for line in stream]
    status = os.waitpid(process, 0)[1]
    if status == 0 and told:
        return dict(told[-1])
    by = signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else "an error"
    reason = f"stopped by {by} (limits: {seconds} s, {megabytes} MB)"
    return {
        **(told[-1] if told else {"source": source}),
        "reasons": [["limit", reason]],
        "seconds": round(time.perf_counter() - begin, 1),
    }


# ------------------------------------------------------------------------------------------- many models


def choose_families() -> list[str]:
    """Return 150 names of timm by a rule: the smallest name of each module, then of further stems of large modules.

    A stem is what stands before the first digit of a name. Modules with many names give theirs first, one each, until
    there are 150. Of two names, the smaller is the one with the smaller word for a size, then that with smaller numbers.
    """
    timm = call_with_operators(lambda: __import__("timm"))
    registry = __import__("timm.models._registry", fromlist=["_model_to_module"])
    modules: dict[str, list[str]] = {}
    for name in sorted(timm.list_models(), key=rank_size):
        modules.setdefault(registry._model_to_module[name], []).append(name)
    chosen = {names[0]: None for names in modules.values()}
    order = sorted(modules.values(), key=len, reverse=True)
    while len(chosen) < FAMILIES:
        for names in order:
            stems = {find_stem(name) for name in names if name in chosen}
            further = next((n for n in names if find_stem(n) not in stems), None)
            if further is not None and len(chosen) < FAMILIES:
                chosen[further] = None
    return [f"timm:{name}" for name in sorted(chosen)]


def find_stem(name: str) -> str:
    return name[: next((i for i, c in enumerate(name) if c.isdigit()), len(name))].rstrip("_")


def rank_size(name: str) -> tuple[int, int, list[int], str]:
    """Return what orders names by the size of their models. Models that timm has for its own tests come last."""
    words = re.findall(r"[a-z]+", name)
    ranks = [SIZE_WORDS.index(word) for word in words if word in SIZE_WORDS]
    return (
        "test" in words,
        min(ranks, default=len(SIZE_WORDS)),
        list(map(int, re.findall("[0-9]+", name))),
        name,
    )


def read_sources(arguments: argparse.Namespace) -> list[str]:
    """Return the sources of this shard that have no record yet."""
    if arguments.timm:
        timm = call_with_operators(lambda: __import__("timm"))
        sources = [f"timm:{name}" for name in timm.list_models()]
    else:
        lines = Path(arguments.list).read_text(encoding="utf-8").splitlines()
        sources = [line for line in lines if line and not line.startswith("#")]
    number, count = map(int, arguments.shard.split("/"))
    done = {record["source"] for record in read_records(arguments.out)}
    return [s for s in sources[number::count] if s not in done]


def read_records(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


# --------------------------------------------------------------------------------------------- the table


def print_table(records: Iterable[dict[str, Any]]) -> None:
    """Print the records as Markdown, and how many came how far."""
    records = list({record["source"]: record for record in records}.values())
    print("| model | size | captured | lowered | compiled | equal | names | lines | seconds | reason |")
    print("| --- | ---: | --- | --- | --- | --- | --- | ---: | ---: | --- |")
    for record in sorted(records, key=lambda r: r["source"]):
        proof = record.get("proof", {})
        marks = [mark(record.get(key)) for key in ("captured", "lowered", "compiled")]
        names = "" if "lines" not in record else "same" if record["strict"] else "rules"
        cells = [
            f"`{record['source']}`",
            str(record.get("size", "")),
            *marks,
            mark(proof.get("equal")),
            names,
            str(record.get("lines", "")),
            f"{record['seconds']:.0f}",
            describe_reason(record),
        ]
        print(f"| {' | '.join(cells)} |")
    print()
    count = len(records)
    for key in ("captured", "lowered", "compiled"):
        print(f"{key}: {sum(bool(r.get(key)) for r in records)} of {count}")
    print(f"equal: {sum(bool(r.get('proof', {}).get('equal')) for r in records)} of {count}")


def mark(value: Any) -> str:
    return "yes" if value else "no"


def describe_reason(record: dict[str, Any]) -> str:
    reasons = record.get("reasons", [])
    if not reasons and not record.get("proof"):
        return "not proved"
    if not reasons and not record["proof"].get("equal"):
        proof = record.get("proof", {})
        worst = max(proof.get("differences", {}).items(), key=lambda item: item[1], default=("", 0))
        text = (
            proof.get("problem")
            or f"differs: {worst[0]} {worst[1]:.0e}; larger image: {proof.get('larger_image')}"
        )
        reasons = [["SB968", text]]
    if not reasons:
        return ""
    code, message = reasons[0]
    more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
    return f"{code} {message[:110]}{more}".replace("|", "\\|").replace("\n", " ")


def main(texts: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("list", nargs="?", default=str(Path(__file__).with_name("import_models.txt")))
    parser.add_argument("--timm", action="store_true", help="all names of timm in place of a list")
    parser.add_argument("--choose", action="store_true", help="print the sample of timm, and end")
    parser.add_argument("--table", type=Path, help="print the table of these records, and end")
    parser.add_argument("--out", type=Path, default=Path("sweep.jsonl"))
    parser.add_argument("--specs", type=Path, help="a folder for the specs")
    parser.add_argument("--shard", default="0/1")
    parser.add_argument("--seconds", type=int, default=600, help="of the processor, for each model")
    parser.add_argument(
        "--no-proof", dest="prove", action="store_false", help="only compile for both backends"
    )
    parser.add_argument("--megabytes", type=int, default=12_000)
    arguments = parser.parse_args(texts)
    if arguments.table is not None:
        print_table(read_records(arguments.table))
        return
    if arguments.choose:
        print("\n".join(choose_families()))
        return
    if arguments.specs is not None:
        arguments.specs.mkdir(parents=True, exist_ok=True)
    call_with_operators(lambda: (__import__("timm"), __import__("torchvision")))
    __import__("torch").set_num_threads(1)
    for source in read_sources(arguments):
        record = run_apart(source, arguments.seconds, arguments.megabytes, arguments.specs, arguments.prove)
        with arguments.out.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(record) + "\n")
        print(f"{source}: {describe_reason(record) or 'equal'} ({record['seconds']} s)", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
