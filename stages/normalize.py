"""Stage normalize: scaled training and validation images in data/normalized.npz. The test files are not opened."""

from pathlib import Path

from digits import params
from digits.common import files
from digits.common.stage import run_stage
from digits.data import download, idx
from digits.data.normalization import METHODS
from digits.data.split import split
from digits.plots import dataset as plots

RAW, PLOTS = Path("data/raw"), Path("reports/dataset")


def main() -> None:
    """Scale the pixels, hold out a validation set, and draw some raw images."""
    settings = params.load()
    metadata = files.read_json(RAW / download.METADATA)
    images, labels = idx.read_train(RAW)

    sizes = settings.normalize
    train, validation = split(labels, sizes.train_size, sizes.validation_size, sizes.split_seed)
    normalize = METHODS[settings.recipe.normalization]
    files.write_arrays(
        Path("data/normalized.npz"),
        x_train=normalize(images[train]),
        y_train=labels[train],
        x_val=normalize(images[validation]),
        y_val=labels[validation],
    )
    plots.save_first_image(PLOTS / "first_image.png", images, labels, metadata)
    plots.save_samples(PLOTS / "samples.png", images, labels, metadata)


if __name__ == "__main__":
    run_stage(main)
