"""The weight files of PyTorch: state_dicts, written by torch.save."""

from __future__ import annotations

from collections.abc import Collection

from specbuild.backends.file_kind import FileKind
from specbuild.backends.torch.runtimes import RUNTIME


def is_torch_archive(members: Collection[str]) -> bool:
    return any(name.rpartition("/")[2] == "data.pkl" for name in members)


STATE_DICT = FileKind(
    name="torch",
    backend="torch",
    title="PyTorch",
    endings=(".pt", ".pth"),
    worker="specbuild.backends.torch.weights_worker:open_weights_worker",
    find_runtime=lambda: RUNTIME,
    description="state_dicts of torch.save (.pt, .pth)",
    modules=("torch",),
    first_bytes=b"\x80",  # a pickle from protocol 2 on, as torch.save wrote it before PyTorch 1.6
    is_own_archive=is_torch_archive,
)
WEIGHT_FILES = (STATE_DICT,)
