"""The worker that measures emitted files in Keras, by `predict_on_batch`: compiled, as Keras runs models."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from specbuild.backends.keras.parity_worker import device_name
from specbuild.runtimes.bench_job import run_bench_job
from specbuild.runtimes.jobs import WorkerOptions
from specbuild.runtimes.worker_jobs import Worker


def open_bench_worker(options: WorkerOptions) -> Worker:
    import keras

    keras.config.set_image_data_format("channels_last")  # a user's keras.json may say otherwise
    runtime = keras.backend.backend()
    module = import_module(runtime)
    if runtime == "tensorflow":
        module.config.threading.set_intra_op_parallelism_threads(options.threads)
    elif runtime == "torch":
        module.set_num_threads(options.threads)

    def load(create_model: Any) -> Callable[[list[Any]], Any]:
        model = create_model()
        return lambda inputs: model.predict_on_batch(inputs if len(inputs) > 1 else inputs[0])

    def device_memory() -> int | None:
        if options.device == "cpu":
            return None
        if runtime == "tensorflow":
            return int(module.config.experimental.get_memory_info("GPU:0")["peak"])
        if runtime == "jax":
            return int(module.devices()[0].memory_stats()["peak_bytes_in_use"])
        return int(module.cuda.max_memory_allocated())

    handshake = {
        "framework": f"keras {keras.__version__} on {runtime} {module.__version__}",
        "device": device_name(runtime, module, options),
    }
    return Worker(lambda job: run_bench_job(job, load, device_memory), handshake)
