"""The recipe's optimizer and learning rate."""

from collections.abc import Callable, Mapping

import keras

from digits.params import Recipe

OPTIMIZERS: Mapping[str, Callable[..., keras.Optimizer]] = {
    "adam": keras.optimizers.Adam,
    "sgd": keras.optimizers.SGD,
}

WARMUP = 0.25  # of the steps


def make_optimizer(recipe: Recipe, steps: int) -> keras.Optimizer:
    """The optimizer for a run of `steps` steps. Kernels alone decay, apart from the gradient (with adam: AdamW).

    Loshchilov, Hutter, "Decoupled Weight Decay Regularization", ICLR 2019.
    """
    optimizer = OPTIMIZERS[recipe.optimizer](learning_rate(recipe, steps), weight_decay=recipe.weight_decay or None)
    optimizer.exclude_from_weight_decay(var_names=["bias", "beta", "gamma"])
    return optimizer


def learning_rate(recipe: Recipe, steps: int) -> float | keras.optimizers.schedules.LearningRateSchedule:
    """Constant; or one cycle, linearly from a 25th up to the recipe's rate, then along a cosine down to 0.

    Smith, "A disciplined approach to neural network hyper-parameters", 2018.
    """
    if recipe.schedule == "constant":
        return recipe.learning_rate
    warmup = round(WARMUP * steps)
    return keras.optimizers.schedules.CosineDecay(
        recipe.learning_rate / 25,
        decay_steps=steps - warmup,
        warmup_steps=warmup,
        warmup_target=recipe.learning_rate,
    )
