"""Throw-away copies of the repository, committed or not, in which the real pipeline runs on few training images."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ruamel.yaml import YAML

from digits.common import files
from digits.data import catalogue, idx
from helpers.factories import encode_idx, gzipped

ROOT = Path(__file__).parents[2]
STAND_INS = Path(__file__).parent / "stand_ins"

STAGES = ["fetch", "normalize", "train", "evaluate", "predict_sample", "report", "track"]

# TensorFlow prints these at every start, at every log level.
NOISE = re.compile(r"^[IWE]\d{4} |^WARNING: All log messages before absl|^train: ")

# What the tests count on, whatever params.yaml says at the moment.
PARAMS = {
    "fetch.dataset": "mnist",
    "normalize.train_size": 2000,
    "normalize.validation_size": 500,
    "train.recipe": "tutorial",
    "train.seed": 0,
    "predict_sample.index": 1000,
    "recipes.tutorial.normalization": "l2",
    "recipes.tutorial.epochs": 5,
}

IDENTITY = {
    f"GIT_{role}_{field}": value
    for role in ("AUTHOR", "COMMITTER")
    for field, value in (("NAME", "Test"), ("EMAIL", "test@localhost"))
}


# Runs stages/train.py, which ends by SIGKILL once epoch number sys.argv[1] is saved.
KILLED = """
import os, runpy, signal, sys
from digits.training.checkpoint import Checkpoint
save, left = Checkpoint.save, int(sys.argv[1])
def save_and_die(*arguments):
    global left
    save(*arguments)
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
Checkpoint.save = save_and_die
runpy.run_path("stages/train.py", run_name="__main__")
"""


@dataclass(frozen=True)
class Sandbox:
    """A copy of the repository with an empty DVC cache.

    Attributes:
        root: its folder.
        environment: of its processes.
    """

    root: Path
    environment: dict[str, str]

    def having(self, **variables: str) -> "Sandbox":
        """The same sandbox with more environment variables."""
        return replace(self, environment=self.environment | variables)

    def run(self, *command: str, ok: bool = True) -> str:
        """Run a command and return its output, stderr included; fail unless it succeeds, or fails if not `ok`."""
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
        return "".join(line for line in ran.stdout.splitlines(keepends=True) if not NOISE.match(line))

    def stage(self, name: str, *, ok: bool = True) -> str:
        """Run a stage script as DVC does, without DVC."""
        return self.having(PYTHONPATH="src", MLFLOW_DISABLE_TELEMETRY="true").run("python", f"stages/{name}.py", ok=ok)

    def kill_training(self, epoch: int) -> None:
        """Run the stage train, which ends by SIGKILL once it has saved that epoch."""
        command = [sys.executable, "-c", KILLED, str(epoch)]
        environment = {**self.environment, "PYTHONPATH": "src"}
        ended = subprocess.run(command, cwd=self.root, env=environment, check=False, capture_output=True)
        assert ended.returncode == -signal.SIGKILL

    def repro(self, *options: str) -> list[str]:
        """Run `dvc repro` and return the stages that ran, in the order of `STAGES`; DVC may run leaves in another."""
        lines = self.run("dvc", "repro", *options).splitlines()
        ran = [line.split("'")[1] for line in lines if line.startswith("Running stage")]
        return sorted(ran, key=STAGES.index)

    def failing_repro(self, stage: str) -> list[str]:
        """Run `dvc repro`, which must fail in `stage`, and return the lines that the stage printed."""
        lines = self.run("dvc", "repro", ok=False).splitlines()
        start = next(i for i, line in enumerate(lines) if line.endswith(f"python stages/{stage}.py")) + 1
        end = next(i for i, line in enumerate(lines) if line.startswith(f"ERROR: failed to reproduce '{stage}'"))
        return [line for line in lines[start:end] if not NOISE.match(line)]

    def edit(self, file: str, old: str, new: str) -> None:
        """Replace `old`, which must be there, in a file."""
        path = self.root / file
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def set_params(self, values: Mapping[str, object]) -> None:
        """Set params by their dotted keys; comments and order stay."""
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

    def copy(self, root: Path, **variables: str) -> "Sandbox":
        """A copy with everything in it, DVC's cache included."""
        shutil.copytree(self.root, root)
        return Sandbox(root, self.environment | variables)


def make_sandbox(
    root: Path, params: Mapping[str, object] = PARAMS, *, small: bool = False, stand_ins: bool = False
) -> Sandbox:
    """Copy the repository's files to `root`, set some params, and commit them.

    Args:
        root: a folder that does not exist.
        params: values by their dotted keys.
        small: whether MNIST has a tenth of its images, or fewer, which saves seconds in most stages.
        stand_ins: whether train and evaluate are those in helpers/stand_ins, which take no TensorFlow: for what the
            pipeline does around them. They imply `small`.
    """
    listed = subprocess.check_output(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, text=True
    )
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).exists():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, root / name)
    if small or stand_ins:
        shrink_mnist(root)
    for script in STAND_INS.glob("*.py") if stand_ins else ():
        shutil.copyfile(script, root / "stages" / script.name)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    # The library is compiled once, not by each process.
    unwanted = ("MLFLOW_", "DVC_", "PYTHONDONTWRITEBYTECODE")
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(unwanted)}
    sandbox = Sandbox(root, {**inherited, **IDENTITY, "PATH": path})
    sandbox.set_params(params)
    sandbox.run("git", "init", "-q")
    sandbox.run("git", "add", "--all")
    sandbox.run("git", "commit", "-qm", "The repository with few training images")
    return sandbox


def shrink_mnist(root: Path) -> None:
    """Leave the first images alone: 3,000 to learn from and 1,200 to test with."""
    source = root / "src/digits/data/catalogue.py"
    text = source.read_text()
    folder = root / "data/mnist"
    names = (catalogue.TRAIN_IMAGES, catalogue.TRAIN_LABELS, catalogue.TEST_IMAGES, catalogue.TEST_LABELS)
    values = (*idx.read_train(folder), *idx.read_test(folder))
    for name, array, kept in zip(names, values, (3000, 3000, 1200, 1200), strict=True):
        path = folder / name
        digest = files.sha256(path)
        path.write_bytes(gzipped(encode_idx(array[:kept])))
        assert digest in text
        text = text.replace(digest, files.sha256(path))
    source.write_text(text)
