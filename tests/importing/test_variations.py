"""The arguments that a class is made again with, and what a spec is spared by it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import torch

from specbuild.importing.importer import import_request
from specbuild.importing.pytorch.capture_worker import OriginalModel
from specbuild.importing.pytorch.reader import READER
from specbuild.importing.request import parse_request
from specbuild.importing.variations import find_variation, list_variations
from specbuild.runtimes.jobs import WorkerOptions
from specbuild.runtimes.worker_jobs import Job, RefusedJob, open_worker, save_tensors
from specbuild.runtimes.worker_process import WorkerFailure

SOURCE = """import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, embedding=32, depth=2, ends=(4, 5)):
        super().__init__()
        ends = (*ends, 6)
        self.stem = nn.Conv2d(3, 32, 3, padding=1)
        self.body = nn.Sequential(*(nn.Conv2d(32, 32, 3, padding=1) for _ in range(depth)))
        self.project = nn.Linear(32 * 16, embedding)
        self.back = nn.Linear(embedding, 16 * embedding)

    def forward(self, image):
        return self.back(self.project(self.body(self.stem(image)).flatten(1)))
"""


def test_sizes_and_numbers_of_layers_are_others_and_sizes_of_inputs_stay() -> None:
    given = {
        "in_channels": 3,
        "width": 16,
        "dim": 64,
        "depths": [2, 2],
        "layers": 3,
        "num_heads": 4,
        "bias": True,
    }
    first, *_, last = list_variations(given | {"num_classes": 10}, {64})
    assert first == {"width": 32, "dim": 160, "depths": [3, 3], "layers": 5, "num_classes": 13}
    assert last == {"width": 32}
    assert list(list_variations({"num_heads": 4, "kernel_size": 3}, set())) == []


class LocalWorker:
    """Runs the jobs of an import in this process, which has PyTorch already."""

    def __init__(self) -> None:
        self.original = OriginalModel()
        self.emitted = open_worker(READER.runtime.worker, WorkerOptions())

    def run_job(self, job: Job) -> None:
        dtype = torch.get_default_dtype()
        try:
            is_emitted = job["do"] == "emitted"
            result = self.emitted.run_job(job) if is_emitted else self.original.run_job(job)
        except RefusedJob:
            raise
        except Exception as error:  # the model does not take a larger image
            raise WorkerFailure(str(error)) from error
        finally:
            torch.set_default_dtype(dtype)
        if result is not None:
            save_tensors(job["out"], result)


def test_a_number_that_is_equal_by_accident_stays_a_number(tmp_path: Path) -> None:
    """The width of 32 is no `embedding`, which is 32 as well."""
    (tmp_path / "net.py").write_text(SOURCE, encoding="utf-8")
    request = parse_request(f"{tmp_path / 'net.py'}:Net", [], ["image=3x4x4"])
    worker, other_worker = cast(Any, LocalWorker()), cast(Any, LocalWorker())
    first = import_request(request, worker)
    assert "conv: {channels: embedding, kernel: 3}" in first.text
    found = find_variation(request, first, worker, other_worker)
    assert found is not None
    imported, proof = found
    assert proof.is_equal
    assert imported.second is not None
    assert imported.second.values == {"embedding": 64, "depth": 3}
    text = imported.text
    assert "conv: {channels: 32, kernel: 3}" in text
    assert "features: embedding}" in text
    assert "features: 16 * embedding}" in text
    assert "repeat: depth" in text
