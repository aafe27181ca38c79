"""Networks by architecture, and the model that ships: normalization, network and calibrated probabilities in one."""

from collections.abc import Callable, Mapping

import keras
from keras import layers, ops

from digits.common.types import CLASSES, IMAGE_SIDE
from digits.params import Cnn, Mlp, Recipe

SHAPE = (IMAGE_SIDE, IMAGE_SIDE)


def _contrast() -> keras.Model:
    """`normalization.contrast` of digits.data as operations of Keras: the saved file loads without this library."""
    pixels = keras.Input(SHAPE, name="pixels")
    differences = pixels - ops.median(pixels, axis=(1, 2), keepdims=True)
    lightest, darkest = (extreme(differences, axis=(1, 2), keepdims=True) for extreme in (ops.max, ops.min))
    normalized = differences / ops.where(lightest + darkest < 0, darkest, ops.maximum(lightest, 1e-6))
    normalization = keras.Model(pixels, normalized, name="normalization")
    for number, operation in enumerate(normalization.operations):
        operation.name = f"contrast_{number}"  # Keras's own names depend on what the process built before
    return normalization


# The same as digits.data.normalization has in NumPy; a test compares them.
NORMALIZATIONS: Mapping[str, Callable[[], layers.Layer]] = {
    "l2": lambda: layers.UnitNormalization(axis=1, name="normalization"),
    "minmax": lambda: layers.Rescaling(1 / 255, name="normalization"),
    "contrast": _contrast,
}


def build(recipe: Recipe, seed: int) -> keras.Model:
    """A new network of the recipe: normalized float32 (n, 28, 28) to logits (n, 10).

    Seeds Python, NumPy and TensorFlow, so that the initial weights follow from `seed`. The logits of all members for
    all views are averaged.
    """
    keras.utils.set_random_seed(seed)
    if recipe.members == recipe.views == 1:
        return _member(recipe, "network")
    images = keras.Input(SHAPE, name="normalized")
    views = [images] if recipe.views == 1 else _views(images)
    networks = [_member(recipe, f"member_{number}") for number in range(1, recipe.members + 1)]
    logits = layers.Average(name="logits")([network(view) for network in networks for view in views])
    return keras.Model(images, logits, name="network")


def members(network: keras.Model) -> list[keras.Model]:
    """The networks that `build` averages; a network of one member and one view is its own."""
    return [layer for layer in network.layers if isinstance(layer, keras.Model)] or [network]


def with_calibrated_softmax(network: keras.Model, normalization: str, temperature: float) -> keras.Model:
    """The model that ships: raw pixels 0..255, float32 (n, 28, 28), to probabilities (n, 10).

    The logits are divided by `temperature` before the softmax.
    """
    return keras.Sequential(
        [
            keras.Input(SHAPE, name="pixels"),
            NORMALIZATIONS[normalization](),
            network,
            layers.Rescaling(1 / temperature, name="temperature"),
            layers.Softmax(name="probabilities"),
        ],
        name="digits",
    )


def read_temperature(model: keras.Model) -> float:
    """The temperature of a model that ships, to four decimals as it was fitted."""
    return round(float(1 / model.get_layer("temperature").scale), 4)


def _views(images: keras.KerasTensor) -> list[keras.KerasTensor]:
    """The images, and copies of them one pixel further down, to the right, and both.

    Space to depth divides each of the four into patches at other places.
    """
    framed = layers.ZeroPadding2D(((1, 0), (1, 0)), name="frame")(layers.Reshape((*SHAPE, 1), name="pixels")(images))
    views = []
    for top, left in ((1, 1), (0, 1), (1, 0), (0, 0)):
        crop = layers.Cropping2D(((top, 1 - top), (left, 1 - left)), name=f"crop_{top}_{left}")
        views.append(layers.Reshape(SHAPE, name=f"view_{top}_{left}")(crop(framed)))
    return views


def _member(recipe: Recipe, name: str) -> keras.Model:
    hidden = _dense(recipe) if isinstance(recipe, Mlp) else _convolutional(recipe)
    stack = [keras.Input(SHAPE, name="normalized"), *hidden, layers.Dense(CLASSES, name="logits")]
    return keras.Sequential(stack, name=name)


def _dense(recipe: Mlp) -> list[layers.Layer]:
    """The tutorial's layers: a dense one with relu for each of `recipe.hidden`."""
    hidden = [layers.Dense(units, activation="relu", name=f"hidden_{i}") for i, units in enumerate(recipe.hidden, 1)]
    return [layers.Flatten(name="flatten"), *hidden]


def _convolutional(recipe: Cnn) -> list[layers.Layer]:
    """3x3 convolutions with relu for each of `recipe.blocks`, 2x2 max pooling between blocks, then global max pooling.

    Space to depth comes first, 14 x 14 places of 2 x 2 pixels: a quarter of the work at the same accuracy.
    """
    half = IMAGE_SIDE // 2
    options = {"padding": "same", "kernel_initializer": "he_normal", "use_bias": False}
    stack = [
        layers.Reshape((half, 2, half, 2), name="split"),
        layers.Permute((1, 3, 2, 4), name="swap"),
        layers.Reshape((half, half, 4), name="patches"),
    ]
    for block, widths in enumerate(recipe.blocks, start=1):
        if block > 1:
            stack.append(layers.MaxPooling2D(name=f"pool_{block - 1}"))
        for number, width in enumerate(widths, start=1):
            stack += [
                layers.Conv2D(width, 3, **options, name=f"conv_{block}_{number}"),
                layers.BatchNormalization(momentum=0.9, name=f"norm_{block}_{number}"),
                layers.ReLU(name=f"relu_{block}_{number}"),
            ]
    return [*stack, layers.GlobalMaxPooling2D(name="maximum")]
