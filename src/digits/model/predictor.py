"""The compiled predictor, and how MLflow loads it.

A copy of this file is a part of each model in MLflow, so that the model answers where this library is not installed.
"""

import os
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

SIZES = (1, 32, 256)  # images in a batch; each size is compiled on its own


class Predictor:
    """A compiled model.

    XLA compiles dense layers, as in training; the bytes do not depend on the instructions that oneDNN chooses.
    Convolutions stay a TensorFlow graph: XLA's take ten times as long on a CPU.
    """

    def __init__(self, model: keras.Model) -> None:
        @tf.function(jit_compile=not has_convolutions(model), autograph=False)  # type: ignore[untyped-decorator]
        def infer(batch: tf.Tensor) -> tf.Tensor:
            return model(batch, training=False)

        self._infer = infer
        self.image_shape = tuple(model.input_shape[1:])
        self._compiled: dict[int, Any] = {}

    def __call__(self, images: NDArray[Any]) -> NDArray[np.float32]:
        """The output, float32 (n, 10), for images (n, 28, 28) of any type.

        A model that ships takes raw pixels and returns probabilities, its network takes normalized images and returns
        logits.
        """
        largest = SIZES[-1]
        return np.concatenate([self._predict(part) for part in np.split(images, range(largest, len(images), largest))])

    def compile(self) -> None:
        """Compile for every size now, instead of at the first batch of each."""
        for size in SIZES:
            self(np.zeros((size, *self.image_shape), np.float32))

    def _predict(self, images: NDArray[Any]) -> NDArray[np.float32]:
        """The output for at most the largest size; black images pad the batch."""
        size = next(size for size in SIZES if size >= len(images))
        batch = np.zeros((size, *self.image_shape), np.float32)
        batch[: len(images)] = images
        if size not in self._compiled:
            self._compiled[size] = self._infer.get_concrete_function(tf.TensorSpec(batch.shape, batch.dtype))
        output: NDArray[np.float32] = self._compiled[size](tf.constant(batch)).numpy()
        return output[: len(images)]


def has_convolutions(model: keras.Model) -> bool:
    """Whether the model, or one that it contains, has a convolution."""
    return any(
        has_convolutions(layer) if isinstance(layer, keras.Model) else isinstance(layer, keras.layers.Conv2D)
        for layer in model.layers
    )


class ServedModel:
    """A model in MLflow: `mlflow.pyfunc.load_model` and `mlflow models serve` call its `predict`."""

    metadata = None  # MLflow's server looks for it

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        predictor.compile()

    def predict(self, data: Any) -> NDArray[np.float32]:
        """The probabilities, (n, 10), of raw images (n, 28, 28) with pixels 0..255 of any type of number.

        In a DataFrame, one column has the images, or 784 columns have the pixels.

        Raises:
            MlflowException: the data is something else; a server answers with status 400.
        """
        return self._predictor(self._images(data))

    def _images(self, data: Any) -> NDArray[np.float32]:
        is_table = hasattr(data, "columns")
        try:
            if is_table:
                data = data.iloc[:, 0].tolist() if len(data.columns) == 1 else data.to_numpy()
            images = np.asarray(data, np.float32)
            if is_table:
                images = images.reshape(len(images), *self._predictor.image_shape)
        except (OverflowError, TypeError, ValueError) as error:
            raise self._refusal(f"got something else ({error})") from error
        if images.shape[1:] != self._predictor.image_shape:
            raise self._refusal(f"got shape {images.shape}")
        if not ((images >= 0) & (images <= 255)).all():  # NaN is neither
            raise self._refusal(f"got pixels from {images.min()} to {images.max()}")
        return images

    def _refusal(self, reason: str) -> Exception:
        from mlflow.exceptions import MlflowException  # it takes seconds, and only a model in MLflow needs it

        shape = ", ".join(map(str, self._predictor.image_shape))
        allowed = f"the input must be images of shape (n, {shape}) with pixels from 0 to 255"
        error: Exception = MlflowException.invalid_parameter_value(f"{allowed}; {reason}")
        return error


def _load_pyfunc(path: str) -> ServedModel:
    """Load the .keras file at `path`; MLflow requires this name."""
    return ServedModel(Predictor(keras.saving.load_model(path, compile=False)))
