"""Contractions: name -> (inputs, steps)."""

TWO = "{q: {T: 5, C: 4}, k: {S: 6, C: 4}}"
HEADS = "{q: {T: 5, heads: 3, C: 4}, k: {S: 6, heads: 3, C: 4}}"
MAP = "{x: {C: 4, H: 5, W: 6}}"

CASES = {
    "contract_scores": (TWO, "- contract: {of: [q, k], over: C}"),
    "contract_scores_times_values": (
        "{q: {T: 5, C: 4}, k: {S: 6, C: 4}, v: {S: 6, C: 3}}",
        "- contract: {of: [q, k], over: C}\n- softmax: {over: S}\n  as: p\n- contract: {of: [p, v], over: S}\n- linear: {features: 2}",
    ),
    "contract_heads": (HEADS, "- contract: {of: [q, k], over: C}\n- softmax: {over: S}"),
    "contract_outer": ("{a: {C: 4}, v: {K: 3}}", "- contract: [a, v]"),
    "contract_weight": (
        "{x: {T: 5, C: 4}}",
        "- weight: {axes: {C: 4, K: 3}, init: ones}\n  as: w\n- contract: {of: [x, w], over: C}",
    ),
    "contract_vector": (
        "{x: {T: 5, C: 4}}",
        "- weight: {axes: {C: 4}}\n  as: v\n- contract: {of: [x, v], over: C}\n- softmax: {over: T}",
    ),
    "contract_bilinear": (
        "{a: {C: 4}, c: {K: 3}}",
        "- weight: {axes: {C: 4, K: 3, O: 2}}\n  as: w\n- contract: {of: [a, w, c], over: [C, K]}\n- rename: {axes: {O: C}}",
    ),
    "contract_map": (
        MAP,
        "- conv: {channels: 3, kernel: 1}\n- rename: {axes: {C: K}}\n  as: a\n- contract: {of: [x, a], over: [H, W]}",
    ),
    "contract_gate": (MAP, "- mean: {over: [H, W]}\n  as: g\n- contract: {of: [x, g], over: C}"),
    "contract_shared": (
        "{a: {K: 3, T: 4, C: 2}, c: {K: 3, C: 2, S: 5}}",
        "- contract: {of: [a, c], over: C}",
    ),
}
