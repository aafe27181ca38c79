"""The state of the pipeline: the params and outputs, in dvc.lock, of the stages that `track` depends on."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from digits.common.dvc import dvc
from digits.common.errors import UserError

TRACK = "track"
CODE = ("src/", "stages/")
NOT_IN_CACHE = "not in cache"


@dataclass(frozen=True)
class State:
    """Params and hashes from dvc.lock."""

    params: Mapping[str, Any]  # the sections of params.yaml that the stages declare, by key
    outs: Mapping[str, str]  # the MD5 of each output, by path
    code: Mapping[str, str]  # the MD5 of each code dependency, by path

    @property
    def fingerprint(self) -> str:
        """SHA-256 over params and outputs, in hexadecimal. Code is not part of it."""
        return _sha256({"params": self.params, "outs": self.outs})

    @property
    def code_fingerprint(self) -> str:
        """SHA-256 over the code that the stages ran, in hexadecimal."""
        return _sha256(self.code)


def read(root: Path = Path()) -> State:
    """The state of the repository in `root`, as dvc.lock records it; `check` compares it with the files."""
    entries = locked_stages(root).values()
    params = {key: value for entry in entries for key, value in entry.get("params", {}).get("params.yaml", {}).items()}
    outs = {out["path"]: out.get("md5", "") for entry in entries for out in entry.get("outs", [])}
    deps = {dep["path"]: dep.get("md5", "") for entry in entries for dep in entry.get("deps", [])}
    return State(params, outs, {path: md5 for path, md5 in deps.items() if path.startswith(CODE)})


def check(root: Path = Path()) -> None:
    """Compare params, code and outputs with dvc.lock, as `dvc status` does, for the stages that `track` depends on.

    Raises:
        UserError: something has changed since its stage ran.
    """
    found = set(_leaves(json.loads(dvc("status", "--json", *locked_stages(root), folder=root))))
    uncached = {name for name, how in found if how == NOT_IN_CACHE}
    changes = {(name, how) for name, how in found if how not in (NOT_IN_CACHE, "always changed")}
    if uncached:  # dvc status does not say whether these have changed
        changes |= {(name, "modified") for name in uncached & _modified_outputs(root)}
    if changes:
        listed = ", ".join(f"{name} {how}" for name, how in sorted(changes))
        raise UserError(f"Nothing is logged, because dvc.lock does not match: {listed}; run: dvc repro")


def _modified_outputs(root: Path) -> set[str]:
    """The outputs that are not those of dvc.lock, whether DVC has these in its cache or not."""
    top = Path(root, dvc("root", folder=root))
    changes = json.loads(dvc("data", "status", "--json", folder=root)).get("uncommitted", {})
    names = [*changes.get("modified", []), *changes.get("deleted", [])]
    return {os.path.relpath(top / name, root) for name in names}


def _leaves(tree: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """The texts in nested dictionaries and lists, each after its nearest key."""
    if isinstance(tree, str):
        yield name, tree
    else:
        for key, item in tree.items() if isinstance(tree, dict) else ((name, item) for item in tree):
            yield from _leaves(item, key)


def _sha256(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def locked_stages(root: Path) -> dict[str, Any]:
    """The entries in dvc.lock of the stages that `track` depends on, directly or not, by name.

    Raises:
        UserError: dvc.lock is damaged, or lacks one of them.
    """
    declared, locked = _stages(root / "dvc.yaml"), _stages(root / "dvc.lock")
    # dvc.lock keeps the entries of stages that were removed from dvc.yaml.
    others = {name: entry for name, entry in locked.items() if name.split("@")[0] in declared and name != TRACK}
    pending = [_path(dep) for dep in declared[TRACK]["deps"]]
    found = set[str]()
    while pending:
        path = pending.pop()
        for name, stage in declared.items():
            if name not in locked and any(_overlap(path, out) for out in _declared_outs(stage)):
                raise UserError(f"dvc.lock: has no entry of the stage {name}, which makes {path}; run: dvc repro")
        for name, entry in others.items():
            if name not in found and any(_overlap(path, out["path"]) for out in entry.get("outs", [])):
                found.add(name)
                pending += [dep["path"] for dep in entry.get("deps", [])]
    return {name: others[name] for name in sorted(found)}


def _stages(path: Path) -> dict[str, dict[str, Any]]:
    """The stages in dvc.yaml or dvc.lock, by name."""
    try:
        stages = {name: dict(stage) for name, stage in YAML(typ="safe").load(path)["stages"].items()}
        for stage in stages.values():
            _ = [_path(item) for key in ("deps", "outs") for item in stage.get(key, [])]
    except FileNotFoundError as error:
        raise UserError(f"there is no {path}; run: dvc repro") from error
    except (AttributeError, KeyError, StopIteration, TypeError, ValueError, YAMLError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{path}: is damaged ({reason}); restore it with: git checkout -- {path}") from error
    return stages


def _declared_outs(stage: Mapping[str, Any]) -> list[str]:
    return [_path(out) for key in ("outs", "metrics", "plots") for out in stage.get(key, [])]


def _path(item: Any) -> str:
    """The path of a dependency or an output: its entry in dvc.lock has one; in dvc.yaml it is a text or a key."""
    if isinstance(item, str):
        return item
    return str(item["path"] if "path" in item else next(iter(item)))


def _overlap(one: str, other: str) -> bool:
    """Whether two paths are the same, or one is in the folder of the other."""
    return Path(one).is_relative_to(other) or Path(other).is_relative_to(one)
