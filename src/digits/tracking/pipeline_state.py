"""The state of the pipeline: the params and outputs, in dvc.lock, of the stages that `track` depends on."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import git
from ruamel.yaml import YAML

from digits.common.errors import UserError

CODE = ("src", "stages", "dvc.yaml")


@dataclass(frozen=True)
class State:
    """What was locked when the stages ran."""

    params: Mapping[str, Any]  # the sections of params.yaml that the stages declare, by key
    outs: Mapping[str, str]  # the MD5 of each output, by path

    @property
    def fingerprint(self) -> str:
        """SHA-256 over params and outputs, in hexadecimal. Code is not part of it."""
        content = json.dumps({"params": self.params, "outs": self.outs}, sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()


def read(stage: str) -> State:
    """The state made of the stages that `stage` depends on, directly or not.

    Raises:
        UserError: these stages did not run on each other's outputs.
    """
    declared, others = locked_stages(Path(), without=stage)
    paths = [dep if isinstance(dep, str) else next(iter(dep)) for dep in declared[stage]["deps"]]
    used = [others[name] for name in sorted(_upstream(paths, others))]

    params = {key: value for entry in used for key, value in entry.get("params", {}).get("params.yaml", {}).items()}
    outs = {path: md5 for entry in used for path, md5 in locked_outs(entry).items()}
    for dep in (dep for entry in used for dep in entry.get("deps", [])):
        if _is_stale(dep, outs):
            raise UserError(f"dvc.lock: {dep['path']} has changed since a stage used it; run: dvc repro")
    return State(params, outs)


def locked_stages(root: Path, without: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The stages of dvc.yaml, and their entries in dvc.lock but that of `without`, by name."""
    declared = YAML(typ="safe").load(root / "dvc.yaml")["stages"]
    locked = YAML(typ="safe").load(root / "dvc.lock")["stages"]
    # dvc.lock keeps the entries of stages that were removed from dvc.yaml.
    return declared, {
        name: entry for name, entry in locked.items() if name.split("@")[0] in declared and name != without
    }


def locked_outs(entry: Mapping[str, Any]) -> dict[str, str]:
    """The MD5 of each output of a stage, by path, as its entry in dvc.lock has them."""
    return {out["path"]: out.get("md5", "") for out in entry.get("outs", [])}


def _upstream(paths: list[str], stages: Mapping[str, Any]) -> set[str]:
    """The names of the stages that produce `paths`, and of all stages before them."""
    pending, found = list(paths), set[str]()
    while pending:
        path = pending.pop()
        for name, entry in stages.items():
            if name not in found and any(_overlap(path, out["path"]) for out in entry.get("outs", [])):
                found.add(name)
                pending += [dep["path"] for dep in entry.get("deps", [])]
    return found


def _overlap(one: str, other: str) -> bool:
    """Whether two paths are the same, or one lies inside the other."""
    return Path(one).is_relative_to(other) or Path(other).is_relative_to(one)


def _is_stale(dep: Mapping[str, str], outs: Mapping[str, str]) -> bool:
    """Whether a dependency is no longer what an output of the state has: the whole output, or a file inside it."""
    path, current = Path(dep["path"]), outs.get(dep["path"])
    if current is None and path.is_file() and any(path.is_relative_to(out) for out in outs):
        current = md5_of(path)
    return current not in (None, dep.get("md5"))


def md5_of(path: Path) -> str:
    """The MD5 of a file, as DVC has it in dvc.lock."""
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def uncommitted(repository: git.Repo, paths: Iterable[str]) -> list[str]:
    """The files below `paths`, which start at the working directory, that differ from the commit or are new."""
    status = repository.git.status("--porcelain", "--", *(Path(path).absolute() for path in paths))
    return [line.split(maxsplit=1)[1] for line in status.splitlines()]


def git_tags() -> dict[str, str]:
    """The commit that is checked out, and whether the code differs from it; nothing outside a Git repository."""
    try:
        repository = git.Repo(search_parent_directories=True)
        dirty = bool(uncommitted(repository, CODE))
        return {"mlflow.source.git.commit": repository.head.commit.hexsha, "git.dirty": str(dirty).lower()}
    except (git.GitError, ValueError):  # ValueError: there is no commit yet
        return {}
