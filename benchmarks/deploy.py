"""The deployed form of emitted models beside torchvision's own in evaluation: one process, interleaved. Prints Markdown.

Run it as `python -m tests.torchvision_operators benchmarks/deploy.py` where torchvision's operators are missing. Both
have the same weights: those of torchvision, with random statistics, are carried into the deployed form, and the
outputs are compared. Beside the time on the clock it shows that of the processor, which other processes disturb less.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision
from safetensors.numpy import save_file

import specbuild
from specbuild.compiler.weight_locations import to_framework
from specbuild.transform.carried_weights import carry_weights
from specbuild.transform.deployed_model import deploy_model
from specbuild.weights.convert import match_file

LIBRARY = Path(__file__).parent.parent / "specbuild" / "library" / "backbones"
MODELS = {"resnet50": "resnet", "mobilenet_v2": "mobilenet_v2"}
ROUNDS = 31


def build_pair(name: str) -> tuple[Any, Any]:
    """Return the deployed form and torchvision's model, in evaluation and with the same weights."""
    theirs = getattr(torchvision.models, name)().eval()
    random = torch.Generator().manual_seed(0)
    for key, value in theirs.state_dict().items():
        if key.endswith(("running_mean", "running_var")):
            value.copy_(torch.rand(value.shape, generator=random) + (0.5 if "var" in key else -0.5))
    trained = specbuild.load(LIBRARY / f"{MODELS[name]}.yaml", variant=name)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "weights.safetensors"
        save_file({n: v.numpy() for n, v in theirs.state_dict().items()}, str(file))
        matched, report = match_file(trained, file, specbuild_options())
        assert report.is_complete, report.format_lines()
        deployed = deploy_model(trained)
        values = carry_weights(deployed, matched.values)
        ours = deployed.build("torch").eval()
        tensors = to_framework(deployed.compile_for("torch").weights, values)
        state = {n: torch.from_numpy(np.array(v, order="C")) for n, v in tensors.items()}
    ours.load_state_dict(state)
    return ours, theirs


def specbuild_options() -> Any:
    from specbuild.weights.convert import ConversionOptions

    return ConversionOptions(source_names="torchvision")


def measure(run: Callable[[], Any], finish: Callable[[], Any]) -> tuple[float, float]:
    """Return the seconds of one run, on the clock and on the processor."""
    clock, processor = time.perf_counter(), time.process_time()
    run()
    finish()
    return time.perf_counter() - clock, time.process_time() - processor


def compare_speed(name: str, device: str, layout: str, batch: int) -> None:
    """Print one row: the medians of both, and the medians of the ratios of neighbouring runs."""
    models = [model.to(device) for model in build_pair(name)]
    x = torch.randn(batch, 3, 224, 224, device=device)
    if layout == "channels_last":
        models = [model.to(memory_format=torch.channels_last) for model in models]
        x = x.contiguous(memory_format=torch.channels_last)
    finish = torch.cuda.synchronize if device == "cuda" else lambda: None
    with torch.inference_mode():
        outputs = [model(x) for model in models]
        difference = float((outputs[0] - outputs[1]).abs().max() / outputs[1].abs().max())
        pairs = []
        for number in range(ROUNDS + 2):
            order = (0, 1) if number % 2 else (1, 0)
            taken = {i: measure(lambda i=i: models[i](x), finish) for i in order}  # type: ignore[misc]
            pairs.append((taken[0], taken[1]))
    pairs = pairs[2:]
    clock = [statistics.median(pair[i][0] for pair in pairs) for i in (0, 1)]
    ratios = [statistics.median(ours[k] / theirs[k] for ours, theirs in pairs) for k in (0, 1)]
    print(
        f"| {name}, {device} | {layout} | {batch} | {1e3 * clock[0]:.1f} ms | {1e3 * clock[1]:.1f} ms "
        f"| {ratios[0]:.2f} | {ratios[1]:.2f} | {difference:.0e} |",
        flush=True,
    )


def main() -> None:
    device = sys.argv[1] if len(sys.argv) > 1 else "cpu"
    print(
        "| model | layout | batch | deployed | torchvision | ratio | of the processor | outputs differ by |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for name in MODELS:
        for layout in ("contiguous", "channels_last"):
            compare_speed(name, device, layout, 1)


if __name__ == "__main__":
    main()
