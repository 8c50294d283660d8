"""Specs of which nothing is left at small sizes, or a value of one position that a framework would repeat."""

from __future__ import annotations

from tests.system.other_sizes.specs import Sized, maps, tokens


def parts(first: str, second: str, join: str, *others: int) -> Sized:
    """Two values along T, made from the input, and a step that joins them."""
    steps = f"- {first}\n  as: a\n- {second}\n  from: x\n  as: b\n- {join}\n"
    return tokens(steps, *others, declared=8)


ADD = "add: [a, b]"
SHORT = {
    "padding_around": tokens("- pad: {padding: {T: 4}, mode: circular}\n", 3, 1, 4),
    "padding_of_a_convolution": maps(
        "- conv: {channels: 2, kernel: 7, padding_mode: circular}\n", (2, 2), (2, 8), (3, 3)
    ),
    "windows": maps("- unfold: {kernel: 5, into: K}\n", (4, 4), (5, 4)),
    "windows_apart": maps("- unfold: {kernel: 2, stride: 3, into: K}\n", (1, 1), (2, 1)),
    "dilated_pool": maps("- max_pool: {kernel: 3, dilation: 2}\n", (4, 4), (5, 4)),
    "resized_to_nothing": tokens("- resize: {size: {T: x.T - 3}, mode: nearest}\n", 3, 2),
    "resized_by_a_scale": maps("- resize: {scale: 0.25}\n", (3, 3), (4, 2)),
    "cut_output": maps(
        "- conv_transpose: {channels: 4, kernel: 3, stride: 1, padding: 2}\n", (2, 2), (1, 1), (3, 4)
    ),
    "empty_rest": tokens(
        "- split: {over: T, into: {a: 3, b: -1}}\n  as: s\n- mean: {over: T}\n  from: s.b\n", 3, 2, 4
    ),
    "no_part_of_a_size": tokens(
        "- split: {over: T, into: {a: x.T - 3, b: 3}}\n  as: s\n- sum: {over: T}\n  from: s.a\n", 3, 2, 4
    ),
    "empty_slice": tokens("- slice: {over: T, start: 3}\n- sum: {over: T}\n", 3, 2, 4),
    "empty_slice_to_the_end": tokens("- slice: {over: T, stop: -3}\n- sum: {over: T}\n", 3, 2, 4),
    "empty_slice_between": tokens("- slice: {over: T, start: 2, stop: 4}\n- sum: {over: T}\n", 2, 1, 3),
    "empty_slice_behind_a_stride": maps(
        "- conv: {channels: 4, stride: 2}\n- slice: {over: H, start: 2}\n- sum: {over: [H, W]}\n",
        (4, 4),
        (5, 4),
    ),
    "slice_by_an_argument": tokens(
        "- Cut: {count: 2}\n- Cut: {count: 1}\n- sum: {over: T}\n",
        *(3, 2, 4),
        blocks="blocks: {Cut: {params: {count: 1}, inputs: {x: [T, C]}, steps: [slice: {over: T, start: count}]}}\n",
    ),
    "variance_of_one": tokens("- variance: {over: T}\n", 1, 2),
    "deviation_of_two": tokens("- std: {over: T, correction: 2}\n", 2, 1, 3),
    "repeated_no_times": tokens("- tile: {over: T, times: x.T - 3}\n", 3, 2, 4),
    "one_position_is_not_repeated": parts(
        "slice: {over: T, stop: 5}", "slice: {over: T, start: 3}", ADD, 4, 7
    ),
    "one_position_beside_a_size": tokens("- resize: {size: {T: 5}, mode: nearest}\n- add: [x, prev]\n", 1, 4),
    "one_window_beside_a_slice": parts(
        "conv: {channels: 8, kernel: 4, padding: 0, over: T}", "slice: {over: T, stop: 5}", ADD, 4, 7
    ),
    "one_position_of_a_product": parts(
        "slice: {over: T, stop: 5}", "slice: {over: T, start: 3}", "contract: {of: [a, b], over: T}", 4, 7
    ),
    "one_part_beside_another": tokens(
        "- split: {over: T, into: {a: 5, b: -1}}\n  as: s\n- multiply: [s.a, s.b]\n", 6, 5, 9, declared=10
    ),
}
