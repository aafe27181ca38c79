"""The outputs of the stages, the root of the repository, and the git-ignored folder .digits/."""

import os
from pathlib import Path

# In data/, which DVC keeps.
RAW = Path("data/raw")
NORMALIZED = Path("data/normalized.npz")
MODEL = Path("data/model.keras")
PROBABILITIES = Path("data/probabilities.npz")
PREDICTIONS = Path("data/predictions.csv")
SAMPLE = Path("data/sample.csv")
LOGGED = Path("data/logged.json")

# In reports/, which Git keeps.
DATASET_PLOTS = Path("reports/dataset")
HISTORY = Path("reports/history.csv")
METRICS = Path("reports/metrics.json")
EVALUATION_PLOTS = Path("reports/evaluation")
PREDICTION = Path("reports/prediction.json")
PREDICTION_PLOT = Path("reports/prediction.png")
RESULTS_PAGE = Path("reports/README.md")


def repo_root() -> Path:
    """The folder of dvc.yaml in the user's repository.

    DVC runs an experiment in a temporary copy, the working directory, and names the user's repository in DVC_ROOT.
    Both are the root of DVC's repository, which may be larger: dvc.yaml can be in a subfolder.
    """
    here = Path.cwd()
    original = os.environ.get("DVC_ROOT")
    copy = next((folder for folder in (here, *here.parents) if (folder / ".dvc").is_dir()), None)
    return Path(original, here.relative_to(copy)).resolve() if original and copy else here


def state_dir() -> Path:
    """The folder .digits/ for checkpoints and run records, which differ each time and so cannot be outputs."""
    return repo_root() / ".digits"
