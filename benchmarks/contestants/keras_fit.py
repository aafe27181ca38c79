"""The tutorial's own lines, `model.fit`; unseeded as they are, since a seed would give every epoch the same order."""

import contest

task = contest.Task.given()

import tensorflow as tf  # noqa: E402

tf.zeros(())  # its runtime has started, as the other libraries' has when their data is there
x_train, y_train, x_test, y_test = task.arrays("x_train", "y_train", "x_test", "y_test")


def fit(**options: object) -> None:
    """Build, compile with `options`, and train; the data is there already."""
    watch = contest.Watch()
    model = tf.keras.Sequential(
        [
            tf.keras.layers.Flatten(),
            *(tf.keras.layers.Dense(units, activation="relu") for units in task.hidden),
            tf.keras.layers.Dense(10, activation="softmax"),
        ]
    )
    adam = tf.keras.optimizers.Adam(task.learning_rate)
    model.compile(optimizer=adam, loss="sparse_categorical_crossentropy", metrics=["accuracy"], **options)
    noting = tf.keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: watch.epoch_ends())
    model.fit(x_train, y_train, batch_size=task.batch_size, epochs=task.epochs, callbacks=[noting], verbose=0)
    watch.report(model.evaluate(x_test, y_test, verbose=0)[1])


if __name__ == "__main__":
    fit()
