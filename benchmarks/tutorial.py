"""The tutorial as a script, with its pictures: python benchmarks/tutorial.py mnist.npz."""

import sys
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf


def trained(x_train: Any, y_train: Any, **options: Any) -> Any:
    """The tutorial's network after five epochs on normalized images; `options` go to `fit`."""
    model = tf.keras.models.Sequential()
    model.add(tf.keras.layers.Flatten())
    model.add(tf.keras.layers.Dense(128, activation=tf.nn.relu))
    model.add(tf.keras.layers.Dense(128, activation=tf.nn.relu))
    model.add(tf.keras.layers.Dense(10, activation=tf.nn.softmax))
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x=x_train, y=y_train, epochs=5, **options)
    return model


def main() -> None:
    """The tutorial, in its order."""
    with np.load(sys.argv[1]) as mnist:
        x_train, y_train, x_test, y_test = (mnist[name] for name in ("x_train", "y_train", "x_test", "y_test"))
    plt.imshow(x_train[0], cmap="gray")
    plt.show()

    x_train = tf.keras.utils.normalize(x_train, axis=1)
    x_test = tf.keras.utils.normalize(x_test, axis=1)
    model = trained(x_train, y_train)

    print(model.evaluate(x=x_test, y=y_test))
    predictions = model.predict(x_test)
    print(np.argmax(predictions[1000]))
    plt.imshow(x_test[1000], cmap="gray")
    plt.show()


if __name__ == "__main__":
    main()
