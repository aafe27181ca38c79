"""Verify a run: rebuild it from its commit and params, and compare what logging it would show with what MLflow has."""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import mlflow
from mlflow import MlflowClient
from mlflow.entities import LoggedModel, Run
from mlflow.exceptions import MlflowException
from mlflow.models import Model
from ruamel.yaml import YAML

from digits.commands.clone import Clone, CommandError, make_clone
from digits.common import files, paths, run_record
from digits.common.errors import UserError
from digits.common.git import GitError, git
from digits.tracking import mlflow_model, registry, run_content, state, store
from digits.tracking.run_content import COMMIT_TAG, STATE_TAG, RunContent

Show = Callable[[str], object]
Values = dict[str, object]  # by their names in messages

# Files of a model that name versions and times (`_model` reads the rest of MLmodel), or that a download adds.
UNCOMPARED = ("MLmodel", "conda.yaml", "python_env.yaml", "requirements.txt", "registered_model_meta")
NOTHING = "nothing"


@dataclass(frozen=True)
class Verification:
    """The result of a comparison."""

    same_environment: bool  # CPU and versions are the recorded ones, or none are recorded
    differences: list[str]  # one line for each value or file
    same_results: bool  # the model and all metrics are identical
    compared: int  # values and files


def verify(query: str, show: Show, show_output: Show) -> Verification:
    """Rebuild a run in a temporary clone, without any cache, and compare. Nothing is written to MLflow.

    Args:
        query: a run's id, its name, or the first six or more digits of its state.
        show: called with lines about the run.
        show_output: called with each line that DVC and the stages print.

    Raises:
        UserError: the run is not found, or cannot be rebuilt from its commit.
    """
    root = paths.repo_root()
    with store.connect(create=False) as (client, experiment_id), TemporaryDirectory(prefix="digits-") as name:
        run = _find(client, experiment_id, query)
        logged = _Logged(client, run, Path(name))
        commit = logged.require_tag(COMMIT_TAG)
        show(f"{logged}: state {logged.require_tag(STATE_TAG)[:12]}, commit {commit[:12]}")
        if run.data.tags.get("git.dirty") == "true":
            show("its code had uncommitted changes")
        same_environment = _compare_environment(run.data.tags, show)
        with _clone(root, commit) as clone:
            _rebuild(clone, logged, show_output)
            stages = state.locked_stages(clone.root)
            with chdir(clone.root):
                content = run_content.read(state.read())
            expected, found = _expected(content, logged, stages), _logged(content, logged, stages)
    names = sorted(expected | found)
    differing = [name for name in names if found.get(name, NOTHING) != expected.get(name, NOTHING)]
    lines = [f"{name}: {found.get(name, NOTHING)} logged, {expected.get(name, NOTHING)} rebuilt" for name in differing]
    return Verification(same_environment, lines, not any(map(_is_result, differing)), len(expected))


def _is_result(name: str) -> bool:
    return name.startswith(("metric ", "model", f"tag {run_content.MODEL_TAG}")) or " at step " in name


def _find(client: MlflowClient, experiment_id: str, query: str) -> Run:
    """The one run that `query` names."""
    quote = "'" if '"' in query else '"'  # MLflow's filters have no escapes: a name may not have both
    filters = [f"attributes.{name} = {quote}{query}{quote}" for name in ("run_id", "run_name") if quote not in query]
    if re.fullmatch("[0-9a-f]{6,64}", query):
        filters.append(f"tags.`{STATE_TAG}` LIKE '{query}%'")
    found = {run.info.run_id: run for each in filters for run in client.search_runs([experiment_id], each)}
    if not found:
        allowed = "a run's id, its name, or the first six or more digits of its state"
        raise UserError(f"MLflow has no run {query!r}; give {allowed}")
    if len(found) > 1:
        lines = [f"{run_id}  {run.info.run_name}" for run_id, run in found.items()]
        raise UserError("\n".join([f"{len(found)} runs match {query!r}; give the id of one:", *lines]))
    (run,) = found.values()
    return run


