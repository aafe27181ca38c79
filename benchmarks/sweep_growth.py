"""Does a sweep slow down as it grows? 1,000 tasks of no work through the real code, on two local workers.

Run it as `make bench-growth`; it takes six minutes. It writes benchmarks/sweep_growth.json, and prints the table of
docs/sweeps.md. A task is real but for its pipeline, which has one stage that names a run of MLflow.
"""

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import chdir
from pathlib import Path

from mlflow.entities import Param

import report
from digits.commands.sweep import driver, grid
from digits.commands.sweep.driver import Result
from digits.common import files, run_record
from digits.common.errors import UserError, exit_on_user_error
from digits.common.git import git
from digits.tracking import store
from digits.tracking.run_content import CODE_TAG, COMMIT_TAG, STATE_TAG, flatten

TASKS = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
PART = TASKS // 10  # tasks per row of the table
WORKERS = 2
NOBODY = ("-c", "user.name=Benchmark", "-c", "user.email=benchmark@localhost")

RESULTS = report.ROOT / "benchmarks/sweep_growth.json"

PIPELINE = """\
stages:
  track:
    cmd: mkdir -p data && sed -n "$((${train.seed} + 1))p" states > data/logged.json
    params: [train.seed]
    deps: [states]
    outs: [data/logged.json: {cache: false}]
"""


def make_repository(folder: Path) -> None:
    """A repository whose pipeline does no work: with the seed `n`, it claims to have logged the state `n`."""
    for name in ("src", "params.yaml"):
        copy = shutil.copytree if (report.ROOT / name).is_dir() else shutil.copyfile
        copy(report.ROOT / name, folder / name)
    (folder / "dvc.yaml").write_text(PIPELINE)
    (folder / "states").write_text("".join(json.dumps({"state": f"{number}"}) + "\n" for number in range(TASKS)))
    (folder / ".gitignore").write_text("__pycache__/\n*.db*\n/.digits/\n")
    git("init", "--quiet")
    subprocess.run([Path(sys.executable).with_name("dvc"), "init", "--quiet"], check=True)
    git("add", "--all")
    git(*NOBODY, "commit", "--quiet", "--message", "Do no work")


def make_runs(tags: dict[str, str], configurations: list[grid.Configuration]) -> None:
    """A finished run for each state, with params and tags."""
    with store.connect() as (client, experiment_id):
        for number, configuration in enumerate(configurations):
            run = client.create_run(experiment_id, tags=tags | {STATE_TAG: f"{number}"})
            params = [Param(key, str(value)) for key, value in flatten(configuration.sections).items()]
            client.log_batch(run.info.run_id, params=params)
            client.set_terminated(run.info.run_id)


def measure() -> list[dict[str, float]]:
    """Sweep; one row for each part of the results: wall time per task (s), and peak memory of this process (MB)."""
    rows: list[dict[str, float]] = []
    results: list[Result] = []
    configurations = grid.make([], TASKS)
    make_runs({}, configurations)
    started = time.perf_counter()

    def on_result(result: Result) -> None:
        nonlocal started
        if result.error:
            raise UserError(result.error)
        results.append(result)
        if len(results) % PART == 0:
            now = time.perf_counter()
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            rows.append({"tasks": len(results), "seconds": (now - started) / PART, "megabytes": peak})
            print(rows[-1], flush=True)
            started = now

    driver.sweep(configurations, workers=WORKERS, on_result=on_result)
    return rows


def look_up() -> float:
    """The wall time (s) of the command, when all its configurations have runs."""
    os.environ["MLFLOW_TRACKING_URI"] = "sqlite:///known.db"
    configurations = grid.make([], TASKS)
    make_runs({COMMIT_TAG: git("rev-parse", "HEAD"), "git.dirty": "false", CODE_TAG: "compared"}, configurations)
    started = time.perf_counter()
    command = [str(Path(sys.executable).with_name("digits")), "sweep", "--seeds", str(TASKS)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if f"{TASKS} already in MLflow" not in output:
        raise UserError(output)
    return time.perf_counter() - started


def main() -> None:
    """Measure, and write the results."""
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        make_repository(Path(folder))
        rows = measure()
        known = look_up()
    machine = {"cpu": run_record.cpu(), "cores": os.cpu_count(), "workers": WORKERS}
    files.write_json(RESULTS, machine | {"rows": rows, "known_seconds": known})
    print("| tasks | seconds per task | driver, MB |\n| --- | ---: | ---: |")
    for row in rows:
        print(f"| {row['tasks'] - PART + 1:,} to {row['tasks']:,} | {row['seconds']:.2f} | {row['megabytes']:.0f} |")
    print(f"{TASKS} known configurations: {known:.1f} s")


if __name__ == "__main__":
    exit_on_user_error(main)
