"""The emitted models beside the hand-written ones: forward and training step, interleaved in one run. Prints Markdown."""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

LIBRARY = Path(__file__).parent.parent / "specbuild" / "library" / "backbones"
ROUNDS = 9


def ratios(ours: Callable[[], Any], theirs: Callable[[], Any]) -> tuple[float, float, float]:
    """Median seconds of each, and the median of the pairwise ratios."""
    for run in (ours, theirs):
        run()
    pairs = []
    for _ in range(ROUNDS):
        taken = []
        for run in (ours, theirs):
            begin = time.perf_counter()
            run()
            taken.append(time.perf_counter() - begin)
        pairs.append((taken[0], taken[1]))
    mine, other = zip(*pairs, strict=True)
    return statistics.median(mine), statistics.median(other), statistics.median(a / b for a, b in pairs)


def report(name: str, batch: int, kind: str, found: tuple[float, float, float]) -> None:
    print(
        f"| {name} | {batch} | {kind} | {1e3 * found[0]:.0f} ms | {1e3 * found[1]:.0f} ms | {found[2]:.2f} |",
        flush=True,
    )


def reorders(model: Any, x: Any) -> int:
    """How many permutes and transposes a forward pass in training mode makes, counted at the dispatcher."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    class Counting(TorchDispatchMode):
        count = 0

        def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            self.count += function._schema.name in ("aten::permute", "aten::transpose")
            return function(*args, **(kwargs or {}))

    model.train()
    with torch.no_grad(), Counting() as counting:
        model(x)
    return counting.count


def torch_models() -> None:
    import torch

    lib = torch.library.Library("torchvision", "DEF")
    for op in ("nms", "qnms"):
        lib.define(f"{op}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    import torchvision

    import specbuild

    for name, file in (
        ("resnet50", "resnet"),
        ("vit_b_16", "vit"),
        ("swin_t", "swin"),
        ("convnext_tiny", "convnext"),
    ):
        pair = [
            specbuild.load(LIBRARY / f"{file}.yaml", variant=name).build("torch"),
            getattr(torchvision.models, name)(),
        ]
        counts = [reorders(model, torch.randn(2, 3, 224, 224)) for model in pair]
        print(f"| {name}, torch | 2 | permutes, training mode | {counts[0]} | {counts[1]} | |", flush=True)
        for batch in (1, 8):
            x = torch.randn(batch, 3, 224, 224)

            def forward(model: Any, x: Any = x) -> Callable[[], Any]:
                model.eval()

                def run() -> None:
                    with torch.no_grad():
                        model(x)

                return run

            def step(model: Any, x: Any = x) -> Callable[[], Any]:
                model.train()

                def run() -> None:
                    model.zero_grad()
                    model(x).square().mean().backward()

                return run

            report(f"{name}, torch", batch, "forward", ratios(forward(pair[0]), forward(pair[1])))
            report(f"{name}, torch", batch, "training step", ratios(step(pair[0]), step(pair[1])))


def keras_models() -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras
    import numpy as np
    import tensorflow as tf

    import specbuild

    ours = specbuild.load(LIBRARY / "resnet.yaml", variant="resnet50").build("keras")
    theirs = keras.applications.ResNet50(weights=None, classifier_activation=None)
    for batch in (1, 8):
        x = tf.constant(np.random.default_rng(0).normal(size=(batch, 224, 224, 3)).astype("float32"))

        def forward(model: Any, x: Any = x) -> Callable[[], Any]:
            run = tf.function(lambda: model(x, training=False))
            return lambda: run().numpy()

        def step(model: Any, x: Any = x) -> Callable[[], Any]:
            @tf.function
            def run() -> Any:
                with tf.GradientTape() as tape:
                    loss = tf.reduce_mean(tf.square(model(x, training=True)))
                return tape.gradient(loss, [v.value for v in model.trainable_variables])

            return lambda: run()[0].numpy()

        report("resnet50, keras", batch, "forward", ratios(forward(ours), forward(theirs)))
        report("resnet50, keras", batch, "training step", ratios(step(ours), step(theirs)))


def main() -> None:
    print("| model | batch | what | emitted | hand-written | ratio |\n|---|---|---|---|---|---|")
    wanted = sys.argv[1:] or ["torch", "keras"]
    if "torch" in wanted:
        torch_models()
    if "keras" in wanted:
        keras_models()


if __name__ == "__main__":
    main()
