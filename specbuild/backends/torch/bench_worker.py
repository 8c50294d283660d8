"""The worker that measures emitted files in PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from specbuild.runtimes.bench_job import run_bench_job
from specbuild.runtimes.jobs import WorkerOptions
from specbuild.runtimes.worker_jobs import Worker


def open_bench_worker(options: WorkerOptions) -> Worker:
    import torch

    torch.set_num_threads(options.threads)
    is_gpu = options.device == "cuda"
    device: str | None = "cpu"
    if is_gpu:
        device = torch.cuda.get_device_name() if torch.cuda.is_available() else None

    def load(model_class: Any) -> Callable[[list[Any]], Any]:
        model = model_class().to(options.device).eval()

        def call(inputs: list[Any]) -> Any:
            with torch.inference_mode():
                result = model(*(torch.from_numpy(x).to(options.device) for x in inputs))
            if is_gpu:
                torch.cuda.synchronize()
            return result

        return call

    def device_memory() -> int | None:
        return int(torch.cuda.max_memory_allocated()) if is_gpu else None

    handshake = {"framework": f"torch {torch.__version__}", "device": device}
    return Worker(lambda job: run_bench_job(job, load, device_memory), handshake)
