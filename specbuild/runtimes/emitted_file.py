"""Execute an emitted file in a worker process."""

from __future__ import annotations

from typing import Any

from specbuild.runtimes.worker_jobs import Job


def execute_source(code: Any, job: Job, namespace: dict[str, Any]) -> dict[str, Any]:
    """Execute the emitted file of a job (text or syntax tree) in `namespace`, and return it."""
    namespace |= {"__name__": f"emitted_{job['name']}"}
    exec(compile(code, job["file"], "exec"), namespace)
    return namespace


def order_outputs(result: Any, names: list[str]) -> list[Any]:
    """Return a model's outputs as a list, in the order of the spec."""
    if isinstance(result, dict):
        return [result[name] for name in names]
    return list(result) if isinstance(result, list | tuple) else [result]
