"""The tutorial's recipe, whatever params.yaml says at the moment."""

from typing import Any

from digits.params import Recipe


def tutorial(**changes: Any) -> Recipe:
    """The recipe, with other values where the test says so."""
    values: dict[str, Any] = {
        "architecture": "mlp",
        "hidden": (128, 128),
        "optimizer": "adam",
        "learning_rate": 0.001,
        "batch_size": 32,
        "epochs": 5,
        "threads": 1,
        "xla": True,
    }
    return Recipe(**values | changes)
