"""Attention: name -> (inputs, steps)."""

PROJECTED = """\
- linear: {features: 12}
  from: x
  as: query
- unflatten: {into: {heads: 3, C: -1}}
  as: q
- linear: {features: 12}
  from: x
  as: key
- unflatten: {into: {heads: 3, C: -1}}
  as: k
- linear: {features: 12}
  from: x
  as: value
- unflatten: {into: {heads: 3, C: -1}}
  as: v
"""
MERGED = """
- flatten: {axes: [heads, C]}
- linear: {features: 12}
  as: out_proj
"""
PACKED = """\
- linear: {features: 36}
  as: qkv
- split: {into: [query, key, value]}
  as: parts
- unflatten: {into: {heads: 3, C: -1}}
  from: parts.query
  as: q
- unflatten: {into: {heads: 3, C: -1}}
  from: parts.key
  as: k
- unflatten: {into: {heads: 3, C: -1}}
  from: parts.value
  as: v
"""
X = "x: {T: 5, C: 12}"
QKV = "q: {T: 5, C: 4}, k: {S: 7, C: 4}, v: {S: 7, C: 4}"
HEADS = "q: {T: 5, heads: 3, C: 4}, k: {S: 7, heads: 3, C: 4}, v: {S: 7, heads: 3, C: 4}"
SHARED = "q: {T: 5, heads: 4, C: 4}, k: {S: 7, heads: 2, C: 4}, v: {S: 7, heads: 2, C: 4}"
ASK = "query: q, key: k, value: v"


def masked(axes: str) -> str:
    return f"m: {{axes: {axes}, dtype: bool}}"


WINDOWS = "q: {Y: 2, X: 2, heads: 3, T: 4, C: 4}, k: {Y: 2, X: 2, heads: 3, T: 4, C: 4}, v: {Y: 2, X: 2, heads: 3, T: 4, C: 4}"

