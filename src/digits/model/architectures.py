"""Networks by architecture name, and the model that ships: normalization and network in one."""

from collections.abc import Callable, Mapping

import keras

from digits.common.types import CLASSES, IMAGE_SIDE
from digits.params import Recipe

SHAPE = (IMAGE_SIDE, IMAGE_SIDE)


def mlp(recipe: Recipe) -> keras.Model:
    """The tutorial's network: one dense relu layer for each of `recipe.hidden`, softmax over the classes."""
    hidden = [
        keras.layers.Dense(units, activation="relu", name=f"hidden_{number}")
        for number, units in enumerate(recipe.hidden, start=1)
    ]
    return keras.Sequential(
        [
            keras.Input(SHAPE, name="normalized"),
            keras.layers.Flatten(name="flatten"),
            *hidden,
            keras.layers.Dense(CLASSES, activation="softmax", name="probabilities"),
        ],
        name="network",
    )


ARCHITECTURES: Mapping[str, Callable[[Recipe], keras.Model]] = {"mlp": mlp}

# The same as digits.data.normalization has in NumPy; a test compares them.
NORMALIZATIONS: Mapping[str, Callable[[], keras.layers.Layer]] = {
    "l2": lambda: keras.layers.UnitNormalization(axis=1, name="normalization"),
    "minmax": lambda: keras.layers.Rescaling(1 / 255, name="normalization"),
}


def build(recipe: Recipe, seed: int) -> keras.Model:
    """A new network of the recipe's architecture: normalized float32 (n, 28, 28) to probabilities (n, 10).

    Seeds Python, NumPy and TensorFlow, so that the initial weights follow from `seed`.
    """
    keras.utils.set_random_seed(seed)
    return ARCHITECTURES[recipe.architecture](recipe)


def with_normalization(network: keras.Model, method: str) -> keras.Model:
    """The model that ships: raw pixels 0..255, float32 (n, 28, 28), to probabilities (n, 10)."""
    return keras.Sequential([keras.Input(SHAPE, name="pixels"), NORMALIZATIONS[method](), network], name="digits")