class _Logged:
    """A run in MLflow: its files, and its model's, downloaded to a folder."""

    def __init__(self, client: MlflowClient, run: Run, folder: Path) -> None:
        self.client, self.run, self.folder = client, run, folder
        client.download_artifacts(run.info.run_id, "", str(folder))
        models = client.search_logged_models([run.info.experiment_id], f"source_run_id = '{run.info.run_id}'")
        self.model: LoggedModel | None = min(models, key=lambda model: str(model.model_id), default=None)

    def require_tag(self, name: str) -> str:
        if name not in self.run.data.tags:
            raise UserError(f"{self} cannot be verified: MLflow lacks its tag {name}")
        return str(self.run.data.tags[name])

    def __str__(self) -> str:
        return f"run {self.run.info.run_id} ({self.run.info.run_name})"


def _clone(root: Path, commit: str) -> Any:
    """A clone of the repository of the folder `root` at `commit`, with an empty cache."""
    if not re.fullmatch("[0-9a-f]{40,64}", commit):  # it may come from anywhere, and is an argument of git
        raise UserError(f"{commit!r} is not the SHA of a commit")
    try:
        repository = Path(git("rev-parse", "--show-toplevel", folder=root))
        git("cat-file", "-e", f"{commit}^{{commit}}", folder=root)
    except GitError as error:
        advice = "change to the repository that has it, or get it with: git fetch --all"
        raise UserError(f"{root} does not have commit {commit} (Git says: {error}); {advice}") from error
    return make_clone(repository, commit, str(root.resolve().relative_to(repository.resolve())))


def _rebuild(clone: Clone, logged: _Logged, show_output: Show) -> None:
    """Run the stages before `track` with the run's params, whatever dvc.lock says."""
    try:
        content = (logged.folder / "params.yaml").read_bytes()
    except FileNotFoundError as error:
        raise UserError(f"{logged} cannot be verified: MLflow lacks its params.yaml") from error
    files.write_bytes(clone.root / "params.yaml", content)
    stages = state.locked_stages(clone.root)
    (clone.root / "dvc.lock").unlink()
    try:
        clone.dvc("repro", "--force", "--no-run-cache", *stages, on_line=show_output)
    except CommandError as error:
        raise UserError(f"{logged} cannot be rebuilt: {error}") from error


def _compare_environment(tags: Mapping[str, str], show: Show) -> bool:
    """Whether the run was trained in this environment, or did not record its own; every difference is shown."""
    here = {"cpu": run_record.cpu()} | {f"version.{name}": value for name, value in run_record.versions().items()}
    recorded = {tag: value for tag, value in tags.items() if tag in here}
    if not recorded:
        show("the environment of its training is not recorded")
        return True
    differing = [tag for tag in recorded if recorded[tag] != here[tag]]
    for tag in differing:
        show(f"the environment differs: {tag.removeprefix('version.')} {recorded[tag]} recorded, {here[tag]} here")
    return not differing


def _expected(content: RunContent, logged: _Logged, stages: Iterable[str]) -> Values:
    """The values that logging the rebuilt state would show."""
    values: Values = {f"param {name}": value for name, value in content.params.items()}
    values |= {f"tag {name}": content.tags[name] for name in run_content.IDENTITY_TAGS}
    metrics = [metric for metric in run_content.metrics(content, logged.run) if metric.key not in run_content.TIMES]
    values |= {f"{metric.key} at step {metric.step}": metric.value for metric in metrics}
    values |= {f"metric {metric.key}": metric.value for metric in metrics}
    values |= {f"metric {metric.key} of the model": metric.value for metric in metrics}
    values |= dict(_datasets(content.datasets))
    values |= _digests(content.artifacts, stages)
    if logged.model:
        if not content.predictor.is_file():
            raise UserError(f"{logged} cannot be verified: a version before the compiled predictor logged it")
        with TemporaryDirectory() as folder:
            mlflow_model.write(Path(folder, "model"), content, logged.model)
            values |= _model(Path(folder, "model"))
        if content.version_tags:
            values |= {"source of the registered version": f"models:/{logged.model.model_id}"}
    else:
        values["model"] = "a model"
    values |= {f"tag {name} of the registered version": value for name, value in (content.version_tags or {}).items()}
    return values


