"""Imports that differ from their original in the dark: fixed kernels, copies of layers, tables, sizes of one image."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from specbuild.diagnostics.errors import SpecError
from specbuild.importing.importer import ImportedModel
from specbuild.importing.pytorch.constructor_watch_worker import ConstructorWatch
from specbuild.importing.pytorch.full_precision_worker import FullPrecision
from specbuild.importing.pytorch.precise_constants_worker import refine_constants
from specbuild.importing.pytorch.recorder_worker import record_model
from specbuild.importing.pytorch.statistics_worker import measure_statistics
from tests.importing.compared import fill, import_live, largest_difference


def import_made(kind: type[nn.Module], inputs: dict[str, Tensor]) -> ImportedModel:
    """Import what a class makes, with the arguments of its constructors, and compare both."""
    with ConstructorWatch() as watch:
        model = kind()
    imported = import_live(model, inputs, kind.__name__, watch)
    assert largest_difference(imported, model, list(inputs.values())) < 1e-12, imported.text
    return imported


class Blur(nn.Module):
    """A fixed kernel that is no weight of the model, repeated for all channels."""

    def __init__(self) -> None:
        super().__init__()
        row = torch.tensor([1.0, 2.0, 1.0]) / 4
        self.register_buffer("kernel", (row[:, None] * row[None])[None, None], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        kernel = self.kernel.expand(x.shape[1], 1, 3, 3)
        return F.conv2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), kernel, stride=2, groups=x.shape[1])


class Unit(nn.Module):
    def __init__(self, width: int, stride: int = 1, act: bool = True):
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.act = nn.LeakyReLU(0.1) if act else nn.Identity()
        self.blur = Blur() if stride > 1 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.blur(self.act(self.norm(self.conv(x))))


class BlurredNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.units = nn.Sequential(Unit(4, act=False), Unit(4), Unit(4, 2), Unit(4))

    def forward(self, x: Tensor) -> Tensor:
        return self.units(x)


def test_optional_steps_of_a_class_are_one_block_and_a_fixed_kernel_is_no_weight() -> None:
    """No two instances of the class need the same steps, yet there is one block."""
    imported = import_made(BlurredNet, {"image": torch.randn(3, 4, 8, 8)})
    assert imported.text.count("  Unit:") == 1
    assert "Unit2" not in imported.text
    assert set(imported.model.build("torch").state_dict()) >= {"units.2.conv.weight"}


class Decoder(nn.Module):
    """Every layer reads the same memory; the layers are copies of the first."""

    def __init__(self, width: int = 8, depth: int = 3):
        super().__init__()
        layer = nn.TransformerDecoderLayer(width, 2, dim_feedforward=24, batch_first=True)
        self.decoder = nn.TransformerDecoder(layer, depth)

    def forward(self, x: Tensor, memory: Tensor) -> Tensor:
        return self.decoder(x, memory)


def test_layers_that_read_the_same_memory_are_a_repeat() -> None:
    imported = import_made(Decoder, {"x": torch.randn(3, 5, 8), "memory": torch.randn(3, 6, 8)})
    assert "params:\n  depth: 3\n" in imported.text  # passed on to the layers
    assert (
        "TransformerDecoder: {num_layers: depth}" in imported.text and "repeat: num_layers" in imported.text
    )
    assert "features: dim_feedforward" in imported.text  # the arguments of a layer that was copied


class Rotated(nn.Module):
    """Positions that are computed in the pass: with more digits, if the model runs in float64."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Linear(16, 16)

    def forward(self, x: Tensor) -> Tensor:
        places = torch.arange(x.shape[1], dtype=x.dtype)
        angles = places[:, None] * 100.0 ** (-torch.arange(16, dtype=x.dtype) / 16)
        return self.mix(x * angles.cos() + angles.sin())


def test_tables_made_in_the_pass_have_the_digits_of_float64() -> None:
    model, x = Rotated(), torch.randn(3, 9, 16)
    trace, rounded = record_model(model, {"x": x}, ConstructorWatch())
    constants = refine_constants(model, {"x": x}, trace, rounded)
    angles = np.arange(9)[:, None] * 100.0 ** (-np.arange(16) / 16)
    tables = [array for array in constants.values() if array.shape == angles.shape]
    assert any(np.allclose(array, np.cos(angles), rtol=1e-14, atol=1e-14) for array in tables)
    assert model.mix.weight.dtype == torch.float32


