"""The temperature of logits whose right temperature is known."""

import numpy as np
import pytest
from numpy.typing import NDArray

from digits.common.types import Labels
from digits.training.temperature import fit_temperature


def drawn(count: int, scale: float) -> tuple[NDArray[np.float32], Labels]:
    """Logits, `scale` times those that the labels were drawn with."""
    generator = np.random.default_rng(0)
    logits = generator.normal(0, 2, size=(count, 10))
    labels = (logits + generator.gumbel(size=logits.shape)).argmax(axis=1)
    return (scale * logits).astype(np.float32), labels.astype(np.uint8)


@pytest.mark.parametrize("scale", [0.5, 1.0, 2.5])
def test_temperature_takes_the_scale_back(scale: float) -> None:
    assert fit_temperature(*drawn(20_000, scale)) == pytest.approx(scale, rel=0.03)


def test_temperature_is_rounded() -> None:
    """Its last digits could differ between machines."""
    found = fit_temperature(*drawn(1000, 1.5))
    assert found == round(found, 4) != round(found, 2)


def test_without_images_it_is_one() -> None:
    assert fit_temperature(*drawn(0, 2.0)) == 1


@pytest.mark.parametrize(("right", "expected"), [(True, 0.2), (False, 5.0)])
def test_few_images_do_not_take_it_to_the_end(right: bool, expected: float) -> None:
    logits = 4 * np.eye(10, dtype=np.float32)
    labels = np.arange(10, dtype=np.uint8) if right else np.arange(10, dtype=np.uint8)[::-1].copy()
    assert fit_temperature(logits, labels) == pytest.approx(expected, abs=1e-3)