def _logged(content: RunContent, logged: _Logged, stages: Iterable[str]) -> Values:
    """MLflow's values of the same kinds. Metrics, tags and files that logging does not have were added by a user."""
    client, run = logged.client, logged.run
    values: Values = {f"param {name}": value for name, value in run.data.params.items()}
    values |= {f"tag {name}": run.data.tags[name] for name in run_content.IDENTITY_TAGS if name in run.data.tags}
    names = {metric.key for metric in run_content.metrics(content, run)} - set(run_content.TIMES)
    for name in names & set(run.data.metrics):
        history = client.get_metric_history(run.info.run_id, name)
        values |= {f"{name} at step {metric.step}": metric.value for metric in history}
        values[f"metric {name}"] = run.data.metrics[name]
    values |= dict(_datasets(run.inputs.dataset_inputs if run.inputs else []))
    downloaded = {path: logged.folder / path for path in content.artifacts if (logged.folder / path).is_file()}
    values |= _digests({path: file.read_bytes() for path, file in downloaded.items()}, stages)
    for version in registry.versions(client, run.info.run_id):
        values |= {"source of the registered version": version.source}
        values |= {f"tag {name} of the registered version": value for name, value in version.tags.items()}
    if logged.model:
        values |= {
            f"metric {one.key} of the model": one.value for one in logged.model.metrics or [] if one.key in names
        }
        try:
            folder = mlflow.artifacts.download_artifacts(
                f"models:/{logged.model.model_id}", dst_path=str(logged.folder / "model")
            )
        except MlflowException as error:
            values["model"] = " ".join(str(error).split())
        else:
            values |= _model(Path(folder))
    return values


def _datasets(inputs: Any) -> Iterator[tuple[str, object]]:
    for entry in inputs:
        for tag in entry.tags:
            yield f"dataset {tag.value}", entry.dataset.digest
            yield f"schema of dataset {tag.value}", entry.dataset.schema


def _digests(artifacts: Mapping[str, bytes], stages: Iterable[str]) -> Values:
    """The MD5 of each file by path; for dvc.lock, the recorded commands, dependencies and outputs before `track`."""
    values: Values = {path: _md5(content) for path, content in artifacts.items() if path != "dvc.lock"}
    if "dvc.lock" in artifacts:
        values |= _locked(artifacts["dvc.lock"], stages)
    return values


def _locked(content: bytes, stages: Iterable[str]) -> Values:
    """Commands, dependencies and outputs of some stages."""
    values: Values = {}
    try:
        entries = YAML(typ="safe").load(content)["stages"]
        for name in stages:
            values[f"dvc.lock: command of stage {name}"] = entries[name]["cmd"]
            for key, kind in (("deps", "dependency"), ("outs", "output")):
                locked = entries[name].get(key, [])
                values |= {f"dvc.lock: {kind} {entry['path']} of stage {name}": entry["md5"] for entry in locked}
    except Exception as error:  # noqa: BLE001 (a damaged file may raise anything)
        values["dvc.lock"] = f"damaged ({' '.join(str(error).split())})"
    return values


def _model(folder: Path) -> Values:
    """The MD5 of each file of a model in MLflow's layout, and how it is loaded and called."""
    values: Values = {
        f"model: {path.relative_to(folder)}": _md5(path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file() and path.name not in UNCOMPARED and path.parent.name != "__pycache__"  # of MLflow's loader
    }
    if (folder / "MLmodel").is_file():
        model = Model.load(str(folder))
        values["model: signature"] = str(model.signature)
        values |= {
            f"model: {key} of flavor {flavor}": str(value)
            for flavor, settings in model.flavors.items()
            for key, value in settings.items()
            if not key.endswith("version")
        }
    return values


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()
