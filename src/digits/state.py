"""The state of the pipeline: what dvc.lock holds of its params, its outputs and its code."""

import hashlib
import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from digits.errors import InputError


@dataclass(frozen=True)
class State:
    """What dvc.lock says of the stages before `track`.

    Attributes:
        params: the locked values, by their keys in params.yaml.
        outs: the MD5 of each output, by path.
        code: the MD5 of each Python file that a stage depends on, by path.
    """

    params: Mapping[str, Any]
    outs: Mapping[str, str]
    code: Mapping[str, str]

    @property
    def fingerprint(self) -> str:
        """SHA-256 over params and outputs, in hexadecimal. Code is no part of it: it is how, not what."""
        content = json.dumps({"params": self.params, "outs": self.outs}, sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()


def read(lock: Path, *, until: str) -> State:
    """The state that `lock`, a dvc.lock, holds without the stage `until`, which is the one that asks.

    Raises:
        InputError: the stages there were not run on each other's outputs.
    """
    stages = YAML(typ="safe").load(lock)["stages"]
    stages.pop(until, None)
    params: dict[str, Any] = {}
    outs: dict[str, str] = {}
    deps: list[tuple[str, str]] = []
    for stage in stages.values():
        params |= stage.get("params", {}).get("params.yaml", {})
        outs |= {out["path"]: out["md5"] for out in stage["outs"]}
        deps += [(dep["path"], dep["md5"]) for dep in stage["deps"]]
    if stale := [path for path, md5 in deps if outs.get(path, md5) != md5]:
        raise InputError(f"{lock}: {stale[0]} has changed since a stage used it; run the whole pipeline: dvc repro")
    return State(params, outs, code={path: md5 for path, md5 in deps if path.endswith(".py")})


def commit() -> str | None:
    """The Git commit that is checked out, or None outside of a repository."""
    head = _git("rev-parse", "HEAD")
    return head.decode().strip() if head else None


def is_dirty(state: State) -> bool:
    """Whether any of the state's code differs from the commit's. Params, lock and reports do not count."""
    return any(
        (content := _git("show", f"HEAD:./{path}")) is None
        or hashlib.md5(content, usedforsecurity=False).hexdigest() != md5
        for path, md5 in state.code.items()
    )


def _git(*arguments: str) -> bytes | None:
    try:
        return subprocess.run(["git", *arguments], capture_output=True, check=True).stdout  # noqa: S603, S607
    except (OSError, subprocess.CalledProcessError):
        return None