CASES = {
    "attention_single": (f"{{{QKV}}}", f"- attention: {{{ASK}}}"),
    "attention_self": (f"{{{X}}}", "- attention: {query: x, key: x, value: x}\n- linear: {features: 2}"),
    "attention_heads": (f"{{{X}}}", PROJECTED + f"- attention: {{{ASK}}}" + MERGED),
    "attention_packed": (f"{{{X}}}", PACKED + f"- attention: {{{ASK}}}" + MERGED),
    "attention_scale": (f"{{{HEADS}}}", f"- attention: {{{ASK}, scale: 0.25}}"),
    "attention_causal": (f"{{{X}}}", PROJECTED + f"- attention: {{{ASK}, causal: true}}" + MERGED),
    "attention_causal_single": (f"{{{QKV}}}", f"- attention: {{{ASK}, causal: true}}"),
    "attention_mask_keys": (f"{{{HEADS}, {masked('{S: 7}')}}}", f"- attention: {{{ASK}, mask: m}}"),
    "attention_mask_tokens": (
        f"{{{X}, {masked('{T: 5}')}, b: {{T: 5, heads: 3}}}}",
        PROJECTED + f"- attention: {{{ASK}, mask: m, bias: b}}" + MERGED,
    ),
    "attention_mask_pairs": (f"{{{HEADS}, {masked('{T: 5, S: 7}')}}}", f"- attention: {{{ASK}, mask: m}}"),
    "attention_mask_heads": (
        f"{{{HEADS}, {masked('{heads: 3, T: 5, S: 7}')}}}",
        f"- attention: {{{ASK}, mask: m}}",
    ),
    "attention_mask_single": (f"{{{QKV}, {masked('{S: 7}')}}}", f"- attention: {{{ASK}, mask: m}}"),
    "attention_mask_causal": (
        f"{{{HEADS}, {masked('{S: 7}')}}}",
        f"- attention: {{{ASK}, mask: m, causal: true}}",
    ),
    "attention_mask_const": (
        f"{{{X}}}",
        PROJECTED
        + f"- const: {{axes: {{T: 5, S: 5}}, value: T > S, dtype: bool}}\n  as: m\n- attention: {{{ASK}, mask: m}}"
        + MERGED,
    ),
    "attention_bias": (
        f"{{{X}}}",
        PROJECTED
        + f"- weight: {{axes: {{heads: 3, T: 5, S: 5}}}}\n  as: b\n- attention: {{{ASK}, bias: b}}"
        + MERGED,
    ),
    "attention_bias_causal": (
        f"{{{HEADS}, b: {{T: 5, S: 7}}}}",
        f"- attention: {{{ASK}, bias: b, causal: true}}",
    ),
    "attention_bias_mask": (
        f"{{{HEADS}, b: {{T: 5, S: 7}}, {masked('{S: 7}')}}}",
        f"- attention: {{{ASK}, bias: b, mask: m}}",
    ),
    "attention_all": (
        f"{{{HEADS}, b: {{heads: 3, T: 5, S: 7}}, {masked('{T: 5, S: 7}')}}}",
        f"- attention: {{{ASK}, bias: b, mask: m, causal: true, scale: 0.3}}",
    ),
    "attention_one_key_head": (
        "{q: {T: 5, heads: 3, C: 4}, k: {S: 7, C: 4}, v: {S: 7, C: 4}}",
        f"- attention: {{{ASK}}}\n- flatten: {{axes: [heads, C]}}\n- linear: {{features: 2}}",
    ),
    "attention_grouped_keys": (
        "{q: {T: 5, heads: 4, C: 4}, k: {S: 7, heads: 2, C: 4}, v: {S: 7, heads: 2, C: 4}}",
        "- repeat_interleave: {over: heads, times: 2}\n  from: k\n  as: keys\n- repeat_interleave: {over: heads, times: 2}\n  from: v\n  as: values\n"
        "- attention: {query: q, key: keys, value: values}",
    ),
    "attention_grouped": (
        f"{{{SHARED}}}",
        f"- attention: {{{ASK}, grouped: heads}}\n- flatten: {{axes: [heads, C]}}\n- linear: {{features: 2}}",
    ),
    "attention_grouped_mask": (
        f"{{{SHARED}, b: {{heads: 4, T: 5, S: 7}}, {masked('{S: 7}')}}}",
        f"- attention: {{{ASK}, grouped: heads, mask: m, bias: b, causal: true}}",
    ),
    "attention_grouped_windows": (
        "{q: {heads: 4, Y: 2, T: 5, C: 4}, k: {Y: 2, heads: 2, T: 7, C: 4}, v: {T: 7, C: 4}}",
        f"- attention: {{{ASK}, grouped: heads}}",
    ),
    "attention_dropout": (
        f"{{{HEADS}, b: {{heads: 3, T: 5, S: 7}}, {masked('{T: 5, S: 7}')}}}",
        f"- attention: {{{ASK}, bias: b, mask: m, dropout: 0.3}}\n- linear: {{features: 2}}",
    ),
    "attention_wider_values": (
        "{q: {T: 5, heads: 3, C: 4}, k: {S: 7, heads: 3, C: 4}, v: {S: 7, heads: 3, C: 6}}",
        f"- attention: {{{ASK}}}",
    ),
    "attention_windows": (
        f"{{{WINDOWS}}}",
        f"- attention: {{{ASK}}}\n- flatten: {{axes: [heads, C]}}\n- linear: {{features: 5}}",
    ),
    "attention_windows_bias": (
        f"{{{WINDOWS}, {masked('{Y: 2, X: 2, T: 4, S: 4}')}}}",
        f"- weight: {{axes: {{heads: 3, T: 4, S: 4}}}}\n  as: b\n- attention: {{{ASK}, bias: b, mask: m}}",
    ),
    "attention_learned_query": (
        "{k: {S: 7, C: 4}, v: {S: 7, C: 4}}",
        f"- weight: {{axes: {{T: 2, C: 4}}}}\n  as: q\n- attention: {{{ASK}}}",
    ),
    "attention_learned_query_heads": (
        "{k: {S: 7, heads: 3, C: 4}, v: {S: 7, heads: 3, C: 4}}",
        f"- weight: {{axes: {{T: 2, heads: 3, C: 4}}}}\n  as: q\n- attention: {{{ASK}}}",
    ),
    "attention_map": (
        "{x: {C: 12, H: 4, W: 3}}",
        "- flatten: {axes: [H, W], into: T}\n  as: x_t\n"
        + PROJECTED.replace("from: x\n", "from: x_t\n")
        + f"- attention: {{{ASK}}}\n- flatten: {{axes: [heads, C]}}\n- unflatten: {{axis: T, into: {{H: 4, W: 3}}}}\n- conv: {{channels: 2}}",
    ),
    "attention_axial": (
        "{x: {C: 4, H: 4, W: 3}}",
        "- conv: {channels: 4, kernel: 1}\n  as: q\n- conv: {channels: 4, kernel: 1}\n  from: x\n  as: k\n"
        "- attention: {query: q, key: k, value: x, over: W}\n- conv: {channels: 2}",
    ),
    "attention_frames": (
        "{x: {N: 2, T: 5, C: 4}}",
        "- linear: {features: 4}\n  as: q\n- attention: {query: q, key: x, value: x}\n- linear: {features: 2}",
    ),
}
