"""Small specs whose steps read, fix or change a size. `@T` in an input stands for a size that is tried at several values."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Sized:
    """A spec without its first line and name, its declared sizes, and others to run the emitted file at."""

    text: str
    declared: dict[str, int]
    others: tuple[dict[str, int], ...] = field(default=())


def tokens(steps: str, *others: int, declared: int = 5, blocks: str = "") -> Sized:
    """A spec on tokens with the input `x`."""
    text = f"inputs: {{x: {{T: @T, C: 8}}}}\n{blocks}steps:\n{steps}"
    return Sized(text, {"T": declared}, tuple({"T": n} for n in others))


def pairs(steps: str, blocks: str = "") -> Sized:
    """A spec on tokens `x` and numbers `m` of the same length, and other lengths: equal ones, one of 1, a shorter one."""
    text = f"inputs: {{x: {{T: @T, C: 8}}, m: {{T: @S}}}}\n{blocks}steps:\n{steps}"
    others = tuple({"T": t, "S": s} for t, s in ((7, 7), (6, 1), (6, 4), (1, 6)))
    return Sized(text, {"T": 5, "S": 5}, others)


def maps(steps: str, *others: tuple[int, int], declared: tuple[int, int] = (8, 8), blocks: str = "") -> Sized:
    """A spec on a map with the input `x`."""
    text = f"inputs: {{x: {{C: 4, H: @H, W: @W}}}}\n{blocks}steps:\n{steps}"
    return Sized(text, dict(zip("HW", declared, strict=True)), tuple({"H": h, "W": w} for h, w in others))


SEEN = "- compare: {test: greater, value: 0}\n  from: m\n  as: seen\n"
LONG = " + ".join(f"max(x.T - {n}, x.T // {n + 1})" for n in (1, 2, 3, 4))
SPECS = {
    "root_of_size": tokens("- scale: {by: 1 / sqrt(x.T), plus: sqrt(x.T)}\n", 7, 2),
    "rounded_sizes": tokens(
        "- slice: {over: T, start: floor(x.T / 4), stop: ceil(0.9 * x.T)}\n- pad: {padding: {T: [0, ceil(x.T / 3)]}}\n",
        7,
        10,
    ),
    "rounded_size_of_step": tokens(
        "- conv: {channels: 4, stride: 2}\n  as: half\n- slice: {over: T, stop: ceil(half.T / 2)}\n", 7, 10
    ),
    "size_and_index": tokens(
        "- do: [{slice: {over: T, stop: prev.T - i}}, {scale: {by: x.T / (i + 1)}}]\n  repeat: 3\n", 7, 10
    ),
    "table_by_size_and_index": tokens(
        "- do: [{const: {axes: {T: x.T}, value: T * (i + 1) / x.T}}, {multiply: [x, prev]}]\n  repeat: 2\n",
        7,
        10,
    ),
    "chosen_numbers_in_a_table": tokens(
        "- const: {axes: {T: x.T}, value: 'T - 2 > (1 if 2 * x.T > 3 * T else -1)', dtype: bool}\n  as: k\n"
        "- const: {axes: {T: x.T}, value: 'T > 1 if 2 * x.T > 3 * T else False', dtype: bool}\n  as: k2\n"
        "- where: {value: -1.5, condition: k}\n  from: x\n- where: {value: 2.5, condition: k2}\n",
        7,
        2,
    ),
    "halves_without_weights": tokens(
        "- Half:\n",
        6,
        3,
        declared=4,
        blocks="blocks: {Half: {inputs: {x: [T, C]}, steps: [{split: {over: T, into: [a, b]}, as: s}, {mean: {over: T}, from: s.a}]}}\n",
    ),
    "one_window_without_its_axis": tokens("- max_pool: {kernel: 3, over: T}\n- squeeze: {over: T}\n", 6, 4),
    "sizes_of_parts_that_are_cut": tokens(
        "- Cut:\n",
        7,
        12,
        blocks="blocks: {Cut: {inputs: {x: [T, C]}, steps: [{slice: {over: T, start: x.T // 4}, as: cut}, "
        "{split: {over: T, into: {a: x.T // 5, b: -1}}, from: x, as: parts}, {tile: {over: T, times: x.T // 4}, from: cut, as: tiled}, "
        "{concat: {of: [cut, parts.b, tiled], over: T}, as: all_}, "
        "{scale: {by: cut.T + parts.b.T, plus: all_.T - tiled.T}}]}}\n",
    ),
    "table_by_a_step_that_is_dropped": tokens(
        "- conv: {channels: 4, stride: 2}\n  as: half\n"
        "- const: {axes: {T: x.T}, value: sin(T + half.T / 3)}\n  as: t\n- multiply: [x, t]\n",
        8,
    ),
    "logarithm_of_size": tokens("- scale: {by: log(x.T)}\n", 7),
    "multiple_near_size": tokens("- scale: {by: 'divisible(x.T, 3)'}\n", 7),
    "long_expression_of_size": tokens(f"- scale: {{by: '{LONG}'}}\n", 7),
    "truth_of_size": tokens("- mean: {over: T, keep: x.T > 6}\n", 7),
    "truth_for_a_block": tokens(
        "- Part: {kept: x.T > 6}\n",
        7,
        blocks="blocks: {Part: {params: {kept: true}, steps: [{relu: {}, when: kept}]}}\n",
    ),
    "name_of_a_truth": tokens(
        "- Part:\n",
        7,
        blocks="blocks: {Part: {inputs: {x: [T, C]}, let: {big: x.T > 6}, steps: [{mean: {over: T, keep: big}}]}}\n",
    ),
    "table": tokens("- weight: {axes: {T: 5, C: 8}, init: normal(1)}\n  as: t\n- add: [x, t]\n", 1, 4),
    "table_of_input": tokens(
        "- weight: {axes: {T: x.T, C: 8}, init: normal(1)}\n  as: t\n- add: [x, t]\n", 1, 7
    ),
    "factor": tokens("- weight: {axes: {T: 5}, init: normal(1)}\n  as: t\n- multiply: [x, t]\n", 1, 10),
    "const": tokens("- const: {axes: {T: 5}, value: T + 1}\n  as: t\n- multiply: [x, t]\n", 1, 3),
    "table_in_block": tokens(
        "- linear: {features: 4}\n- Add:\n",
        1,
        6,
        blocks="blocks: {Add: {inputs: {x: [T, C]}, steps: ["
        "{weight: {axes: {T: x.T, C: x.C}, init: normal(1)}, as: t}, {add: [x, t]}]}}\n",
    ),
    "table_by_parameter": tokens(
        "- Add: {length: 5}\n",
        1,
        6,
        blocks="blocks: {Add: {params: {length: int}, inputs: {x: [T, C]}, steps: ["
        "{weight: {axes: {T: length, C: x.C}, init: normal(1)}, as: t}, {add: [x, t]}]}}\n",
    ),
    "queries": tokens(
        "- weight: {axes: {T: 3, C: 8}, init: normal(1)}\n  as: q\n- concat: {of: [q, x], over: T}\n  as: joined\n"
        "- weight: {axes: {T: 8, C: 8}, init: normal(1)}\n  as: t\n- add: [joined, t]\n",
        1,
        4,
    ),
    "product": tokens(
        "- weight: {axes: {T: 5, R: 3}, init: normal(1)}\n  as: t\n- contract: {of: [x, t], over: T}\n", 1, 3
    ),
    "renamed": tokens(
        "- linear: {features: 8}\n- rename: {axes: {T: S}}\n- relu:\n  as: y\n"
        "- weight: {axes: {S: 5, C: 8}, init: normal(1)}\n  as: t\n- add: [y, t]\n",
        1,
        3,
    ),
    "flat_linear": maps(
        "- conv: {channels: 4, stride: 2}\n- flatten: {axes: [C, H, W]}\n- linear: {features: 3}\n",
        (7, 8),
        (8, 16),
        (4, 4),
    ),
    "flat_linear_in_block": maps(
        "- Head:\n",
        (4, 16),
        (16, 16),
        blocks="blocks: {Head: {inputs: {x: [C, H, W]}, steps: ["
        "{flatten: {axes: [C, H, W]}}, {linear: {features: 3}}]}}\n",
    ),
    "grid": tokens(
        "- unflatten: {axis: T, into: {H: 3, W: 4}}\n- conv: {channels: 4}\n", 4, 24, 6, declared=12
    ),
    "rows": tokens(
        "- unflatten: {axis: T, into: {H: -1, W: 4}}\n- conv: {channels: 4}\n", 4, 24, 6, declared=12
    ),
    "grid_in_block": tokens(
        "- Grid:\n",
        24,
        4,
        declared=12,
        blocks="blocks: {Grid: {params: {h: 3}, inputs: {x: [T, C]}, steps: ["
        "{unflatten: {axis: T, into: {H: h, W: 4}}}, {conv: {channels: 4}}]}}\n",
    ),
    "windows": maps(
        "- unflatten: {axis: H, into: {H: -1, I: 4}}\n- unflatten: {axis: W, into: {W: -1, J: 4}}\n"
        "- flatten: {axes: [I, J], into: T}\n- layer_norm:\n- linear: {features: 4}\n"
        "- unflatten: {axis: T, into: {I: 4, J: 4}}\n- flatten: {axes: [H, I], into: H}\n"
        "- flatten: {axes: [W, J], into: W}\n",
        (4, 12),
        (16, 8),
        (6, 8),
    ),
    "packed_windows": maps(
        "- unflatten: {axis: H, into: {N: 2, H: 4}}\n- mean: {over: N}\n- conv: {channels: 4}\n",
        (16, 8),
        (4, 8),
        (12, 6),
    ),
    "head": tokens("- slice: {over: T, stop: 4}\n- linear: {features: 3}\n", 3, 9, declared=6),
    "last": tokens("- slice: {over: T, at: 4}\n- linear: {features: 3}\n", 3, 9, declared=6),
    "tail": tokens("- slice: {over: T, start: x.T - 2}\n- linear: {features: 3}\n", 3, 9, declared=6),
    "tail_by_sign": tokens("- slice: {over: T, start: -3}\n- linear: {features: 3}\n", 2, 9, declared=6),
    "padded": maps(
        "- pad: {padding: {H: [0, -x.H % 4], W: [0, -x.W % 4]}}\n- conv: {channels: 4, stride: 4, kernel: 4, padding: 0}\n",
        (5, 7),
        (4, 12),
    ),
    "padded_to_windows": maps(
        "- pad: {padding: {H: [0, -x.H % 4], W: [0, -x.W % 4]}}\n  as: p\n"
        "- unflatten: {axis: H, into: {rows: p.H // 4, h: 4}}\n- unflatten: {axis: W, into: {columns: p.W // 4, w: 4}}\n"
        "- flatten: {axes: [h, w], into: T}\n- softmax: {over: T}\n- unflatten: {axis: T, into: {h: 4, w: 4}}\n"
        "- flatten: {axes: [rows, h], into: H}\n- flatten: {axes: [columns, w], into: W}\n"
        "- slice: {over: H, stop: x.H}\n- slice: {over: W, stop: x.W}\n",
        (9, 13),
        (4, 20),
    ),
    "padded_up_to": tokens(
        "- pad: {padding: {T: [0, 12 - x.T]}}\n  as: p\n- weight: {axes: {T: p.T}, init: normal(1)}\n  as: t\n"
        "- multiply: [p, t]\n- unflatten: {axis: T, into: {a: p.T // 4, b: 4}}\n",
        7,
        12,
    ),
    "rows_one_by_one": maps(
        "- conv: {channels: 4, stride: 2}\n- conv: {channels: 5, over: [W]}\n- relu\n- mean: {over: H}\n",
        (12, 6),
        (16, 24),
    ),
    "rows_in_block": maps(
        "- Rows:\n- conv: {channels: 4, stride: 2}\n- Rows:\n",
        (24, 12),
        (12, 24),
        declared=(16, 16),
        blocks="blocks: {Rows: {steps: [max_pool: {kernel: 2}, lstm: {units: 4, over: W}, softmax: {over: H}]}}\n",
    ),
    "rows_of_part": maps(
        "- conv: {channels: 4, stride: 2}\n- split: {over: C, into: [a, b]}\n  as: s\n"
        "- gru: {units: 3, over: H}\n  from: s.a\n- softmax: {over: W}\n",
        (12, 6),
        (16, 24),
    ),
    "places_one_by_one": maps(
        "- unfold: {kernel: 2, stride: 2, into: K}\n- conv: {channels: 5, over: [K]}\n- group_norm: {groups: 5}\n"
        "- softmax: {over: W}\n",
        (12, 6),
        (16, 24),
    ),
    # Its rows are those of the map behind the stride, not those of `y`, which are as many at the declared size.
    "rows_of_another": Sized(
        "inputs: {y: {C: 4, H: @S, W: 4}, x: {C: 4, H: @H, W: 6}}\nsteps:\n- conv: {channels: 4, stride: 2}\n  from: x\n"
        "- conv: {channels: 4, over: [W]}\n  as: rows\n- mean: {over: [H, W]}\n  from: y\n- multiply: [rows, prev]\n",
        {"H": 8, "S": 4},
        ({"H": 12, "S": 4}, {"H": 8, "S": 6}),
    ),
    # Four samples of six rows are as many as six of four: Keras must not take them for whole windows.
    "rows_of_windows": maps("- unflatten: {axis: H, into: {rows: x.H // 4, h: 4}}\n", (6, 8), (12, 8)),
    "windows_in_block": maps(
        "- conv: {channels: 4, stride: 2}\n- Windows: {window: 2}\n",
        (6, 8),
        (12, 8),
        blocks="blocks: {Windows: {params: {window: int}, inputs: {x: [C, H, W]}, steps: ["
        "{unflatten: {axis: H, into: {rows: x.H // window, h: window}}}]}}\n",
    ),
    "as_many_as_rows": maps(
        "- unflatten: {axis: W, into: {r: -1, h: x.H}}\n", (6, 8), (4, 16), declared=(4, 8)
    ),
    "square_of_tokens": maps(
        "- flatten: {axes: [H, W], into: T}\n- softmax: {over: T}\n- unflatten: {axis: T, into: {H: x.H, W: x.H}}\n",
        (4, 16),
        (6, 6),
    ),
    "halves_of_rows": maps(
        "- split: {over: H, into: {a: x.H // 2, b: x.H // 2}}\n  as: s\n- relu:\n  from: s.b\n",
        (9, 8),
        (6, 8),
    ),
    "read_from_step": maps(
        "- conv: {channels: 4, stride: 2}\n  as: half\n- conv: {channels: 4, stride: 2}\n"
        "- resize: {size: {H: half.H, W: half.W}, mode: bilinear}\n- add: [half, prev]\n",
        (10, 8),
        (7, 12),
    ),
    "drawn_table": tokens(
        "- const: {axes: {T: x.T}, random: normal, seed: 3}\n  as: t\n- multiply: [x, t]\n", 1, 7
    ),
    "given_table": tokens(
        "- const: {axes: {T: x.T}, values: [1, 2, 3, 4, 5]}\n  as: t\n- multiply: [x, t]\n", 1, 7
    ),
    "size_as_seed": tokens(
        "- const: {axes: {C: 8}, random: normal, seed: x.T}\n  as: t\n- multiply: [x, t]\n", 1, 7
    ),
    "rows_of_step": maps(
        "- conv: {channels: 4, stride: 2}\n  as: half\n- flatten: {axes: [H, W], into: T}\n- linear: {features: 6}\n"
        "- unflatten: {axis: T, into: {H: half.H, W: half.W}}\n- conv: {channels: 2}\n",
        (10, 8),
        (7, 12),
    ),
    "cut_to_step": maps(
        "- conv: {channels: 4, padding: 0}\n  as: small\n- slice: {over: H, stop: small.H}\n  from: x\n"
        "- slice: {over: W, start: x.W - small.W}\n  as: cropped\n- concat: [small, cropped]\n",
        (7, 9),
        (12, 6),
    ),
    "table_of_step": maps(
        "- Weighted:\n",
        (10, 8),
        (7, 12),
        blocks="blocks: {Weighted: {inputs: {x: [C, H, W]}, steps: [{conv: {channels: 4, stride: 2}, as: half},"
        "{const: {axes: {H: half.H, W: half.W}, value: H + W * half.W}, as: t}, {multiply: [half, t]}]}}\n",
    ),
    "table_of_step_in_model": maps(
        "- conv: {channels: 4, stride: 2}\n  as: half\n- const: {axes: {H: half.H, W: half.W}, value: H + W * half.W}\n"
        "  as: t\n- multiply: [half, t]\n",
        (10, 8),
        (7, 12),
    ),
    "weight_of_step": maps(
        "- conv: {channels: 4, stride: 2}\n  as: half\n- weight: {axes: {H: half.H, W: half.W}, init: normal(1)}\n"
        "  as: t\n- multiply: [half, t]\n",
        (10, 8),
        (7, 12),
    ),
    "condition_of_step": maps(
        "- conv: {channels: 4, stride: 2}\n  as: half\n- scale: {by: 2}\n  when: half.H > 3\n- conv: {channels: 2}\n",
        (4, 8),
        (12, 8),
    ),
    "argument_of_step": maps(
        "- conv: {channels: 4, stride: 2}\n  as: half\n- Cut: {height: half.H}\n",
        (4, 8),
        (12, 8),
        blocks="blocks: {Cut: {params: {height: int}, inputs: {x: [C, H, W]}, steps: ["
        "{slice: {over: H, stop: height - 1}}, {conv: {channels: 3}}]}}\n",
    ),
    "size_of_part": maps(
        "- split: {over: C, into: [a, b]}\n  as: s\n- max_pool: {kernel: 2}\n  from: s.a\n- resize: {size: {H: s.b.H, W: s.b.W}}\n"
        "- add: [prev, s.b]\n- conv: {channels: 2}\n",
        (10, 8),
        (7, 12),
    ),
    "size_of_unused_step": maps(
        "- max_pool: {kernel: 2}\n  as: pooled\n- resize: {size: {H: pooled.H, W: pooled.W}}\n  from: x\n- conv: {channels: 2}\n",
        (10, 8),
        (7, 12),
    ),
    "size_of_step_of_other_axis": Sized(
        "inputs: {x: {C: 4, S: @S}}\nsteps:\n- conv: {channels: 4, stride: 2, over: S}\n  as: half\n"
        "- unflatten: {axis: C, into: {K: 2, C: 2}}\n- flatten: {axes: [S, K], into: Q}\n"
        "- unflatten: {axis: Q, into: {S: half.S, K: 2}}\n- linear: {features: 3}\n",
        {"S": 8},
        ({"S": 12}, {"S": 7}),
    ),
    "size_inside_block": maps(
        "- Inner:\n  as: inner\n- resize: {size: {H: inner.small.H, W: inner.small.W}}\n- conv: {channels: 2}\n",
        (10, 8),
        (7, 12),
        blocks="blocks: {Inner: {inputs: {x: [C, H, W]}, steps: [{max_pool: {kernel: 2}, as: small},"
        "{resize: {size: {H: x.H, W: x.W}}}]}}\n",
    ),
    "repeated_windows": maps(
        "- do:\n  - conv: {channels: 4, stride: 2}\n    as: half\n  - flatten: {axes: [H, W], into: T}\n  - linear: {features: 4}\n"
        "  - unflatten: {axis: T, into: {H: half.H, W: half.W}}\n  repeat: 2\n  as: stage\n",
        (10, 8),
        (7, 12),
    ),
    "sizes_of_instances": maps(
        "- Down:\n- Down:\n- conv: {channels: 2}\n",
        (10, 8),
        (17, 12),
        blocks="blocks: {Down: {inputs: {x: [C, H, W]}, steps: [{conv: {channels: x.C, stride: 2}, as: half},"
        "{flatten: {axes: [H, W], into: T}}, {linear: {features: 4}}, {unflatten: {axis: T, into: {H: half.H, W: half.W}}}]}}\n",
    ),
    "read_from_block": maps(
        "- Half:\n  as: half\n- conv: {channels: 4, stride: 2}\n"
        "- resize: {size: {H: 2 * half.H, W: half.W + 1}}\n",
        (10, 8),
        (7, 12),
        blocks="blocks: {Half: {inputs: {x: [C, H, W]}, steps: [{max_pool: {kernel: 2}}]}}\n",
    ),
    "fixed_resize": maps(
        "- resize: {size: {H: 4, W: 4}}\n- flatten: {axes: [C, H, W]}\n- linear: {features: 3}\n",
        (5, 7),
        (1, 4),
    ),
    "fixed_pool": maps(
        "- adaptive_avg_pool: {size: 2}\n- flatten: {axes: [C, H, W]}\n- linear: {features: 3}\n",
        (5, 7),
        (4, 4),
    ),
    "u_net": maps(
        "- conv: {channels: 4}\n  as: fine\n- max_pool: {kernel: 2}\n- conv: {channels: 4}\n- resize: {scale: 2}\n"
        "- pad: {padding: {H: [0, x.H % 2], W: [0, x.W % 2]}}\n  as: up\n- concat: [fine, up]\n- conv: {channels: 2}\n",
        (7, 9),
        (12, 6),
    ),
    "u_net_like": maps(
        "- conv: {channels: 4}\n  as: fine\n- max_pool: {kernel: 2}\n- conv: {channels: 4}\n- resize: {like: fine}\n"
        "  as: up\n- concat: [fine, up]\n- conv: {channels: 2}\n",
        (7, 9),
        (12, 6),
    ),
    "crop": maps(
        "- conv: {channels: 4, padding: 0}\n  as: small\n"
        "- slice: {over: H, start: (x.H - small.H) // 2, stop: (x.H - small.H) // 2 + small.H}\n  from: x\n"
        "- slice: {over: W, start: 1, stop: x.W - 1}\n  as: cropped\n- concat: [small, cropped]\n",
        (7, 9),
        (12, 6),
    ),
    "coordinate_attention": maps("- CoordinateAttention:\n", (5, 9), (12, 4)),
    "spatial_reduction": maps(
        "- flatten: {axes: [H, W], into: T}\n- layer_norm:\n  as: tokens\n- Reduced:\n  from: [tokens, x]\n",
        (4, 12),
        (6, 8),
        blocks="blocks: {Reduced: {inputs: {t: [T, C], x: [C, H, W]}, steps: ["
        "{unflatten: {axis: T, into: {H: x.H, W: x.W}}}, {conv: {channels: t.C, kernel: 2, stride: 2, padding: 0}},"
        "{flatten: {axes: [H, W], into: T}, as: kv}, {attention: {query: t, key: kv, value: kv}}]}}\n",
    ),
    "size_as_argument": maps(
        "- Mask: {height: x.H}\n",
        (4, 8),
        (12, 8),
        (1, 8),
        blocks="blocks: {Mask: {params: {height: int}, inputs: {x: [C, H, W]}, steps: ["
        "{const: {axes: {H: height}, value: H + 1}, as: m}, {multiply: [x, m]}]}}\n",
    ),
    "size_as_number": maps(
        "- Half: {height: x.H}\n",
        (4, 8),
        (12, 8),
        blocks="blocks: {Half: {params: {height: int}, inputs: {x: [C, H, W]}, steps: ["
        "{slice: {over: H, stop: height // 2}}, {conv: {channels: 3}}]}}\n",
    ),
    "condition": maps("- conv: {channels: 4}\n  when: x.H > 6\n- relu:\n", (4, 8), (12, 8)),
    "condition_in_block": maps(
        "- Sometimes:\n",
        (4, 8),
        (12, 8),
        blocks="blocks: {Sometimes: {inputs: {x: [C, H, W]}, steps: ["
        "{scale: {by: 2}, when: x.H > 6}, {conv: {channels: 3}}]}}\n",
    ),
    "repeat": tokens("- linear: {features: 8}\n  repeat: x.T - 1\n  as: row\n", 3, 7),
    "mixer": tokens("- linear: {features: 6, over: T}\n- linear: {features: 3}\n", 1, 4),
    "global_kernel": maps(
        "- conv: {channels: 4, groups: 4, kernel: {H: x.H, W: x.W}, padding: 0}\n- linear: {features: 3}\n",
        (4, 8),
        (10, 9),
        (8, 12),
    ),
    "global_pool": maps(
        "- avg_pool: {kernel: {H: x.H, W: x.W}, padding: 0}\n- conv: {channels: 3}\n", (4, 8), (8, 17), (9, 8)
    ),
    "norm_of_places": maps(
        "- layer_norm: {over: [C, H, W]}\n- conv: {channels: 3}\n", (8, 1), (1, 8), (4, 4)
    ),
    "relative_positions": tokens(
        "- linear: {features: 8}\n- rename: {axes: {T: S}}\n  as: k\n- contract: {of: [x, k], over: C}\n  as: scores\n"
        "- weight: {axes: {R: 2 * x.T - 1}, init: normal(1)}\n  as: table\n"
        "- const: {axes: {T: x.T, S: x.T}, value: T - S + x.T - 1, dtype: int32}\n  as: index\n"
        "- gather: {over: R, index: index}\n  from: table\n  as: bias\n- add: [scores, bias]\n- softmax: {over: S}\n",
        1,
        3,
        7,
    ),
    "position_embedding": tokens(
        "- const: {axes: {T: x.T}, value: T, dtype: int32}\n- embedding: {count: 6, features: 8}\n  as: t\n- add: [x, t]\n",
        1,
        6,
        7,
    ),
    "cut_table": tokens(
        "- weight: {axes: {T: 6, C: 8}, init: normal(1)}\n- slice: {over: T, stop: x.T}\n  as: t\n- add: [x, t]\n",
        1,
        6,
        7,
    ),
    "halves": tokens(
        "- split: {over: T, into: [a, b]}\n  as: s\n- subtract: [s.a, s.b]\n", 2, 8, 5, declared=6
    ),
    "sized_parts": tokens(
        "- split: {over: T, into: {a: 2, b: 4}}\n  as: s\n- mean: {over: T}\n  from: s.b\n", 5, 9, declared=6
    ),
    "cross": Sized(
        "inputs: {x: {T: @T, C: 8}, y: {T: @S, C: 8}}\nsteps:\n- add: [x, y]\n- linear: {features: 3}\n",
        {"T": 4, "S": 4},
        ({"T": 6, "S": 6}, {"T": 1, "S": 1}),
    ),
    "padding_mask": pairs(
        SEEN + "- attention: {query: x, key: x, value: x, mask: seen}\n- linear: {features: 3}\n"
    ),
    "renamed_mask": pairs(
        "- linear: {features: 8}\n  from: x\n- conv: {channels: 8, over: T}\n  as: y\n"
        + SEEN
        + "- rename: {axes: {T: S}}\n  as: keys\n- attention: {query: y, key: x, value: x, mask: keys}\n"
    ),
    "mask_in_block": pairs(
        SEEN + "- Layer:\n  from: [x, seen]\n  repeat: 2\n- linear: {features: 3}\n",
        "blocks: {Layer: {inputs: {x: [T, C], m: {axes: [T], dtype: bool}}, steps: ["
        "{linear: {features: x.C}}, {attention: {query: prev, key: x, value: x, mask: m}}]}}\n",
    ),
    "gate_of_input": pairs("- linear: {features: 3}\n  from: x\n- multiply: [prev, m]\n"),
    "chosen_by_input": pairs(
        SEEN + "- where: {then: x, condition: seen, value: 0}\n- linear: {features: 3}\n"
    ),
    "scanned_together": pairs(
        "- weight: {axes: {C: 8}, init: zeros}\n  as: start\n"
        "- Step:\n  scan: T\n  from: {x: x, m: m, h: start}\n  as: run\n- linear: {features: 3}\n  from: run.h\n",
        "blocks: {Step: {inputs: {x: [C], m: [], h: [C]}, steps: ["
        "{multiply: [x, m]}, {add: [prev, h]}, {tanh: , as: state}], outputs: {h: state}}}\n",
    ),
    "recurrent": tokens("- lstm: {units: 3}\n- expand: {axes: {S: x.T}}\n- cumsum: {over: T}\n", 1, 9),
    "roll": tokens("- roll: {shift: {T: x.T // 2}}\n- flip: {over: T}\n- linear: {features: 2}\n", 1, 8),
    "best": tokens(
        "- mean: {over: C}\n- top_k: {over: T, k: 3}\n  as: best\n- linear: {features: 2, over: T}\n  from: best.values\n",
        9,
        2,
    ),
    "unfolded": maps(
        "- unfold: {kernel: 2, stride: 2, into: K}\n- fold: {kernel: 2, stride: 2, axis: K}\n- conv: {channels: 2}\n",
        (4, 10),
        (7, 8),
    ),
    "shuffled": maps(
        "- pixel_unshuffle: {factor: 2}\n- conv: {channels: 8}\n- pixel_shuffle: {factor: 2}\n",
        (4, 10),
        (7, 8),
    ),
    "unshuffled": maps(
        "- conv: {channels: 4, stride: 2}\n- pixel_unshuffle: {factor: 2}\n- conv: {channels: 2}\n",
        (10, 12),
        (16, 4),
    ),
    "windows_of_step": maps(
        "- conv: {channels: 4, stride: 2}\n- unflatten: {axis: W, into: {columns: 2, w: 2}}\n- linear: {features: 3}\n",
        (8, 16),
        (16, 4),
        (6, 8),
    ),
    "any_windows_of_step": maps(
        "- conv: {channels: 4, stride: 2}\n- unflatten: {axis: W, into: {columns: -1, w: 2}}\n- linear: {features: 3}\n",
        (8, 12),
        (8, 10),
        (6, 4),
    ),
    "windows_of_both": maps(
        "- unflatten: {axis: H, into: {rows: 2, h: 4}}\n- unflatten: {axis: W, into: {columns: 2, w: 4}}\n"
        "- linear: {features: 3}\n",
        (8, 16),
        (16, 4),
    ),
    "windows_of_places": maps(
        "- flatten: {axes: [H, W], into: T}\n- unflatten: {axis: T, into: {P: 16, Q: 4}}\n- linear: {features: 3}\n",
        (8, 16),
        (4, 4),
        (16, 4),
    ),
    "windows_of_part": maps(
        "- split: {over: C, into: [a, b]}\n  as: s\n- unflatten: {axis: W, into: {columns: 2, w: 4}}\n  from: s.a\n"
        "- linear: {features: 3}\n",
        (8, 16),
        (16, 4),
    ),
    "parts_of_step": maps(
        "- conv: {channels: 4, stride: 2}\n- split: {over: H, into: {a: 1, b: 3}}\n  as: s\n"
        "- linear: {features: 3}\n  from: s.b\n",
        (10, 8),
        (6, 8),
    ),
    "spectrum": tokens(
        "- rfft: {over: T}\n  as: f\n- irfft: {over: T, imaginary: f.imaginary}\n  from: f.real\n- linear: {features: 2}\n",
        4,
        10,
        5,
        declared=6,
    ),
}
