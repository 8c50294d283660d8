"""Import networks of keras.applications with random weights, and prove them. Writes one JSON line each, as import_sweep.py does.

python benchmarks/keras_sweep.py --out keras.jsonl MobileNetV2 Xception:96
python benchmarks/import_sweep.py --table keras.jsonl

A name may have the size of its image; the others get 64. Networks that stand in the output already are left out.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ["KERAS_BACKEND"] = "tensorflow"

from specbuild.diagnostics.errors import SpecError, SpecErrors
from specbuild.importing.importer import import_request, start_worker
from specbuild.importing.keras.reader import READER
from specbuild.importing.proof import prove_import
from specbuild.importing.report import report_record
from specbuild.importing.request import parse_request
from specbuild.runtimes.worker_process import WorkerProcess

SIZE, CLASSES = 64, 10


def import_network(name: str, size: int, worker: WorkerProcess, folder: Path) -> dict[str, Any]:
    """Return what became of one network: the report, or the reasons of the refusal."""
    import keras

    begin = time.perf_counter()
    record: dict[str, Any] = {"source": name, "size": size}
    keras.backend.clear_session()
    make = getattr(keras.applications, name)
    path = folder / f"{name}.keras"
    make(weights=None, input_shape=(size, size, 3), classes=CLASSES).save(path)
    try:
        imported = import_request(parse_request(str(path), [], []), worker)
        record |= {"captured": True, "lowered": True}
        imported.model.source("torch")
        record["compiled"] = True
        (folder / f"{name}.yaml").write_text(imported.text, encoding="utf-8")
        record |= report_record(name, imported, [prove_import(imported, worker)])
    except (SpecError, SpecErrors) as error:
        errors = error.errors if isinstance(error, SpecErrors) else [error]
        record["reasons"] = [[e.code, e.message] for e in errors]
    record["seconds"] = round(time.perf_counter() - begin, 1)
    return record


def main(texts: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("names", nargs="+", metavar="NAME[:SIZE]")
    parser.add_argument("--out", type=Path, default=Path("keras.jsonl"))
    parser.add_argument("--specs", type=Path, help="a folder for the files and specs")
    arguments = parser.parse_args(texts)
    lines = arguments.out.read_text(encoding="utf-8").splitlines() if arguments.out.exists() else []
    done = {json.loads(line)["source"] for line in lines}
    with tempfile.TemporaryDirectory() as temporary, start_worker(READER) as worker:
        folder = arguments.specs or Path(temporary)
        for item in arguments.names:
            name, _, size = item.partition(":")
            if name in done:
                continue
            record = import_network(name, int(size or SIZE), worker, folder)
            with arguments.out.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(record) + "\n")
            equal = record.get("proof", {}).get("equal")
            print(f"{name}: {'equal' if equal else record.get('reasons') or record.get('proof')}", flush=True)


if __name__ == "__main__":
    main()
