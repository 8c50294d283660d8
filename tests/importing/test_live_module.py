"""`specbuild.import_module`: from Python, on a module that exists."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import specbuild
from specbuild.importing.live_module import read_input
from specbuild.importing.pytorch.reader import READER
from specbuild.importing.request import InputRequest
from tests.importing import nets


def test_a_function_that_makes_the_module_tells_the_arguments_of_constructors() -> None:
    made = specbuild.import_module(
        lambda: nets.StageNet(), {"image": "3x16x16"}, also=lambda: nets.StageNet(8, (1, 4))
    )
    assert made.is_equal and made.model.parameters == 29_381
    assert "params:\n  width: 16\n  depths: [2, 3]\n  num_classes: 5\n" in made.text
    assert "expressions that the second model refutes, left as numbers: neck: features `width`" in made.report
    assert [line for line in made.report if line.startswith("proved in float64: output 0.0e+00")] == [
        made.report[-5],
        made.report[-2],
    ]
    assert torch.get_default_dtype() == torch.float32


def test_a_model_that_cannot_be_trained_on_its_input_is_proved_in_evaluation_and_told() -> None:
    made = specbuild.import_module(lambda: nets.EvaluationOnly(), {"x": "8"})
    assert made.is_equal
    assert made.report[-2] == (
        "not compared in training: the original fails on this input: "
        "RuntimeError: the auxiliary head needs a larger image"
    )


def test_the_counters_of_batch_norms_are_no_weights() -> None:
    made = specbuild.import_module(lambda: nets.PlainRow(), {"image": "3x16x16"})
    assert made.is_equal, made.report


def test_a_live_module_stays_as_it_is() -> None:
    model = nets.StageNet()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    made = specbuild.import_module(model, {"image": torch.zeros(1, 3, 16, 16)}, prove=False)
    assert model.training and not made.is_equal and made.report[-1] == "not proved"
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert next(model.parameters()).dtype == torch.float32
    own = made.model.build("torch").eval()
    own.load_state_dict(model.state_dict(), strict=True)
    image = torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        assert torch.allclose(own(image), model.eval()(image), atol=1e-5)


@pytest.mark.parametrize(
    ("example", "expected"),
    [
        (torch.zeros(1, 3, 4, 5), InputRequest(("C", "H", "W"), (3, 4, 5))),
        (torch.zeros(2, 7, dtype=torch.long), InputRequest(("T",), (7,), "int32")),
        (torch.zeros(2, 7, dtype=torch.bool), InputRequest(("C",), (7,), "bool")),
        ("TxC:7x4", InputRequest(("T", "C"), (7, 4))),
    ],
)
def test_an_input_is_an_example_or_a_text(example: object, expected: InputRequest) -> None:
    assert read_input("x", example, READER) == expected


@pytest.mark.parametrize(
    ("module", "inputs", "message"),
    [
        (nn.ReLU(), {}, "the module has no inputs"),
        (lambda: 3, {"x": "4"}, "this gives int, not a torch.nn.Module"),
        (lambda: nn.Linear(3), {"x": "4"}, "the module cannot be made: TypeError"),
        (lambda: nets.StageNet(), {"x": "4x4"}, "the model fails on x 4x4: IndexError"),
        (
            lambda: nets.Branching(),
            {"x": "4"},
            "__bool__: what the model does depends on the numbers of a value",
        ),
    ],
)
def test_what_cannot_be_imported_is_refused(module: object, inputs: dict[str, str], message: str) -> None:
    with pytest.raises(specbuild.SpecError) as error:
        specbuild.import_module(module, inputs)
    assert error.value.message.startswith(message) and error.value.code in ("SB961", "SB962")
