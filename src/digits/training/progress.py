"""The progress bar of a training run."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from tqdm import tqdm


@contextmanager
def progress_bar(epochs: int) -> Iterator[Callable[[Mapping[str, float]], None]]:
    """A bar of `epochs` steps, and the `on_epoch_end` that moves it and shows the epoch's metrics."""
    with tqdm(total=epochs, desc="train", unit="epoch") as bar:

        def on_epoch_end(row: Mapping[str, float]) -> None:
            bar.set_postfix({name: f"{value:.4f}" for name, value in row.items() if name != "epoch"}, refresh=False)
            bar.update(row["epoch"] - bar.n)

        yield on_epoch_end
