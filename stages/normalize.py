"""Stage normalize: scaled training and validation images in data/normalized.npz. The test files are not opened."""

from digits import params
from digits.common import files, paths
from digits.common.errors import exit_on_user_error
from digits.data import download, idx
from digits.data.normalization import METHODS
from digits.data.split import split
from digits.plots import dataset as plots


def main() -> None:
    settings = params.load()
    metadata = files.read_json(paths.RAW / download.METADATA)
    images, labels = idx.read_train(paths.RAW)

    sizes = settings.normalize
    train, validation = split(labels, sizes.train_size, sizes.validation_size, sizes.split_seed)
    normalize = METHODS[settings.recipe.normalization]
    files.write_arrays(
        paths.NORMALIZED,
        x_train=normalize(images[train]),
        y_train=labels[train],
        x_val=normalize(images[validation]),
        y_val=labels[validation],
    )
    plots.save_first_image(paths.DATASET_PLOTS / "first_image.png", images, labels, metadata)
    plots.save_samples(paths.DATASET_PLOTS / "samples.png", images, labels, metadata)


if __name__ == "__main__":
    exit_on_user_error(main)
