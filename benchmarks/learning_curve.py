"""The learning curve: test accuracy by number of training images, from the DVC experiments of this commit.

Run it as `make learning-curve`, which runs the experiments first; it draws docs/learning-curve.png.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from digits.common.errors import UserError
from digits.common.stage import run_stage
from digits.plots.style import figure


def experiments() -> list[dict[str, Any]]:
    """The params and metrics of this commit and of the experiments on it, as `dvc exp show --json` lists them."""
    command = [str(Path(sys.executable).with_name("dvc")), "exp", "show", "--json"]
    states = json.loads(subprocess.check_output(command))
    revisions = [experiment["revs"][0] for state in states for experiment in state.get("experiments") or []]
    return [revision["data"] for revision in [*states[1:2], *revisions] if revision["data"]]


def accuracies() -> dict[int, float]:
    """Test accuracy by number of training images, of the experiments that differ in nothing else."""
    found: dict[int, float] = {}
    base = None
    for data in experiments():
        params = data["params"]["params.yaml"]["data"]
        size = params["normalize"].pop("train_size")
        base = base or params
        if params == base and "data" in data["metrics"].get("reports/metrics.json", {}):
            found[size] = data["metrics"]["reports/metrics.json"]["data"]["accuracy"]
    return dict(sorted(found.items()))


def main() -> None:
    """Draw the curve."""
    points = accuracies()
    if len(points) < 2:
        raise UserError("There are no experiments to compare; run: make learning-curve")
    with figure(Path("docs/learning-curve.png"), 7, 3.6) as drawn:
        axes = drawn.subplots()
        axes.semilogx(points.keys(), points.values(), marker="o")
        for size, accuracy in points.items():
            axes.annotate(f"{accuracy:.2%}", (size, accuracy), (0, -14), textcoords="offset points", ha="center")
        axes.set_xticks(list(points), [f"{size:,}" for size in points])
        axes.minorticks_off()
        axes.set(xlabel="training images", ylabel="test accuracy", title="MNIST: learning curve", ylim=(0.85, 1))
    for size, accuracy in points.items():
        print(f"{size:6,} training images: {accuracy:.2%}")


if __name__ == "__main__":
    run_stage(main)
