"""Any backbone of the library goes into any neck: taps at strides of 4 to 32, and no weight more than both have."""

from __future__ import annotations

from pathlib import Path

import pytest

from specbuild.compiler.pipeline import build_graph
from specbuild.ir.cost import model_cost
from specbuild.ir.graph import Block
from specbuild.parity.compare import ParityCase
from tests.parity_runner import ParityOf

EXAMPLES = Path(__file__).parents[2] / "examples"
SIDE = 128
# file -> arguments that make it small, and its maps at strides of 4, 8, 16 and 32
BACKBONES: dict[str, tuple[str, tuple[str, str, str, str]]] = {
    "resnet": ("{variant: resnet18}", ("layer1", "layer2", "layer3", "layer4")),
    "mobilenet_v2": ("{width: 0.25}", ("features.3", "features.6", "features.13", "features.17")),
    "mobilenet_v3": ("{variant: mobilenet_v3_small}", ("blocks.0", "blocks.2", "blocks.7", "blocks.10")),
    "mnasnet": ("{width: 0.5}", ("layers.8", "layers.9", "layers.11", "layers.13")),
    "efficientnet": ("{}", ("stage2", "stage3", "stage5", "stage7")),
    "efficientnet_v2": ("{depths: [1, 1, 1, 1, 1, 1]}", ("stage2", "stage3", "stage5", "stage6")),
    "regnet": ("{}", ("s1", "s2", "s3", "s4")),
    "densenet": ("{depths: [2, 2, 2, 2]}", tuple(f"features.denseblock{i}" for i in (1, 2, 3, 4))),  # type: ignore[dict-item]
    "shufflenet_v2": ("{}", ("maxpool", "stage2", "stage3", "stage4")),
    "googlenet": ("{}", ("conv3", "inception3b", "inception4e", "inception5b")),
    "vgg": ("{variant: vgg11}", ("stage3", "stage4", "stage5", "pool5")),
    "convnext": ("{depths: [1, 1, 1, 1]}", ("stage1", "stage2", "stage3", "stage4")),
    "convnext_v2": ("{depths: [1, 1, 1, 1]}", ("stage1", "stage2", "stage3", "stage4")),
    "poolformer": ("{depths: [1, 1, 1, 1]}", ("stage1", "stage2", "stage3", "stage4")),
    "res2net": ("{depths: [1, 1, 1, 1]}", ("layer1", "layer2", "layer3", "layer4")),
    "repvgg": ("{depths: [1, 1, 1, 1]}", ("stage1", "stage2", "stage3", "stage4")),
    "hrnet": ("{variant: hrnet_w18_small}", ("stage4.x0", "stage4.x1", "stage4.x2", "stage4.x3")),
    "mobileone": ("{depths: [1, 1, 1, 1]}", ("stage1", "stage2", "stage3", "stage4")),
    "pvt_v2": ("{depths: [1, 1, 1, 1]}", ("stage1", "stage2", "stage3", "stage4")),
    "resnest": ("{depths: [1, 1, 1, 1]}", ("layer1", "layer2", "layer3", "layer4")),
    "vovnet": ("{depths: [1, 1, 1, 1]}", ("stages.0", "stages.1", "stages.2", "stages.3")),
    "coatnet": (
        "{depths: [1, 1, 1, 1], height: 128, width: 128}",
        ("stage1", "stage2", "stage3", "stage4"),
    ),
    "fastvit": ("{depths: [1, 1, 1, 1]}", ("stages.0", "stages.1", "stages.2", "stages.3")),
    "senet": ("{depths: [1, 1, 1, 1]}", ("layer1", "layer2", "layer3", "layer4")),
    "dla": ("{variant: dla34}", ("level2", "level3", "level4", "level5")),
    "cspnet": ("{depths: [1, 1, 1, 1]}", ("stages.0", "stages.1", "stages.2", "stages.3")),
    "mobilenet_v4": ("{}", ("stage1", "stage2", "stage3", "stage4")),
    "focalnet": ("{depths: [1, 1, 1, 1]}", ("layers.0", "layers.1", "layers.2", "layers.3")),
    "hiera": (
        "{depths: [1, 1, 1, 1], height: 128, width: 128}",
        ("stage1", "stage2", "stage3", "stage4"),
    ),
    "swin": ("{depths: [1, 1, 1, 1], height: 128, width: 128}", ("stage1", "stage2", "stage3", "stage4")),
}
NECKS = {
    "FeaturePyramid": "[neck.p2, neck.p3, neck.p4, neck.p5]",
    "PathAggregation": "[neck.n2, neck.n3, neck.n4, neck.n5]",
    "UnifiedDecoder": "neck",
    "PerceptronDecoder": "neck",
    "AtrousPyramid": "neck",
}


