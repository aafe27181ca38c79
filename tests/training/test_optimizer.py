"""Learning rate by step, and which weights decay."""

import numpy as np
import pytest
from numpy.typing import NDArray

from digits.params import Recipe
from recipes import cnn, tutorial

pytestmark = pytest.mark.usefixtures("tensorflow")


def rates_of(recipe: Recipe, steps: int) -> NDArray[np.float64]:
    """The learning rates of a run before each of its steps, and after the last one."""
    from digits.training.optimizer import make_optimizer

    optimizer = make_optimizer(recipe, steps)
    rates = []
    for step in range(steps + 1):
        optimizer.iterations.assign(step)
        rates.append(float(optimizer.learning_rate))
    return np.array(rates)


def test_constant_rate_is_the_recipes() -> None:
    from digits.training.optimizer import make_optimizer

    optimizer = make_optimizer(tutorial(learning_rate=0.25), steps=100)
    assert float(optimizer.learning_rate) == 0.25
    assert optimizer.weight_decay is None


def test_one_cycle_rises_for_a_quarter_and_falls_to_zero() -> None:
    rates = rates_of(cnn(learning_rate=0.5), steps=100)
    assert rates[0] == pytest.approx(0.02)
    assert rates.argmax() == 25
    assert rates.max() == pytest.approx(0.5)
    np.testing.assert_allclose(np.diff(rates[:25]), (0.5 - 0.02) / 25, rtol=1e-3)
    assert (np.diff(rates[25:]) < 0).all()
    assert rates[62] == pytest.approx(0.25, abs=0.01), "half-way down"
    assert rates[100] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_short_run_has_a_rate(steps: int) -> None:
    rates = rates_of(cnn(learning_rate=0.5), steps)[:steps]
    assert (rates > 0).all()
    assert (rates <= 0.5).all()


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_weights_alone_decay(optimizer: str, batch_norm: bool) -> None:
    """With gradients of 0, a step at rate 0.1 and decay 0.5 takes a twentieth off the weights."""
    import tensorflow as tf

    from digits.model import architectures
    from digits.training.optimizer import make_optimizer

    recipe = cnn(optimizer=optimizer, learning_rate=0.1, weight_decay=0.5, schedule="constant", batch_norm=batch_norm)
    network = architectures.build(recipe, seed=0)
    made = make_optimizer(recipe, steps=1)
    for variable in network.trainable_variables:
        variable.assign(tf.ones_like(variable))
    made.apply([tf.zeros_like(variable) for variable in network.trainable_variables], network.trainable_variables)
    for variable in network.trainable_variables:
        expected = 0.95 if variable.name == "kernel" else 1.0
        np.testing.assert_allclose(variable, expected, rtol=1e-5)
