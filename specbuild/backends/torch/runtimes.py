"""The runtime of PyTorch."""

from __future__ import annotations

from specbuild.backends.torch.switches import SWITCHES
from specbuild.runtimes.runtime import Runtime

RUNTIME = Runtime(
    name="torch",
    title="PyTorch",
    modules=("torch",),
    worker="specbuild.backends.torch.parity_worker:open_parity_worker",
    bench_worker="specbuild.backends.torch.bench_worker:open_bench_worker",
    switches=SWITCHES,
    can_calibrate=True,
)