def spec_text(backbone: str, neck: str | None) -> str:
    """Return a model of a backbone and a neck, or of the backbone's maps alone."""
    arguments, taps = BACKBONES[backbone]
    used = dict(zip(("c2", "c3", "c4", "c5"), (f"backbone.{tap}" for tap in taps), strict=True))
    name = "".join(part.capitalize() for part in backbone.split("_"))
    text = (
        f"specbuild: 1\nmodel: Net\nimports: {{{name}: 'library:backbones/{backbone}.yaml'}}\n"
        f"inputs: {{image: {{C: 3, H: {SIDE}, W: {SIDE}}}}}\nsteps:\n  - {name}: {arguments}\n    as: backbone\n"
    )
    if neck is None:
        return text + f"outputs: [{', '.join(used.values())}]\n"
    sources = used["c5"] if neck == "AtrousPyramid" else str(used).replace("'", "")
    return text + f"  - {neck}: {{channels: 16}}\n    from: {sources}\n    as: neck\noutputs: {NECKS[neck]}\n"


def neck_text(neck: str, maps: Block) -> str:
    """Return a model of the neck alone, on maps of the backbone's sizes."""
    names = ("c2", "c3", "c4", "c5")
    sizes = {n: dict(o.type.sizes) for n, o in zip(names, maps.outputs.values(), strict=True)}
    if neck == "AtrousPyramid":
        sizes = {"c5": sizes["c5"]}
    sources = "c5" if len(sizes) == 1 else str({n: n for n in sizes}).replace("'", "")
    inputs = str({n: {axis: int(size) for axis, size in s.items()} for n, s in sizes.items()}).replace(
        "'", ""
    )
    return (
        f"specbuild: 1\nmodel: Net\ninputs: {inputs}\nsteps:\n  - {neck}: {{channels: 16}}\n    from: {sources}\n    as: neck\n"
        + (f"outputs: {NECKS[neck]}\n")
    )


@pytest.mark.parametrize("backbone", BACKBONES)
def test_all_necks(backbone: str) -> None:
    maps = build_graph(spec_text(backbone, None))
    assert [SIDE // int(o.type["H"]) for o in maps.outputs.values()] == [4, 8, 16, 32]
    alone = model_cost(maps)
    last = model_cost(
        build_graph(
            spec_text(backbone, None).rsplit("\n", 2)[0]
            + f"\noutputs: [backbone.{BACKBONES[backbone][1][3]}]\n"
        )
    )
    for neck in NECKS:
        both, part = (
            model_cost(build_graph(spec_text(backbone, neck))),
            model_cost(build_graph(neck_text(neck, maps))),
        )
        trunk = last if neck == "AtrousPyramid" else alone
        assert both.parameters == trunk.parameters + part.parameters, neck
        assert both.macs == trunk.macs + part.macs, neck


# Hard sigmoid in MobileNetV3: PyTorch keeps 1 / 6 in float32 in its gradient, so that gradients differ by 3e-8.
PAIRS = [("regnet", "PerceptronDecoder"), ("mobilenet_v3", "PathAggregation")]


def pair_case(pair: str) -> ParityCase:
    backbone, neck = pair.split("-")
    return ParityCase(pair, build_graph(spec_text(backbone, neck)), batch=1)


@pytest.mark.slow
@pytest.mark.parametrize("pair", ["-".join(pair) for pair in PAIRS])
def test_both_frameworks(pair: str, parity_of: ParityOf) -> None:
    report = parity_of(pair_case)
    assert not report.error, report.error
    assert report.worst_relative <= report.tolerance.warn_above, str(report)


@pytest.mark.parametrize("name", ["regnet_deeplab", "efficientnet_detector", "convnext_unet"])
def test_examples(name: str) -> None:
    assert model_cost(build_graph(EXAMPLES / f"{name}.yaml")).parameters > 4_000_000
