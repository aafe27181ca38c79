"""Throw-away clones of the repository as it is here, committed or not, for running the real pipeline."""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ruamel.yaml import YAML

ROOT = Path(__file__).parents[1]

STAGES = ["fetch", "normalize", "train", "evaluate", "predict_sample", "track"]

# What the tests count on, whatever is tried out in params.yaml at the moment.
DEFAULTS = {
    "normalize.method": "l2",
    "normalize.validation_size": 5000,
    "train.recipe": "tutorial",
    "train.seed": 0,
    "predict_sample.index": 1000,
    "recipes.tutorial.epochs": 5,
}

IDENTITY = {
    f"GIT_{role}_{field}": value
    for role in ("AUTHOR", "COMMITTER")
    for field, value in (("NAME", "Test"), ("EMAIL", "test@localhost"))
}


@dataclass(frozen=True)
class Clone:
    """A clone with an empty DVC cache.

    Attributes:
        root: its folder.
        environment: what its processes see.
    """

    root: Path
    environment: dict[str, str]

    def run(self, *command: str, ok: bool = True) -> str:
        """Run a command there and give what it printed; fail unless it ends as `ok` says."""
        ran = subprocess.run(
            command,
            cwd=self.root,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert (ran.returncode == 0) == ok, ran.stdout
        return ran.stdout

    def repro(self, *options: str) -> list[str]:
        """Run `dvc repro` and give the stages that were computed, in order."""
        lines = self.run("dvc", "repro", *options).splitlines()
        return [line.split("'")[1] for line in lines if line.startswith("Running stage")]

    def imported_by(self, *command: str) -> set[str]:
        """Run a command there and give the modules that its Python processes imported."""
        said = Clone(self.root, self.environment | {"PYTHONPROFILEIMPORTTIME": "1"}).run(*command)
        return {line.split("|")[-1].strip() for line in said.splitlines() if line.startswith("import time:")}

    def edit(self, file: str, old: str, new: str) -> None:
        """Replace `old`, which must be there, in a file."""
        path = self.root / file
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def pin(self, values: Mapping[str, object]) -> None:
        """Set params, by their dotted keys; the comments and the order of params.yaml stay."""
        path = self.root / "params.yaml"
        yaml = YAML()
        content = yaml.load(path)
        for key, value in values.items():
            *sections, last = key.split(".")
            section = content
            for name in sections:
                section = section[name]
            section[last] = value
        yaml.dump(content, path)


def clone(root: Path, **environment: str) -> Clone:
    """Make a clone at `root` that uses this Python's environment, on the stand-in dataset."""
    listed = subprocess.check_output(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, text=True
    )
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).exists():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes((ROOT / name).read_bytes())
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("MLFLOW_", "DVC_", "MNIST_"))}
    made = Clone(root, {**inherited, **IDENTITY, "PATH": path, **environment})
    made.pin(DEFAULTS | {"fetch.dataset": "uci"})
    made.run("git", "init", "-q")
    made.run("git", "add", "--all")
    made.run("git", "commit", "-qm", "The repository as it is here, on the stand-in")
    return made
