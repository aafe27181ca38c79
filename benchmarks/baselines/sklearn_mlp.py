"""scikit-learn's `MLPClassifier`, one call per epoch."""

import numpy as np
from sklearn.neural_network import MLPClassifier

from harness import EpochTimer, Task

task = Task.from_argv()
x_train, y_train, x_test, y_test = task.arrays("x_train", "y_train", "x_test", "y_test")
x_train, x_test = (images.reshape(len(images), -1) for images in (x_train, x_test))

timer = EpochTimer()
model = MLPClassifier(
    task.recipe.hidden,
    batch_size=task.recipe.batch_size,
    learning_rate_init=task.recipe.learning_rate,
    alpha=0,
    epsilon=1e-7,
    random_state=np.random.RandomState(task.seed),
)
for _ in range(task.recipe.epochs):
    model.partial_fit(x_train, y_train, classes=np.arange(10))
    timer.end_epoch()
timer.report(model.score(x_test, y_test))
