"""The tutorial's `model.fit`. Unseeded, like the tutorial: a seed would give every epoch the same order."""

import tensorflow as tf

from harness import EpochTimer, Task

task = Task.from_argv()
tf.zeros(())  # starts the runtime, as the other libraries start theirs when they load the data
x_train, y_train, x_test, y_test = task.arrays("x_train", "y_train", "x_test", "y_test")


def fit(**options: object) -> None:
    """Build, compile with `options`, and train."""
    timer = EpochTimer()
    model = tf.keras.Sequential(
        [
            tf.keras.layers.Flatten(),
            *(tf.keras.layers.Dense(units, activation="relu") for units in task.recipe.hidden),
            tf.keras.layers.Dense(10, activation="softmax"),
        ]
    )
    adam = tf.keras.optimizers.Adam(task.recipe.learning_rate)
    model.compile(optimizer=adam, loss="sparse_categorical_crossentropy", metrics=["accuracy"], **options)
    callback = tf.keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: timer.end_epoch())
    recipe = task.recipe
    model.fit(x_train, y_train, recipe.batch_size, recipe.epochs, callbacks=[callback], verbose=0)
    timer.report(model.evaluate(x_test, y_test, verbose=0)[1])


if __name__ == "__main__":
    fit()
