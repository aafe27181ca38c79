"""The outputs of the stages, the root of the repository, and the git-ignored folder .digits/."""

import os
from pathlib import Path

# In data/, tracked by DVC.
RAW = Path("data/raw")
NORMALIZED = Path("data/normalized.npz")
MODEL = Path("data/model.keras")
PROBABILITIES = Path("data/probabilities.npz")
PREDICTIONS = Path("data/predictions.csv")
SAMPLE = Path("data/sample.csv")
LOGGED = Path("data/logged.json")

# In reports/, tracked by Git.
DATASET_PLOTS = Path("reports/dataset")
HISTORY = Path("reports/history.csv")
METRICS = Path("reports/metrics.json")
EVALUATION_PLOTS = Path("reports/evaluation")
PREDICTION = Path("reports/prediction.json")
PREDICTION_PLOT = Path("reports/prediction.png")
RESULTS_PAGE = Path("reports/README.md")


def repo_root() -> Path:
    """The folder of dvc.yaml in the user's repository.

    In a DVC experiment the working directory is a temporary copy, and DVC_ROOT names the original. dvc.yaml may be in a
    subfolder of either.
    """
    here = Path.cwd()
    original = os.environ.get("DVC_ROOT")
    copy = next((folder for folder in (here, *here.parents) if (folder / ".dvc").is_dir()), None)
    return Path(original, here.relative_to(copy)).resolve() if original and copy else here


def state_dir() -> Path:
    """The folder .digits/ for checkpoints and run records, which are not reproducible, and so cannot be outputs."""
    return repo_root() / ".digits"
