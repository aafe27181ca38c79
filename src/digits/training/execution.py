"""How a recipe is computed: with XLA, or each batch in parts. Decided by its architecture, for a CPU."""

from digits.params import Mlp, Recipe


def uses_xla(recipe: Recipe) -> bool:
    """Whether XLA compiles the epochs. Its convolutions take ten times as long as TensorFlow's."""
    return isinstance(recipe, Mlp) and recipe.xla


def parts(recipe: Recipe) -> int:
    """Parts of a batch that are computed at the same time, one thread each, where a network has convolutions.

    That is faster than all threads on one operation.
    """
    return 1 if isinstance(recipe, Mlp) else recipe.threads
