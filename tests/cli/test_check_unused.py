"""`specbuild check` finds the errors in parts of a file that its model does not use."""

from __future__ import annotations

from pathlib import Path

import pytest

from specbuild.cli.check import check_spec
from specbuild.diagnostics.errors import SpecError, SpecErrors

LIBRARY = Path(__file__).parents[2] / "specbuild" / "library"
FILE = """\
specbuild: 1
model: Net
imports: {Other: ./other.yaml#Other}
params:
  width: 8
  mode: {enum: [fast, slow], default: fast}
variants:
  small: {width: 4}
  wide: {width: 16}
inputs: {image: {C: 3, H: 8, W: 8}}
blocks:
  Unused:
    params:
      reduction: 4
      norm: {type: block, default: none}
    inputs: {x: [C, H, W]}
    steps:
      - conv: {channels: x.C // reduction, kernel: 3}
        as: down
        when: reduction > 1
      - use: norm
      - relu
      - resize: {like: down}
      - do:
          - linear: {features: 2 * down.C, init: normal(0.02)}
        repeat: reduction
      - add: [prev, prev]
    outputs: {y: down}
steps:
  - conv: {channels: width, kernel: 3}
  - do:
      - conv: {channels: width, kernel: 1}
    when: width > 12
weights:
  torchvision: {"features.{i}.{rest}": "conv.{rest}"}
"""


def find_errors(folder: Path, old: str, new: str) -> list[str]:
    assert FILE.count(old) == 1
    file = folder / "net.yaml"
    file.write_text(FILE.replace(old, new))
    (folder / "other.yaml").write_text("specbuild: 1\nblocks: {Other: {inputs: {x: [C]}, steps: [relu]}}\n")
    try:
        check_spec(str(file), None, None, None)
    except SpecErrors as several:
        found = several.errors
    except SpecError as error:
        found = (error,)
    else:
        return []
    return [f"{error.location.line}: {error.code}: {error.message}" for error in found if error.location]


def test_the_file_is_valid(tmp_path: Path) -> None:
    assert find_errors(tmp_path, "relu", "relu") == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("./other.yaml#", "./nowhere.yaml#", "3: SB001: there is no file './nowhere.yaml'"),
        (
            "reduction: 4",
            "reduction: {type: int, default: nowhere}",
            "14: SB302: nothing is named 'nowhere' here",
        ),
        ("default: none", "default: noen", "15: SB201: there is no op 'noen'"),
        (
            "default: none",
            "default: [1]",
            "15: SB102: 'default' must be the name of an op or block, or a mapping",
        ),
        ("default: fast", "default: faster", "6: SB304: mode must be one of fast and slow, not faster"),
        ("x.C // reduction", "x.C // reductoin", "18: SB302: nothing is named 'reductoin' here"),
        ("x.C // reduction", "x.C //", "18: SB301: `x.C //` is not an expression"),
        (
            "kernel: 3}\n        as",
            "kernel: {Z: 3}}\n        as",
            "18: SB404: kernel is given for Z, but the window is over H and W",
        ),
        ("reduction > 1", "reduction = 1", "20: SB301: `reduction = 1` is not an expression"),
        ("use: norm", "use: nrom", "21: SB202: 'nrom' is not a parameter of type `block`"),
        ("like: down", "like: dwon", "23: SB202: no step or input is named 'dwon'"),
        ("like: down", "like: 'down.C %'", "23: SB202: no step or input is named 'down.C %'"),
        ("2 * down.C", "2 * dwon.C", "25: SB302: nothing is named 'dwon' here"),
        ("normal(0.02)", "nowhere", "25: SB305: "),
        ("repeat: reduction", "repeat: reductoin", "26: SB302: nothing is named 'reductoin' here"),
        ("[prev, prev]", "[prev, dwon]", "27: SB202: no step or input is named 'dwon'"),
        ("{y: down}", "{y: dwon}", "28: SB202: no step or input is named 'dwon'"),
        ("width: 16", "width: []", "9: SB305: [] is not an integer"),
        ("width: 16", "width: nowhere", "9: SB302: nothing is named 'nowhere' here"),
        ("kernel: 1}", "kernel: {Z: 1}}", "32: SB404: "),
        ("{i}.{rest}", "{i} [{rest", "35: SB302: 'features.{i} [{rest' has no field 'rest'"),
        ("conv.{rest}", "conv.{rset}", "35: SB302: 'features.{i}.{rest}' has no field 'rset'"),
    ],
)
def test_an_error_in_a_part_that_is_not_used(old: str, new: str, expected: str, tmp_path: Path) -> None:
    errors = find_errors(tmp_path, old, new)
    assert len(errors) == 1
    assert errors[0].startswith(expected)


@pytest.mark.slow
def test_the_library_is_valid() -> None:
    """Also where an example does not fit: a block in place of `none`, indices that are the same for the whole batch."""
    refused = []
    for file in sorted(LIBRARY.rglob("*.yaml")):
        try:
            check_spec(str(file), None, None, None)
        except (SpecError, SpecErrors) as error:
            refused.append(f"{file.name}: {error}")
    assert not refused


def test_a_step_behind_parts_of_equal_size(tmp_path: Path) -> None:
    """The block needs a width that its chunks divide: the usual example, of width 64, does not reach its last step."""
    steps = (
        "[linear: {features: width}, unflatten: {into: {K: 20, C: width // 20}}, {slice: {over: zq, at: 0}}]"
    )
    block = f"\n  Parts:\n    params: {{width: {{type: int, min: 1}}}}\n    inputs: {{x: [C]}}\n    steps: {steps}"
    assert find_errors(tmp_path, "\nblocks:", f"\nblocks:{block.replace('zq', 'K')}") == []
    [error] = find_errors(tmp_path, "\nblocks:", f"\nblocks:{block}")
    assert "there is no axis zq in {K: 20, C: 36}" in error


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("{width: {zq: 1}}", "a mapping is not an integer"),
        ("{depths: 3}", "depths must be a list"),
        ("{act: {zq: 1}}", "there is no op 'zq'"),
        ("{act: relv}", "there is no op 'relv'"),
        ("{mode: fsat}", "mode must be one of slow and fast"),
        ("{widht: 3}", "'widht'"),
    ],
)
def test_a_variant_that_is_not_elaborated(value: str, message: str, tmp_path: Path) -> None:
    """The variants before it have as many steps as `check` elaborates for all of them."""
    path = tmp_path / "net.yaml"
    path.write_text(
        "specbuild: 1\nmodel: Net\nparams:\n  width: 8\n  depths: {type: list, default: [1]}\n"
        "  act: {type: block, default: relu}\n  mode: {default: slow, enum: [slow, fast]}\n"
        f"variants:\n  first: {{depths: [6000]}}\n  second: {{depths: [5000]}}\n  last: {value}\n"
        "inputs: {x: {C: 4}}\nsteps:\n  - {linear: {features: width}, repeat: 'depths[0]'}\n  - use: act\n"
        "  - {relu: {}, when: mode == 'slow'}\n"
    )
    with pytest.raises((SpecError, SpecErrors)) as caught:
        check_spec(str(path), None, None, None)
    assert message in str(caught.value)
