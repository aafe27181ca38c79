"""The split of the training images: those to learn from, and those held out for validation."""

import numpy as np
from numpy.typing import NDArray

from digits.common.errors import UserError
from digits.common.types import Labels

Indices = NDArray[np.intp]


def split(labels: Labels, train_size: int, validation_size: int, seed: int) -> tuple[Indices, Indices]:
    """Draw the training and the validation images at random, each class in proportion.

    A smaller validation set is part of a larger one; so is a training set, for one validation size.

    Returns:
        The indices of the training and of the validation images, ascending.

    Raises:
        UserError: the sizes exceed the number of images.
    """
    if train_size + validation_size > len(labels):
        raise UserError(
            "params.yaml: normalize.train_size + normalize.validation_size: must be at most "
            f"{len(labels)}, the number of training images, got {train_size} + {validation_size}"
        )
    order = stratified_order(labels, seed)
    return np.sort(order[validation_size : validation_size + train_size]), np.sort(order[:validation_size])


def stratified_order(labels: Labels, seed: int) -> Indices:
    """All indices in a random order in which every prefix is class-balanced.

    The images of a class, shuffled, are spread evenly over 0..1: the i-th of m at (i + 1/2) / m.
    """
    generator = np.random.default_rng(seed)
    position = np.empty(len(labels))
    for label in np.unique(labels):
        members = generator.permutation(np.flatnonzero(labels == label))
        position[members] = (np.arange(len(members)) + 0.5) / len(members)
    return np.argsort(position, kind="stable")
