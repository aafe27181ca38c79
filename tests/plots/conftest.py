"""The fixture of all tests of figures."""

from typing import Any

import pytest
from matplotlib.figure import Figure

from digits.plots import style


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Every figure that is drawn, in order."""
    figures: list[Figure] = []

    class Spy(Figure):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            figures.append(self)

    monkeypatch.setattr(style, "Figure", Spy)
    return figures
