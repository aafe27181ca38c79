"""`digits doctor`: look at everything that a run depends on, and say what to do where something is wrong."""

import hashlib
import os
import re
import shlex
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import digits
from digits.common import files, paths, run_record
from digits.common.dvc import dvc
from digits.common.errors import UserError
from digits.common.git import head
from digits.data.catalogue import CATALOGUE

SHOWN = 3  # names in a line
FREE = 2e9  # bytes that a run and its environment may need
# Settings of a user that change where or how things run. Passwords are not printed.
VARIABLES = re.compile("^(DIGITS_|DVC_|MLFLOW_|ONEDNN_|PYTHONPATH|PYTHONHOME)")
OURS = {"MLFLOW_DISABLE_TELEMETRY", "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"}  # set by the command `digits`


@dataclass(frozen=True)
class Finding:
    """A fact, with its cure if something is wrong."""

    title: str
    fact: str
    cure: str = ""


def examine() -> Iterator[Finding]:
    """Look at one thing after the other, in the repository in the working directory."""
    for look in (_versions, _environment, _settings, _git, _data, _cache, _locks, _store, _checkpoints, _space):
        yield from look()


def _versions() -> Iterator[Finding]:
    found = run_record.versions() | {name: metadata.version(name) for name in ("dvc", "mlflow")}
    yield Finding("versions", ", ".join(f"{name} {version}" for name, version in found.items()))
    lock = Path("requirements.lock")
    pins = re.findall(r"^([\w.-]+)==(\S+)", lock.read_text(), re.MULTILINE) if lock.exists() else []
    # A package may have several pins, for several versions of Python.
    differing = {name for name, _ in pins if name in found and (name, found[name]) not in pins}
    if differing:
        yield Finding("versions", f"requirements.lock has another {', '.join(sorted(differing))}", "make setup")


def _environment() -> Iterator[Finding]:
    source = Path(digits.__file__).parents[1]
    if source != paths.repo_root() / "src":
        yield Finding("library", f"imported from {source}", "make setup, then . .venv/bin/activate, in this folder")


def _settings() -> Iterator[Finding]:
    names = sorted(set(filter(VARIABLES.match, os.environ)) - OURS)
    yield Finding("variables", ", ".join(names) or "none that matter")
    if "ONEDNN_MAX_CPU_ISA" in os.environ:
        yield Finding("variables", "ONEDNN_MAX_CPU_ISA may change the last digits", "unset ONEDNN_MAX_CPU_ISA")


def _git() -> Iterator[Finding]:
    try:
        commit = head()
    except UserError as error:
        yield Finding("Git", str(error), "do what the message says")
        return
    yield Finding("Git", f"commit {commit[:12]}" if commit else "no commit: digits verify and digits sweep need one")
    try:
        settings = dvc("config", "--list").splitlines()
    except UserError as error:
        yield Finding("DVC", str(error), "do what the message says")
        return
    if commit and "core.no_scm=true" in settings:
        yield Finding("Git", "DVC was told that there is no repository", "dvc config --local --unset core.no_scm")


def _data() -> Iterator[Finding]:
    dataset, folder = CATALOGUE["mnist"], Path("data/mnist")
    digests = {path.name: files.sha256(path) for path in folder.glob("*.gz")}
    if wrong := [name for name, digest in dataset.sha256.items() if digests.get(name) != digest]:
        yield Finding("MNIST", f"missing or damaged in {folder}: {', '.join(wrong)}", f"git checkout -- {folder}")
    else:
        yield Finding("MNIST", f"the {len(dataset.sha256)} files in {folder} are the published ones")


def _cache() -> Iterator[Finding]:
    """DVC takes an object's name for its content; so a damaged one would be restored."""
    try:
        objects = Path(dvc("cache", "dir")) / "files/md5"
    except UserError as error:
        yield Finding("DVC's cache", str(error), "do what the message says")
        return
    found = [path for path in objects.glob("??/*") if re.fullmatch(r"[0-9a-f]{30}(\.dir)?", path.name)]
    damaged = [path for path in found if _md5(path) != path.parent.name + path.name.removesuffix(".dir")]
    size = sum(path.stat().st_size for path in found) / 1e6
    if damaged:
        fact = f"{len(damaged)} of {len(found)} objects are damaged"
        yield Finding("DVC's cache", fact, _removal(damaged, "dvc repro"))
    else:
        yield Finding("DVC's cache", f"{len(found)} objects, {size:,.0f} MB, none damaged")


def _locks() -> Iterator[Finding]:
    lock = Path(".dvc/tmp/rwlock")
    if lock.exists() and not lock.read_text():
        yield Finding("DVC's lock", f"{lock} is empty, since DVC was killed while it wrote it", f"rm {lock}")


def _store() -> Iterator[Finding]:
    from digits.tracking import store, training_run  # imports MLflow, which takes seconds

    try:
        uri = store.without_password(store.configured_uri())
        if uri == store.DEFAULT and not (paths.repo_root() / "mlflow.db").exists():
            yield Finding("MLflow", "no runs yet; dvc repro logs the first")
            return
        with store.connect(create=False) as (client, experiment_id):
            count = len(client.search_runs([experiment_id], max_results=1000))
            abandoned = training_run.find_abandoned(client, experiment_id)
    except UserError as error:
        yield Finding("MLflow", str(error), "mlflow db upgrade" if "schema" in str(error) else "see docs/mlflow.md")
        return
    yield Finding("MLflow", f"runs: {count if count < 1000 else '1,000 or more'}, at {uri}")
    if abandoned:
        fact = f"{len(abandoned)} training runs that began over a week ago are RUNNING"
        yield Finding("MLflow", fact, "dvc repro -s -f track, which marks them as KILLED")


def _checkpoints() -> Iterator[Finding]:
    found = list((paths.state_dir() / "checkpoints").glob("*.npz"))
    old = [path for path in found if time.time() - path.stat().st_mtime > run_record.ABANDONED_AFTER]
    if old:
        fact = f"{len(old)} of training runs that were abandoned over a week ago"
        yield Finding("checkpoints", fact, _removal(old, "their space is free"))
    elif found:
        yield Finding("checkpoints", f"{len(found)} of training runs that the same params resume")


def _space() -> Iterator[Finding]:
    free = shutil.disk_usage(paths.repo_root()).free
    cure = "make room: dvc gc --workspace, for example" if free < FREE else ""
    yield Finding("free space", f"{free / 1e9:.1f} GB", cure)


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _removal(paths: Sequence[Path], then: str) -> str:
    """A command that removes the first of some files, and what comes then."""
    return f"rm -f {shlex.join(map(str, paths[:SHOWN]))}; then {then if len(paths) <= SHOWN else 'digits doctor again'}"
