"""Flat graphs become modules: by the names of layers, and by parts that come again."""

from __future__ import annotations

from specbuild.importing.keras.folding import fold_trace
from tests.importing.keras.flat_models import describe_calls, make_trace


def fold(*lines: str) -> list[object]:
    """Fold the calls of these lines, such as `Add sum: a b`."""
    calls = []
    for line in lines:
        head, _, reads = line.partition(": ")
        function, name = head.split()
        calls.append((function, name, reads.split()))
    return describe_calls(fold_trace(make_trace(calls)).root)


def test_layers_whose_names_begin_alike_are_a_block() -> None:
    assert fold(
        "Conv2D conv2_block1_1_conv: image",
        "ReLU conv2_block1_1_relu: conv2_block1_1_conv",
        "Add conv2_block1_out: conv2_block1_1_relu image",
        "Conv2D conv2_block2_1_conv: conv2_block1_out",
        "ReLU conv2_block2_1_relu: conv2_block2_1_conv",
        "Add conv2_block2_out: conv2_block2_1_relu conv2_block1_out",
        "Dense predictions: conv2_block2_out",
    ) == [
        {
            f"conv2.block{i}: Block": [
                f"conv2.block{i}.conv1",
                f"conv2.block{i}.relu1",
                f"conv2.block{i}.out",
            ]
        }
        for i in (1, 2)
    ] + ["predictions"]


def test_the_name_of_the_model_is_left_out() -> None:
    folded = fold(
        *(
            line
            for i, x in enumerate(("image", "my_net_stage_0_sum"))
            for line in (
                f"Conv2D my_net_stage_{i}_conv: {x}",
                f"ReLU my_net_stage_{i}_relu: my_net_stage_{i}_conv",
                f"Conv2D my_net_stage_{i}_sum: my_net_stage_{i}_relu",
            )
        ),
        "Dense my_net_head: my_net_stage_1_sum",
    )
    assert [next(iter(x)) if isinstance(x, dict) else x for x in folded] == [
        "stage_0: Stage",
        "stage_1: Stage",
        "head",
    ]


def test_a_sum_without_a_name_belongs_to_the_block_with_its_shortcut() -> None:
    block = "Conv2D block{i}_a: {x}|ReLU block{i}_b: block{i}_a|Conv2D block{i}_c: block{i}_b"
    assert fold(
        *block.format(i=1, x="image").split("|"),
        "Conv2D conv2d: image",
        "Add add: block1_c conv2d",
        *block.format(i=2, x="add").split("|"),
        "Add add_1: block2_c add",
    ) == [
        {"block1: Block": ["block1.a", "block1.b", "block1.c", "block1.conv2d", "block1.add"]},
        {"block2: Block": ["block2.a", "block2.b", "block2.c", "block2.add_1"]},
    ]


def test_chains_and_branches_that_come_again_are_blocks() -> None:
    lines, last = [], "image"
    for i in range(2):
        for j in (0, 1):
            number = 2 * i + j
            lines += [
                f"Conv2D conv2d_{number}: {last}",
                f"BatchNormalization batch_normalization_{number}: conv2d_{number}",
                f"Activation activation_{number}: batch_normalization_{number}",
            ]
        lines.append(f"Concatenate mixed{i}: activation_{2 * i} activation_{2 * i + 1}")
        last = f"mixed{i}"
    folded = fold(*lines)
    assert [next(iter(x)) for x in folded if isinstance(x, dict)] == ["mixed0: Mixed", "mixed1: Mixed"]
    [inner] = [x["mixed1: Mixed"] for x in folded if isinstance(x, dict) and "mixed1: Mixed" in x]
    assert [next(iter(x)) if isinstance(x, dict) else x for x in inner] == [
        "mixed1.conv2d_2: ConvNormAct",
        "mixed1.conv2d_3: ConvNormAct",
        "mixed1.mixed1",
    ]


def test_a_part_from_which_something_else_reads_stays_flat() -> None:
    """Names alone make no block: what is read in between would not be there."""
    block = "Conv2D block{i}_a: {x}|ReLU block{i}_b: block{i}_a|Conv2D block{i}_c: block{i}_b"
    folded = fold(
        *block.format(i=1, x="image").split("|"),
        *block.format(i=2, x="block1_c").split("|"),
        "Multiply gate: block1_a block2_c",
    )
    assert {"block2: Block": ["block2.a", "block2.b", "block2.c"]} in folded
    assert "block1_a" in folded
