"""The runtimes of Keras: TensorFlow, JAX and PyTorch."""

from __future__ import annotations

from specbuild.backends.keras.switches import SWITCHES
from specbuild.runtimes.runtime import Runtime

RUNTIMES = tuple(
    Runtime(
        name=name,
        title=f"Keras on {title}",
        modules=("keras", name),
        worker="specbuild.backends.keras.parity_worker:open_parity_worker",
        parity_job="specbuild.backends.keras.parity_worker:KerasJob",
        bench_worker="specbuild.backends.keras.bench_worker:open_bench_worker",
        switches=SWITCHES[name],
        variables={"KERAS_BACKEND": name, "TF_CPP_MIN_LOG_LEVEL": "3"},
        rounds_float64=name != "tensorflow",
    )
    for name, title in (("tensorflow", "TensorFlow"), ("jax", "JAX"), ("torch", "PyTorch"))
)
