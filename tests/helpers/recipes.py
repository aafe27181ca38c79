"""Recipes for tests, whatever params.yaml says at the moment."""

from typing import Any

from digits.params import Cnn, Mlp

NO_AUGMENTATION = {"rotation": 0, "scale": 0, "shear": 0, "shift": 0}
AUGMENTATION = {"rotation": 12, "scale": 0.12, "shear": 0.12, "shift": 2.5}
CHANGES = {"strokes": 0.5, "light": 0.5, "patches": 1, "salt_and_pepper": 0.2, "blur": 1, "noise": 0.3}

TUTORIAL = {
    "architecture": "mlp",
    "hidden": (128, 128),
    "normalization": "l2",
    "augmentation": NO_AUGMENTATION,
    "learning_rate": 0.001,
    "schedule": "constant",
    "weight_decay": 0,
    "label_smoothing": 0,
    "batch_size": 32,
    "epochs": 5,
    "members": 1,
    "views": 1,
}


def tutorial(**changes: Any) -> Mlp:
    """The tutorial's recipe, with other values where the test says so."""
    return Mlp.model_validate(TUTORIAL | changes)


def cnn(**changes: Any) -> Cnn:
    """A small convolutional recipe with all that a recipe can have, other values where the test says so."""
    values = {key: value for key, value in TUTORIAL.items() if key != "hidden"}
    small = {
        "architecture": "cnn",
        "blocks": ((4,), (4,)),
        "normalization": "minmax",
        "augmentation": AUGMENTATION,
        "schedule": "one_cycle",
        "weight_decay": 0.05,
        "label_smoothing": 0.05,
    }
    return Cnn.model_validate(values | small | changes)
