"""Fourier transforms: name -> (inputs, steps)."""

SEQUENCE = "{x: {T: 6, C: 4}}"
MAP = "{x: {C: 3, H: 5, W: 4}}"
NORMS = ("backward", "ortho", "forward")
FILTERED = """\
- rfft: {{over: {over}, norm: {norm}}}
  as: f
- weight: {{axes: {{{axes}}}, init: normal(1)}}
  as: w
- multiply: [f.real, w]
  as: re
- multiply: [f.imaginary, w]
  as: im
- irfft: {{imaginary: im, over: {over}, norm: {norm}{size}}}
  from: re
"""

CASES = {
    "rfft": (SEQUENCE, "- rfft: {over: T}\n  as: f\n- multiply: [f.real, f.imaginary]"),
    **{
        f"rfft_{norm}": (
            SEQUENCE,
            FILTERED.format(over="T", norm=norm, axes="T: 4, C: 4", size="") + "- linear: {features: 2}",
        )
        for norm in NORMS
    },
    "fft_before_a_block": (
        MAP,
        "- fft: {over: H, norm: forward}\n  as: f\n- WeightStandardizedConv: {channels: 2}\n  from: f.real",
    ),
    "rfft_of_a_map": (
        MAP,
        FILTERED.format(over="[H, W]", norm="ortho", axes="H: 5, W: 3, C: 3", size="")
        + "- conv: {channels: 2}",
    ),
    "rfft_of_an_odd_number": (
        MAP,
        FILTERED.format(over="[W, H]", norm="forward", axes="W: 4, H: 3", size=", size: 5"),
    ),
    "rfft_of_frames": (
        "{clip: {T: 3, C: 4, H: 5, W: 6}}",
        "- conv: {channels: 3}\n- rfft: {over: W}\n  as: f\n- add: [f.real, f.imaginary]\n- conv: {channels: 2}",
    ),
    "fft_of_tokens": (
        SEQUENCE,
        "- fft: {over: [T, C]}\n  as: f\n- linear: {features: 4}\n  from: f.real",
    ),
    **{
        f"fft_{norm}": (
            "{x: {T: 6, C: 4}, y: {C: 4, T: 6}}",
            f"- fft: {{over: T, imaginary: y, norm: {norm}}}\n  from: x\n  as: f\n- square:\n  from: f.real\n  as: a\n"
            f"- ifft: {{over: T, imaginary: f.imaginary, norm: {norm}}}\n  from: a\n  as: g\n- divide: [g.real, g.imaginary]",
        )
        for norm in NORMS
    },
}
