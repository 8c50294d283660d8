"""How models of PyTorch are imported."""

from specbuild.importing.reader import ModelReader

READER = ModelReader(
    "torch",
    "specbuild.importing.pytorch.capture_worker:open_capture_worker",
    "specbuild.importing.pytorch.handlers.registry",
    measures_statistics=True,
    usual_axes={0: (), 1: ("C",), 2: ("T", "C"), 3: ("C", "H", "W"), 4: ("C", "D", "H", "W")},
)
