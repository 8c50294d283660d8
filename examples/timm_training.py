"""timm's training utilities on the emitted ResNet-50 with CBAM, as timm's own train.py uses them.

The model is registered with timm, so that `timm.create_model("resnet50_cbam")` makes it, and it trains on the
digits of scikit-learn with timm's optimizer, schedule, averaged weights, clipping and checkpoints.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import timm
import torch
from sklearn.datasets import load_digits
from timm.models import load_checkpoint, register_model
from timm.optim import create_optimizer_v2
from timm.scheduler import create_scheduler_v2
from timm.utils import AverageMeter, CheckpointSaver, ModelEmaV3, accuracy, dispatch_clip_grad
from torch import nn


def compiled(folder: str) -> None:
    """Writes the model, and tells timm about it."""
    spec = Path(__file__).with_name("resnet50_cbam.yaml")
    chosen = ["--backend", "torch", "--with-optimizer-groups", "-o", f"{folder}/classifier.py"]
    subprocess.run([sys.executable, "-m", "specbuild", "compile", spec, *chosen], check=True)
    sys.path.insert(0, folder)
    from classifier import ResNet50CBAM

    @register_model
    def resnet50_cbam(pretrained: bool = False, num_classes: int = 10, **asked: object) -> nn.Module:
        return ResNet50CBAM(classes=num_classes)  # timm asks for more: `pretrained_cfg`, `cache_dir`


def digits(count: int, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures of digits in three channels, and which digits they are."""
    pictures, labels = load_digits(return_X_y=True)
    images = torch.tensor(pictures[:count], dtype=torch.float32).reshape(-1, 1, 8, 8) / 16
    return nn.functional.interpolate(images, size=size).expand(-1, 3, -1, -1), torch.tensor(labels[:count])


def main(size: int, steps: int) -> None:
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        compiled(folder)
        model = timm.create_model("resnet50_cbam", num_classes=10)

        # torchvision's and timm's ResNet-50 name their weights alike; here drawn at random, nothing is downloaded.
        torch.save(timm.create_model("resnet50", num_classes=10).state_dict(), f"{folder}/trained.pth")
        lacking = load_checkpoint(model, f"{folder}/trained.pth", strict=False)
        assert all(".attention" in name for name in lacking.missing_keys), lacking.missing_keys
        assert not lacking.unexpected_keys, lacking.unexpected_keys

        images, labels = digits(16, size)
        # timm's own `layer_decay` knows no layers of a model from elsewhere; the emitted file does.
        from classifier import parameter_groups

        groups = parameter_groups(model, learning_rate=1e-3, weight_decay=0.05, layer_decay=0.75)
        optimizer = create_optimizer_v2(groups, "adamw")
        schedule, _ = create_scheduler_v2(
            optimizer,
            "cosine",
            num_epochs=steps + 1,
            warmup_epochs=1,
            warmup_lr=1e-4,
            step_on_epochs=False,
            updates_per_epoch=1,
        )
        average = ModelEmaV3(model, decay=0.5)
        saver = CheckpointSaver(
            model, optimizer, model_ema=average, checkpoint_dir=folder, recovery_dir=folder
        )
        losses, right = [], AverageMeter()
        for step in range(steps):
            model.train()
            logits = model(images)
            loss = nn.functional.cross_entropy(logits, labels)
            optimizer.zero_grad()
            loss.backward()
            dispatch_clip_grad(model.parameters(), 1.0)
            optimizer.step()
            average.update(model, step=step)
            schedule.step_update(step + 1)
            losses.append(loss.item())
            right.update(accuracy(logits, labels)[0].item(), len(labels))
            print(f"step {step}: loss {loss:.3f}, {right.val:.0f}% right")
        assert losses[-1] < losses[0], losses
        rates = [group["lr"] for group in optimizer.param_groups]
        assert max(rates) > 50 * min(rates), rates  # the head learns faster than the stem: 0.75 to the 17th
        saver.save_checkpoint(epoch=0, metric=right.val)

        again = timm.create_model(
            "resnet50_cbam", num_classes=10, checkpoint_path=f"{folder}/last.pth.tar"
        ).eval()
        with torch.inference_mode():
            torch.testing.assert_close(again(images), average.module.eval()(images))
    print("the checkpoint holds the averaged weights")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=64, help="height and width of the images")
    parser.add_argument("--steps", type=int, default=8)
    main(**vars(parser.parse_args()))
