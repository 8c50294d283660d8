"""Maps sampled at the points of a grid: name -> (inputs, steps)."""

MAP = "x: {C: 3, H: 5, W: 4}"
GRID = "g: {H: 3, W: 2, C: 2}"


def sampled(**attributes: str) -> str:
    inside = "".join(f", {name}: {value}" for name, value in attributes.items())
    return f"- grid_sample: {{grid: g{inside}}}\n  from: x"


CASES = {
    "grid_sample": (f"{{{MAP}, {GRID}}}", sampled()),
    "grid_sample_aligned": (f"{{{MAP}, {GRID}}}", sampled(align_corners="true")),
    "grid_sample_border": (f"{{{MAP}, {GRID}}}", sampled(padding_mode="border")),
    "grid_sample_reflection": (f"{{{MAP}, {GRID}}}", sampled(padding_mode="reflection")),
    "grid_sample_reflection_aligned": (
        f"{{{MAP}, {GRID}}}",
        "- scale: {by: 4}\n  from: g\n  as: far\n"
        + sampled(padding_mode="reflection", align_corners="true").replace("grid: g", "grid: far"),
    ),
    "grid_sample_nearest": (f"{{{MAP}, {GRID}}}", sampled(mode="nearest") + "\n- conv: {channels: 2}"),
    "grid_sample_nearest_border": (f"{{{MAP}, {GRID}}}", sampled(mode="nearest", padding_mode="border")),
    "grid_sample_points": (
        f"{{{MAP}, g: {{K: 2, P: 7}}}}",
        sampled(coordinates="K", over="[H, W]") + "\n- linear: {features: 2}",
    ),
    "grid_sample_a_point": (f"{{{MAP}, g: {{C: 2}}}}", sampled()),
    "grid_sample_no_channels": (f"{{x: {{H: 5, W: 4}}, {GRID}}}", sampled()),
    "grid_sample_heads": (
        "{x: {heads: 2, C: 3, H: 5, W: 4}, g: {T: 6, heads: 2, P: 4, C: 2}}",
        sampled() + "\n- mean: {over: P}",
    ),
    "grid_sample_const": (
        f"{{{MAP}}}",
        "- const: {axes: {H: 3, W: 5, K: 2}, value: 'where(K == 1, 0.3 * H - 0.4, 0.5 - 0.35 * W)'}\n  as: g\n"
        + sampled(coordinates="K"),
    ),
    "grid_sample_of_weight": (
        f"{{{GRID}}}",
        "- weight: {axes: {C: 3, H: 5, W: 4}, init: normal(1)}\n  as: x\n" + sampled(),
    ),
    "grid_sample_volume": (
        "{x: {C: 2, D: 3, H: 4, W: 3}, g: {H: 3, W: 2, C: 3}}",
        sampled(over="[W, H, D]", padding_mode="border"),
    ),
    "grid_sample_deformed": (
        f"{{{MAP}}}",
        "- conv: {channels: 2}\n  as: offsets\n- tanh:\n  as: g\n" + sampled() + "\n- conv: {channels: 4}",
    ),
}
