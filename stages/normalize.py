"""Stage normalize: scaled images, split into training, validation and test set, into data/normalized.npz."""

from pathlib import Path

from digits import artifacts, idx, params, plots, preprocessing
from digits.errors import run_stage

RAW = Path("data/raw")
PLOTS = Path("reports/plots")


def main() -> None:
    """Normalize the raw images, and picture some as they came."""
    settings = params.load().normalize
    about = artifacts.read_json(RAW / idx.ABOUT)
    x_train, y_train, x_test, y_test = idx.read(RAW)

    count = preprocessing.validation_count(settings.validation_size, len(x_train), stand_in=about["stand_in"])
    held_out = preprocessing.hold_out(y_train, count, settings.validation_seed)
    splits = preprocessing.split(x_train, y_train, x_test, y_test, held_out, settings.method)
    artifacts.write_arrays(Path("data/normalized.npz"), **splits)

    plots.save(plots.first_image(x_train, y_train, about["title"]), PLOTS / "first_image.png")
    plots.save(plots.samples(x_train, y_train, about["title"]), PLOTS / "training_samples.png")


if __name__ == "__main__":
    run_stage(main)
