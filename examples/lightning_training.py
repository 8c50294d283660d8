"""The emitted package in a LightningModule: trained, saved, loaded, and resumed.

specbuild compile examples/resnet50_cbam.yaml --backend torch --layout package writes a folder to import from.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import lightning
import torch
from lightning.pytorch.callbacks import EMAWeightAveraging, ModelCheckpoint
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def compiled(folder: str) -> None:
    """Writes the package `resnet50_cbam` into the folder, and makes it importable."""
    spec = Path(__file__).with_name("resnet50_cbam.yaml")
    chosen = ["--backend", "torch", "--layout", "package", "--diagram", "mermaid"]
    command = [sys.executable, "-m", "specbuild", "compile", spec, *chosen, "-o", f"{folder}/resnet50_cbam"]
    subprocess.run(command, check=True)
    sys.path.insert(0, folder)


def digits(count: int, size: int) -> TensorDataset:
    """Pictures of digits in three channels, and which digits they are."""
    pictures, labels = load_digits(return_X_y=True)
    images = torch.tensor(pictures[:count], dtype=torch.float32).reshape(-1, 1, 8, 8) / 16
    images = nn.functional.interpolate(images, size=size).repeat(1, 3, 1, 1)
    return TensorDataset(images, torch.tensor(labels[:count]))


class Classifier(lightning.LightningModule):
    """Tells digits apart."""

    def __init__(self, classes: int = 10, learning_rate: float = 5e-4) -> None:
        super().__init__()
        from resnet50_cbam import ResNet50CBAM

        self.save_hyperparameters()
        self.net = ResNet50CBAM(classes=classes)
        self.losses: list[float] = []

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.net(image)

    def training_step(self, batch: list[torch.Tensor], index: int) -> torch.Tensor:
        images, labels = batch
        loss = nn.functional.cross_entropy(self.net(images), labels)
        self.log("loss", loss, prog_bar=True)
        self.losses.append(loss.item())
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), self.hparams["learning_rate"])


def main(size: int, steps: int) -> None:
    lightning.seed_everything(0)
    with tempfile.TemporaryDirectory() as folder:
        compiled(folder)
        model = Classifier()
        batch = DataLoader(digits(16, size), batch_size=16)  # one batch, again and again
        kept = ModelCheckpoint(folder, filename="last", save_on_train_epoch_end=True)
        quiet = {
            "accelerator": "cpu",
            "logger": False,
            "enable_progress_bar": False,
            "enable_model_summary": False,
        }
        trainer = lightning.Trainer(
            max_epochs=steps, callbacks=[kept, EMAWeightAveraging(decay=0.5)], **quiet
        )
        trainer.fit(model, batch)
        print("losses:", ", ".join(f"{loss:.3f}" for loss in model.losses))
        assert model.losses[-1] < model.losses[0], model.losses

        again = Classifier.load_from_checkpoint(kept.best_model_path).eval()
        image = torch.rand(1, 3, size, size)
        with torch.inference_mode():
            torch.testing.assert_close(again(image), model.eval()(image))
    print("the checkpoint gives the same logits")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=64, help="height and width of the images")
    parser.add_argument("--steps", type=int, default=8)
    main(**vars(parser.parse_args()))
