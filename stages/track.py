"""Stage track: the pipeline's results as one MLflow run; data/logged.json says which state was logged."""

from pathlib import Path

from digits.common import files
from digits.common.stage import run_stage
from digits.tracking import pipeline_state
from digits.tracking.log_run import log_run

STAMP = Path("data/logged.json")


def main() -> None:
    """Log params, metrics, plots, datasets and model."""
    STAMP.unlink(missing_ok=True)  # DVC keeps a persistent output, which must not outlive a failure
    state = pipeline_state.read("track")
    log_run(state)
    files.write_json(STAMP, {"state": state.fingerprint})


if __name__ == "__main__":
    run_stage(main)