def test_measured_statistics_are_those_of_the_data() -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 3), nn.BatchNorm2d(2)
    )
    fill(model)
    image = torch.randn(2, 3, 9, 9)
    measured = measure_statistics(model.eval(), [image])
    assert set(measured) == {"1.running_mean", "1.running_var", "4.running_mean", "4.running_var"}
    with torch.no_grad():
        mean = model[0](image).mean((0, 2, 3))
    assert np.allclose(measured["1.running_mean"], mean, atol=1e-6)
    assert not model.training
    assert model[1].momentum == 0.1


class Rows(nn.Module):
    """Cuts places into rows of a number that only this size of the image has."""

    def __init__(self, width: int, side: int):
        super().__init__()
        self.side = side
        self.conv, self.mix = nn.Conv2d(width, width, 3, padding=1), nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = x.transpose(1, 2).unflatten(2, (self.side, -1))
        return self.mix(self.conv(x)).flatten(2).transpose(1, 2)


class RowNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = Rows(4, 8), Rows(4, 8)

    def forward(self, image: Tensor) -> Tensor:
        return self.second(self.first(image.flatten(2).transpose(1, 2)))


def test_rows_of_one_image_size_are_refused_at_another() -> None:
    """An open side would cut a larger image into wrong rows without a word."""
    imported = import_made(RowNet, {"image": torch.randn(3, 4, 8, 8)})
    assert "into: {H: 8, W: 8}" in imported.text
    with pytest.raises(SpecError, match="cannot be split"):
        imported.tables.load_spec(imported.with_image_size(8) or "")


class Stage(nn.Module):
    """A row of modules whose last is of another kind, and whose length differs between the stages."""

    def __init__(self, width: int, depth: int):
        super().__init__()
        self.blocks = nn.Sequential(*(Plain(width) for _ in range(depth)), Scaled(width))

    def forward(self, x: Tensor) -> Tensor:
        return self.blocks(x)


class Plain(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.norm(self.conv(x))


class Scaled(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.conv, self.gamma = nn.Conv2d(width, width, 1), nn.Parameter(torch.ones(width, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.gamma * self.conv(x) * x.shape[1] ** -0.5


class Stages(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.narrow, self.wide = Stage(4, 2), Stage(12, 5)
        self.between = nn.Conv2d(4, 12, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.wide(self.between(self.narrow(x)))


def test_names_behind_a_row_that_is_shorter_in_some_instances() -> None:
    imported = import_made(Stages, {"image": torch.randn(3, 4, 6, 6)})
    assert "scale: {by: x.C ** -0.5}" in imported.text
    names = set(imported.model.build("torch").state_dict())
    assert {"narrow.blocks.2.conv.weight", "wide.blocks.5.conv.weight"} <= names


class Gate(nn.Module):
    def __init__(self, width: int, reduction: int = 4):
        super().__init__()
        self.fc1 = nn.Conv2d(width, max(width // reduction, 3), 1)
        self.fc2 = nn.Conv2d(max(width // reduction, 3), width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.fc2(self.fc1(x).relu()).sigmoid()


class Gates(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        widths = (4, 8, 16, 32)
        self.gates = nn.ModuleList(Gate(w) for w in widths)
        self.convs = nn.ModuleList(nn.Conv2d(w, 2 * w, 1) for w in widths)

    def forward(self, x: Tensor) -> Tensor:
        for gate, conv in zip(self.gates, self.convs, strict=True):
            x = conv(gate(x))
        return x


def test_a_part_with_a_least_number_is_found() -> None:
    imported = import_made(Gates, {"image": torch.randn(3, 4, 6, 6)})
    assert 'channels: "max(x.C // reduction, 3)"' in imported.text


class RoundedSums(nn.Module):
    """Asks for float32 by name, as linear attention does for its sums."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Linear(6, 6)

    def forward(self, x: Tensor) -> Tensor:
        kept = self.mix(x).to(torch.float32)
        return (kept.float() / (kept.exp().sum(-1, keepdim=True) + 1)).type(torch.float32)


def test_the_original_is_compared_in_float64_though_it_asks_for_float32() -> None:
    model, x = RoundedSums().double(), torch.randn(2, 6, dtype=torch.float64)
    assert model(x).dtype == torch.float32
    with FullPrecision():
        result = model(x)
        assert x.to(torch.int32).dtype == torch.int32
    assert result.dtype == torch.float64
    kept = model.mix(x)
    assert torch.equal(result, kept / (kept.exp().sum(-1, keepdim=True) + 1))
