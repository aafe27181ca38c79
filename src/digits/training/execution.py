"""How a recipe is computed: with XLA, or each batch in parts. Decided by its architecture, for a CPU."""

from digits.model import tensorflow_setup
from digits.params import Mlp, Recipe


def configure(recipe: Recipe) -> None:
    """Import TensorFlow and divide the recipe's threads among the parts of a batch."""
    number = parts(recipe)
    tensorflow_setup.configure(recipe.threads // number, number)


def uses_xla(recipe: Recipe) -> bool:
    """Whether XLA compiles the epochs. Its convolutions take ten times as long as TensorFlow's."""
    return isinstance(recipe, Mlp) and recipe.xla


def parts(recipe: Recipe) -> int:
    """Parts of a batch that are computed at the same time, one thread each, where a network has convolutions.

    That is faster than all threads on one operation.
    """
    return 1 if isinstance(recipe, Mlp) else recipe.threads
