"""Stage track: one MLflow run for the state that the stages before left; data/published.json says which."""

from pathlib import Path

from digits import artifacts, params
from digits.errors import run_stage

STAMP = Path("data/published.json")


def main() -> None:
    """Publish params, metrics, plots, data and model."""
    settings = params.load()
    from digits import tracking  # which imports MLflow: once the params are checked

    sections = {
        "fetch": settings.fetch,
        "normalize": settings.normalize,
        "train": settings.train,
        f"recipes.{settings.train.recipe}": settings.recipe,
        "predict_sample": settings.predict_sample,
    }
    params_here = {name: section.model_dump(mode="json") for name, section in sections.items()}
    STAMP.unlink(missing_ok=True)  # DVC leaves a persistent output: should publishing fail, the next repro tries again
    state = tracking.publish(params_here, Path("dvc.lock"))
    artifacts.write_json(STAMP, {"state": state.fingerprint})


if __name__ == "__main__":
    run_stage(main)
