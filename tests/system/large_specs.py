"""Large specs: honest ones, which are done, and ones that multiply work, which are refused with their place.

`tests/system/test_bounds.py` holds them to the bounds of SECURITY.md, and `benchmarks/bounds.py` records what they take.
"""

from __future__ import annotations

HEAD = "specbuild: 1\nmodel: Net\ninputs: {x: {C: 8}}\n"
IMAGE = "specbuild: 1\nmodel: Net\ninputs: {x: {C: 8, H: any, W: any}}\n"
LONG = ", ".join(["1"] * 9_900)


def named_steps(count: int) -> str:
    return "".join(f"  - linear: {{features: 8}}\n    as: s{i}\n" for i in range(count))


def tapped_block(count: int) -> str:
    steps = ", ".join(f"{{relu: {{}}, as: r{i}}}" for i in range(count))
    outputs = ", ".join(f"b.r{i}" for i in range(count))
    return f"blocks:\n  B: {{steps: [{steps}]}}\nsteps:\n  - B:\n    as: b\noutputs: [{outputs}]\n"


def read_names(count: int) -> str:
    return f"max({', '.join(f'p{i % 10}' for i in range(count))})"


def different_blocks(count: int, steps: int = 1) -> str:
    inside = ", ".join(["linear: {features: 8}"] * steps)
    blocks = "".join(f"  B{i}: {{steps: [{inside}]}}\n" for i in range(count))
    return f"blocks:\n{blocks}steps:\n" + "".join(f"  - B{i}\n" for i in range(count))


def conditional_block(params: list[str], conditions: list[str], uses: int) -> str:
    steps = "".join(
        f"      - {{linear: {{features: p{i % len(params)}}}, when: {condition}}}\n"
        for i, condition in enumerate(conditions)
    )
    return (
        f"blocks:\n  B:\n    params: {{{', '.join(params)}}}\n    steps:\n{steps}      - linear: {{features: p9}}\n"
        "steps:\n" + "".join(f"  - B: {{p0: {i + 1}}}\n" for i in range(uses))
    )


def tree_of_blocks(depth: int) -> str:
    """Blocks that each use another one twice, with two numbers: no two instances are equal."""
    inner = "".join(
        f"  L{i}: {{params: {{n: 1}}, steps: [L{i - 1}: {{n: 2 * n}}, L{i - 1}: {{n: 2 * n + 1}}]}}\n"
        for i in range(1, depth)
    )
    leaf = "  L0: {params: {n: 1}, steps: [linear: {features: n}]}\n"
    return f"blocks:\n{leaf}{inner}steps: [L{depth - 1}: {{n: 1}}]\n"


def drawn_tables(count: int) -> str:
    """Tables of random numbers that are short enough to stand in the code."""
    return "steps:\n" + "".join(
        f"  - const: {{axes: {{C: 8, T: 128}}, random: normal, seed: {i}}}\n  - mean: {{over: T}}\n    as: c{i}\n"
        f"  - add: [{f'a{i - 1}' if i else 'x'}, c{i}]\n    as: a{i}\n"
        for i in range(count)
    )


def tables_of_sums(count: int) -> str:
    return "steps:\n" + "".join(
        f"  - const: {{axes: {{C: 8}}, value: '{' + '.join(['C'] * 25)} + {i}'}}\n    as: c{i}\n"
        f"  - add: [{f'a{i - 1}' if i else 'x'}, c{i}]\n    as: a{i}\n"
        for i in range(count)
    )


def joins_of_lists(count: int) -> str:
    """Calls of a block with lists of different lengths: each length has a class of its own."""
    calls = "".join(
        f"  - G:\n    from: [{', '.join(f'stem.{k}' for k in range(j + 2))}]\n    as: g{j}\n"
        for j in range(count)
    )
    inside = "{do: [linear: {features: 4}], foreach: {m: maps.*}, from: m, collect: add}"
    return (
        f"blocks: {{G: {{inputs: {{maps: {{each: [C]}}}}, steps: [{inside}]}}}}\nsteps:\n"
        f"  - {{linear: {{features: 8}}, repeat: 90, as: stem}}\n{calls}"
        f"outputs: {{{', '.join(f'g{j}: g{j}' for j in range(count))}}}\n"
    )


def optional_inputs(count: int, uses: int) -> str:
    """Calls of a block that give it other ones of its optional inputs each."""
    steps = "".join(f"      - {{add: [prev, m{i}], when: given(m{i})}}\n" for i in range(count))
    calls = "".join(
        f"  - B:\n    from: {{x: prev{''.join(f', m{i}: x' for i in range(count) if j >> i & 1)}}}\n"
        for j in range(uses)
    )
    inputs = ", ".join(f"m{i}: {{axes: [C], optional: true}}" for i in range(count))
    return (
        f"blocks:\n  B:\n    inputs: {{x: [C], {inputs}}}\n    steps:\n{steps}      - linear: {{features: 8}}\n"
        f"steps:\n  - relu\n{calls}"
    )


