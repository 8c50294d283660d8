"""The emitted ResNet-50 with CBAM under Hugging Face's Trainer, saved and loaded as a pretrained model."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import Dataset
from transformers import PretrainedConfig, PreTrainedModel, Trainer, TrainingArguments
from transformers.modeling_outputs import ImageClassifierOutput


def compiled(folder: str) -> None:
    """Writes the model into the folder, and makes it importable."""
    spec = Path(__file__).with_name("resnet50_cbam.yaml")
    command = [sys.executable, "-m", "specbuild", "compile", spec, "--backend", "torch"]
    subprocess.run([*command, "-o", f"{folder}/network.py"], check=True)
    sys.path.insert(0, folder)


class Digits(Dataset):
    """Pictures of digits in three channels, and which digits they are."""

    def __init__(self, count: int, size: int) -> None:
        pictures, labels = load_digits(return_X_y=True)
        images = torch.tensor(pictures[:count], dtype=torch.float32).reshape(-1, 1, 8, 8) / 16
        self.images = nn.functional.interpolate(images, size=size).repeat(1, 3, 1, 1)
        self.labels = torch.tensor(labels[:count])

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        return {"pixel_values": self.images[index], "labels": self.labels[index]}


class Config(PretrainedConfig):
    model_type = "resnet50_cbam"


class Classifier(PreTrainedModel):
    """The emitted model, with the loss that a Trainer asks for."""

    config_class = Config
    main_input_name = "pixel_values"

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        from network import ResNet50CBAM

        self.net = ResNet50CBAM(classes=config.num_labels)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        """The emitted classes draw their own first weights."""
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()

    def forward(
        self, pixel_values: torch.Tensor, labels: torch.Tensor | None = None
    ) -> ImageClassifierOutput:
        logits = self.net(pixel_values)
        loss = None if labels is None else nn.functional.cross_entropy(logits, labels)
        return ImageClassifierOutput(loss=loss, logits=logits)


def main(size: int, steps: int) -> None:
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        compiled(folder)
        model = Classifier(Config(num_labels=10))
        arguments = TrainingArguments(
            f"{folder}/runs",
            max_steps=steps,
            per_device_train_batch_size=16,
            learning_rate=5e-4,
            logging_steps=1,
            report_to="none",
            save_strategy="no",
            disable_tqdm=True,
            use_cpu=True,
        )
        trainer = Trainer(model, arguments, train_dataset=Digits(16, size))  # one batch, again and again
        trainer.train()
        losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
        assert float(losses[-1]) < float(losses[0]), losses

        model.save_pretrained(f"{folder}/saved")
        again = Classifier.from_pretrained(f"{folder}/saved").eval()
        image = torch.rand(1, 3, size, size)
        with torch.inference_mode():
            torch.testing.assert_close(again(image).logits, model.eval()(image).logits)
    print("what was saved gives the same logits")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=64, help="height and width of the images")
    parser.add_argument("--steps", type=int, default=8)
    main(**vars(parser.parse_args()))
