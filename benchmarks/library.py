"""Every model of the library with all its variants: parameters, multiply-adds, and equality with torchvision, timm and Keras.

    python benchmarks/library.py                                 # the table of counts, without a framework
    python benchmarks/library.py --prove efficientnet:efficientnet_b5 regnet:regnet_y_8gf --size 64 96
    python benchmarks/library.py --prove keras_vgg:VGG16 --naming keras_applications --size 224 224

A proof makes the reference with random weights and randomised statistics (`tests/oracles/randomised.py`), carries them by the names or
rules of the spec, each used and each given, and compares the outputs in float64.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from specbuild import load  # noqa: E402
from specbuild.compiler.pipeline import build_graph  # noqa: E402
from specbuild.frontend.source import Source  # noqa: E402
from specbuild.ir.cost import model_cost  # noqa: E402
from specbuild.summary import format_quantity  # noqa: E402

LIBRARY = ROOT / "specbuild" / "library"
BACKBONES = LIBRARY / "backbones"


def variants() -> Iterator[tuple[Path, str | None]]:
    """Every variant of every model; of a model without variants, itself."""
    for path in [*sorted(BACKBONES.glob("*.yaml")), *sorted((LIBRARY / "models").glob("*.yaml"))]:
        found = Source.read(path, path.name).data.get("variants", {})
        for variant in found or [None]:
            yield path, variant


def print_counts() -> None:
    print("| file | variant | parameters | multiply-adds |\n| --- | --- | ---: | ---: |")
    for path, variant in variants():
        cost = model_cost(build_graph(path, variant=variant))
        print(
            f"| `{path.stem}` | `{variant or path.stem}` | {cost.parameters:,} | {format_quantity(cost.macs)} |",
            flush=True,
        )


def print_proof(file: str, variant: str, naming: str, height: int, width: int) -> None:
    import torch

    torch.set_default_dtype(torch.float64)
    from tests.torchvision_operators import operators_of_torchvision

    kept = operators_of_torchvision()
    from specbuild.weights.published_names import convert_published_weights
    from tests.oracles.randomised import difference, randomise

    if naming == "timm":
        import timm

        theirs = timm.create_model(variant, pretrained=False)
    else:
        import torchvision

        theirs = torchvision.models.get_model(variant, weights=None)
    started = time.perf_counter()
    image = torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(height))
    randomise(theirs, image)
    spec = load(BACKBONES / f"{file}.yaml", variant)
    entries = {key: value.numpy() for key, value in theirs.state_dict().items()}
    state = convert_published_weights(spec.graph, naming, entries)
    ours = spec.build("torch")
    ours.load_state_dict(
        {key: torch.from_numpy(value) for key, value in state.items()}, strict=True, assign=True
    )
    with torch.no_grad():
        apart = difference(theirs.eval()(image), ours.eval()(image))
    named = "as they are" if set(state) == set(entries) else "rules"
    seconds = time.perf_counter() - started
    print(
        f"| `{file}` | `{variant}` | {naming} | {spec.parameters:,} | {height}x{width} | {apart:.1e} | {named} | {seconds:.0f} |",
        flush=True,
    )
    del kept


def print_keras_proof(file: str, variant: str, height: int, width: int) -> None:
    """The same with keras.applications' model of this name, on TensorFlow."""
    import keras
    import numpy as np

    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    keras.backend.clear_session()  # layers without a name are numbered from the start
    from specbuild.runtimes.live_model import import_source
    from specbuild.weights.published_names import convert_published_weights
    from tests.oracles.randomised import difference, give_exact_inputs, randomise_keras

    started = time.perf_counter()
    shape = (height, width, 3)
    theirs = getattr(keras.applications, variant)(weights=None, classifier_activation=None, input_shape=shape)
    image = np.random.default_rng(height).normal(120, 60, (1, *shape))
    give_exact_inputs(theirs)
    randomise_keras(theirs, image)
    spec = load(BACKBONES / f"{file}.yaml", variant)
    entries = {variable.path: np.asarray(variable) for variable in theirs.weights}
    state = convert_published_weights(spec.graph, "keras_applications", entries)
    ours = getattr(import_source(spec.source("keras"), file), spec.graph.name)(image_shape=shape)
    assert {variable.path for variable in ours.weights} == set(state)
    for variable in ours.weights:
        variable.assign(state[variable.path])
    apart = difference(theirs(image, training=False), ours(image, training=False))
    seconds = time.perf_counter() - started
    print(
        f"| `{file}` | `{variant}` | Keras | {spec.parameters:,} | {height}x{width} | {apart:.1e} | rules | {seconds:.0f} |",
        flush=True,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--prove", nargs="+", metavar="FILE:VARIANT", default=[])
    parser.add_argument(
        "--naming", choices=["torchvision", "timm", "keras_applications"], default="torchvision"
    )
    parser.add_argument("--size", nargs=2, type=int, default=[97, 131])
    options = parser.parse_args()
    for name in options.prove:
        if options.naming == "keras_applications":
            print_keras_proof(*name.split(":"), *options.size)
        else:
            print_proof(*name.split(":"), options.naming, *options.size)
    if not options.prove:
        print_counts()
