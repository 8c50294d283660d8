"""Chooses the reader for a model to import: that of PyTorch or of Keras."""

from __future__ import annotations

from specbuild.importing.keras import reader as keras
from specbuild.importing.pytorch import reader as pytorch
from specbuild.importing.reader import ModelReader


def find_reader(source: str) -> ModelReader:
    """Return the reader of the model that a source names."""
    return keras.READER if source.endswith(".keras") else pytorch.READER
