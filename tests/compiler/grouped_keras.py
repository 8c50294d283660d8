"""Parameters in groups, in Keras: `python -m tests.compiler.grouped_keras FILE...` tells what emitted functions make of them.

A JSON object: for each file its variables with their rates and decays; for the first, what one step does to them.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

RATE, DECAY, LAYERS = 0.5, 0.25, 0.5


def scope(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = {"__name__": file.stem}
    exec(compile(file.read_text(), file.name, "exec"), found)
    return found


def main(files: list[Path]) -> None:
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

    import keras

    told: dict[str, Any] = {}
    for file in files:
        made = scope(file)
        model = made[file.stem]()
        groups = made["parameter_groups"](model, RATE, DECAY, LAYERS)
        told[file.stem] = [
            [variable.path, group["learning_rate"], group["weight_decay"]]
            for group in groups
            for variable in group["variables"]
        ]
        if file is files[0]:
            variables = model.trainable_variables
            for at, variable in enumerate(variables):
                variable.assign(np.full(variable.shape, 1.0 + at))
            optimizer = made["grouped_optimizer"](groups, keras.optimizers.SGD)
            optimizer.apply([keras.ops.ones(v.shape) for v in variables], variables)
            told["stepped"] = {v.path: [1.0 + at, float(np.ravel(v)[0])] for at, v in enumerate(variables)}
    print(json.dumps(told))


if __name__ == "__main__":
    main([Path(name) for name in sys.argv[1:]])