DONE = {
    "chain": "steps:\n" + named_steps(5_900),
    "repeat": "steps:\n  - {linear: {features: 8}, repeat: 5900}\n",
    "reuse": "steps:\n  - linear: {features: 8}\n    as: a\n" + "  - reuse: a\n" * 5_000,
    "taps": tapped_block(4_000),
    "edits": f"steps:\n{named_steps(5_900)}edits:\n" + "".join(f"  - remove: s{i}\n" for i in range(60)),
    "parameters": "params:\n"
    + "".join(f"  p{i}: {i + 1}\n" for i in range(5_900))
    + "steps:\n"
    + "".join(f"  - linear: {{features: p{i}}}\n" for i in range(0, 5_900, 6)),
    "defaults": "params:\n  p0: 1\n"
    + "".join(f"  p{i + 1}: p{i} + 1\n" for i in range(1_500))
    + "steps: [linear: {features: p1500}]\n",
    "blocks": different_blocks(590),
    "tables": "steps:\n"
    + "".join(
        f"  - const: {{axes: {{C: 8}}, value: C}}\n    as: c{i}\n  - add: [{f'a{i - 1}' if i else 'x'}, c{i}]\n    as: a{i}\n"
        for i in range(1_000)
    ),
    "blocks of many steps": different_blocks(58, 100),
    "conditions": conditional_block(
        [f"p{i}: {i + 1}" for i in range(30)],
        [f"p{i % 30} + p{(i * 7 + 1) % 30} > {i % 50}" for i in range(600)],
        9,
    ),
    "defaults that follow": conditional_block(
        ["p0: 3", *(f"p{i}: p{i - 1} + 1" for i in range(1, 100))],
        [f"p{i} > {i % 50}" for i in range(100)],
        20,
    ),
    "long lets": (
        f"blocks:\n  B:\n    params: {{{', '.join(f'p{i}: {i + 1}' for i in range(20))}}}\n    let: {{a0: p0, "
        + ", ".join(f"a{i}: a{i - 1} + p{i % 20} - p{i % 20}" for i in range(1, 1_500))
        + "}\n    steps:\n"
        + "".join(f"      - {{linear: {{features: a{i * 10}}}, when: p0 > {i}}}\n" for i in range(20))
        + "      - linear: {features: 8}\nsteps:\n"
        + "".join(f"  - B: {{p0: {i + 1}}}\n" for i in range(3))
    ),
    "drawn numbers": drawn_tables(64),
    "tree of instances": tree_of_blocks(11),
    "uses of a group": "steps:\n  - {do: [linear: {features: 8}, linear: {features: 8}, relu], as: g}\n"
    + "  - reuse: g\n" * 2_400,
    "skipped steps": "steps:\n" + "  - {linear: {features: 8}, when: false}\n" * 5_900,
    "instances": "blocks: {B: {params: {n: 1}, steps: [linear: {features: n}]}}\n"
    "steps:\n  - B: {n: i + 1}\n    repeat: 1900\n",
}
DONE |= {
    "tables of sums": tables_of_sums(210),
    "joins of lists": joins_of_lists(50),
    "optional inputs": optional_inputs(9, 400),
    "new expressions": "params: {n: 8, m: 1}\nsteps:\n"
    + "".join(f"  - {{linear: {{features: n + n + {i}}}, when: m + {i % 7} > 0}}\n" for i in range(1_900)),
}
NUMBERED = f"params: {{{', '.join(f'p{i}: 1' for i in range(10))}}}\n"
OVER_A_LIMIT = {
    "conditions": (
        "SB502",
        f"{NUMBERED}steps:\n"
        + "".join(f"  - {{relu: {{}}, when: '{read_names(40)} > {i}'}}\n" for i in range(5_000)),
    ),
    "repeated conditions": (
        "SB502",
        f"{NUMBERED}steps:\n  - do: [{{relu: {{}}, when: '{read_names(60)} > i'}}]\n    repeat: 4000\n",
    ),
    "defaults of a block": (
        "SB502",
        f"blocks:\n  B:\n    params: {{n: 1, {', '.join(f'p{i}: n' for i in range(10))}, "
        f"{', '.join(f'q{i}: {chr(39)}{read_names(60)}{chr(39)}' for i in range(90))}}}\n"
        "    steps: [linear: {features: n}]\nsteps:\n  - B: {n: i + 1}\n    repeat: 1000\n",
    ),
    "blocks": ("SB502", different_blocks(601)),
    "sums": (
        "SB502",
        f"params: {{a: [{LONG}]}}\nsteps:\n  - {{linear: {{features: sum(a) // sum(a) * 8}}, repeat: 5900}}\n",
    ),
    "lists of blocks": (
        "SB502",
        "blocks: {B: {params: {a: [], n: 1}, steps: [linear: {features: n}]}}\n"
        f"params: {{a: [{LONG}]}}\nsteps:\n  - B: {{a: a, n: i + 1}}\n    repeat: 4000\n",
    ),
    "loops": (
        "SB502",
        "steps:\n  - do:\n    - do:\n      - {relu: {}, when: i < 0}\n      repeat: 10000\n    repeat: 10000\n",
    ),
    "lets": (
        "SB502",
        "blocks:\n  B:\n    params: {n: 1}\n    let: {a0: n + x.C, "
        + ", ".join(f"a{i}: a{i - 1} + 1" for i in range(1, 900))
        + "}\n    steps: [linear: {features: a899 % 8 + 8}]\nsteps:\n"
        + "".join(f"  - B: {{n: {i + 1}}}\n" for i in range(900)),
    ),
    "tables": (
        "SB504",
        "steps:\n"
        + "".join(
            f"  - const: {{axes: {{C: 8, T: 1000000}}, random: normal, seed: {i}}}\n" for i in range(60)
        ),
    ),
    "drawn numbers": ("SB504", drawn_tables(65)),
    "tables of sums": ("SB502", tables_of_sums(1_000)),
    "sums of many": (
        "SB502",
        "steps:\n  - {linear: {features: 8}, as: s0}\n  - {linear: {features: 8}, as: s1}\n"
        + "".join(
            f"  - add: [{', '.join(f's{j}' for j in range(max(0, i - 100), i))}]\n    as: s{i}\n"
            for i in range(2, 900)
        ),
    ),
    "values of repeats": (
        "SB502",
        "steps:\n  - {linear: {features: 8}, repeat: 5900, as: r}\n  - add: ["
        + ", ".join(["r.*"] * 100)
        + "]\n",
    ),
    "edits of a large model": (
        "SB502",
        "blocks: {B: {steps: [linear: {features: 8}, relu: {}, linear: {features: 8}]}}\n"
        "steps:\n  - {B: {}, repeat: 3000, as: a}\nedits:\n" + "  - freeze: '**.linear1'\n" * 30,
    ),
    "edits with stars": ("SB502", f"steps:\n{named_steps(5_900)}edits:\n" + "  - freeze: '*0*s*0*'\n" * 60),
    "edits that select nothing": (
        "SB208",
        f"steps:\n{named_steps(5_900)}edits:\n" + "".join(f"  - remove: n{i}\n" for i in range(60)),
    ),
    "misfit": (
        "SB304",
        f"steps:\n{named_steps(3_000)}edits:\n"
        + "".join(f"  - remove: s{i}\n" for i in range(59))
        + "  - set: s99\n    to: {features: -3}\n",
    ),
}
ACCEPTED = {name: HEAD + text for name, text in DONE.items()} | {
    "values of many axes": f"specbuild: 1\nmodel: Net\ninputs: {{x: {{{', '.join(f'a{i}: 2' for i in range(28))}}}}}\nsteps:\n"
    + "  - relu\n  - softmax: {over: a3}\n  - mean: {over: a4}\n  - expand: {axes: {a4: 2}}\n" * 350,
    "sizes of steps": "specbuild: 1\nmodel: Net\ninputs: {x: {C: 8, H: 16, W: 16}}\nsteps:\n"
    + "".join(
        f"  - {{conv: {{channels: 8, kernel: 3}}, as: s{i}}}\n  - resize: {{size: {{H: s{i}.H, W: s{i}.W}}}}\n"
        for i in range(1_200)
    ),
}
REFUSED = {name: (code, HEAD + text) for name, (code, text) in OVER_A_LIMIT.items()} | {
    "sizes that can be any": ("SB502", IMAGE + "steps:\n" + "  - conv: {channels: 8, kernel: 3}\n" * 5_000),
    "values of many axes": (
        "SB502",
        f"specbuild: 1\nmodel: Net\ninputs: {{x: {{{', '.join(f'a{i}: 2' for i in range(28))}}}}}\nsteps:\n"
        + "  - relu\n  - softmax: {over: a3}\n  - mean: {over: a4}\n  - expand: {axes: {a4: 2}}\n" * 900,
    ),
    "inputs with sizes that can be any": (
        "SB502",
        "specbuild: 1\nmodel: Net\ninputs: {"
        + ", ".join(f"x{i}: {{T: any, C: 8}}" for i in range(300))
        + "}\nsteps: [{relu: {}, from: x0}]\n",
    ),
}
