"""Does the pipeline learn what the tutorial learns? The mean test accuracy of both, over the same seeds.

Run it as `make bench-accuracy`; it writes benchmarks/accuracy.json. Both train on all 60,000 images.
"""

import platform
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digits import artifacts, backend, datasets, idx, params, preprocessing

SEEDS = range(5)


def tutorial(raw: tuple[idx.Bytes, ...], seed: int) -> float:
    """The tutorial's lines, on a seed."""
    import tensorflow as tf

    x_train, y_train, x_test, y_test = raw
    tf.keras.utils.set_random_seed(seed)
    x_train = tf.keras.utils.normalize(x_train, axis=1)
    x_test = tf.keras.utils.normalize(x_test, axis=1)
    model = tf.keras.models.Sequential()
    model.add(tf.keras.layers.Flatten())
    model.add(tf.keras.layers.Dense(128, activation=tf.nn.relu))
    model.add(tf.keras.layers.Dense(128, activation=tf.nn.relu))
    model.add(tf.keras.layers.Dense(10, activation=tf.nn.softmax))
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x=x_train, y=y_train, epochs=5, verbose=0)
    return float(model.evaluate(x=x_test, y=y_test, verbose=0)[1])


def pipeline(recipe: params.Recipe, splits: dict[str, NDArray[Any]], seed: int) -> float:
    """What the stages train and evaluate do, on a seed."""
    from digits import models, training

    network = models.build(recipe, seed)
    train, validation = ((splits[f"x_{name}"], splits[f"y_{name}"]) for name in ("train", "val"))
    training.fit(network, recipe, seed, train, validation)
    predicted = models.probabilities(network, splits["x_test"]).argmax(axis=1)
    return float((predicted == splits["y_test"]).mean())


def summary(accuracies: list[float]) -> dict[str, Any]:
    """Mean and spread of accuracies (0..1)."""
    return {
        "accuracies": [round(value, 4) for value in accuracies],
        "mean": round(float(np.mean(accuracies)), 5),
        "standard_deviation": round(float(np.std(accuracies, ddof=1)), 5),
    }


def main() -> None:
    """Train both on each seed."""
    recipe = params.load().recipes["tutorial"]
    backend.start(recipe.threads)
    with TemporaryDirectory() as folder:
        datasets.fetch("mnist", Path(folder))
        raw = idx.read(Path(folder))
    nothing = np.zeros(len(raw[0]), dtype=np.bool_)
    splits = preprocessing.split(*raw, held_out=nothing, method="l2")
    ours = summary([pipeline(recipe, splits, seed) for seed in SEEDS])
    theirs = summary([tutorial(raw, seed) for seed in SEEDS])
    difference = round(100 * (ours["mean"] - theirs["mean"]), 3)
    results = {"cpu": platform.machine(), "seeds": len(SEEDS), "digits": ours, "tutorial": theirs}
    artifacts.write_json(Path("benchmarks/accuracy.json"), results | {"difference_in_points": difference})
    print(f"digits {ours['mean']:.4f}, tutorial {theirs['mean']:.4f}: {difference:+.2f} points")


if __name__ == "__main__":
    main()
