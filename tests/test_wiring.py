"""dvc.yaml says what the code says, and what is committed belongs together. Nothing is computed here."""

import ast
import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from digits import params
from digits.params import Params

ROOT = Path(__file__).parents[1]
STAGES: dict[str, Any] = YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"]
LOCKED: dict[str, Any] = YAML(typ="safe").load(ROOT / "dvc.lock")["stages"]

# Its values are tracked as params; a change of how they are checked changes no result.
UNTRACKED = "src/digits/params.py"

every_stage = pytest.mark.parametrize("stage", STAGES)


def parsed(path: str) -> ast.Module:
    return ast.parse((ROOT / path).read_text())


def imported(path: str) -> set[str]:
    """The library's modules that a file imports anywhere in it, by path."""
    names = set()
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    paths = {f"src/{name.replace('.', '/')}.py" for name in names if name and name.startswith("digits.")}
    return {path for path in paths if (ROOT / path).exists()}


def closure(paths: Iterable[str]) -> set[str]:
    reached: set[str] = set()
    to_read = set(paths)
    while to_read:
        path = to_read.pop()
        reached.add(path)
        to_read |= imported(path) - reached - {UNTRACKED}
    return reached


def params_read(path: str) -> set[str]:
    """What a script takes from `params.load()`, as dvc.yaml would declare it."""
    tree = parsed(path)

    def is_load(node: ast.AST) -> bool:
        return isinstance(node, ast.Call) and ast.unparse(node.func) == "params.load"

    names = {
        target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and is_load(node.value)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    read, uses, loads = set(), 0, 0
    for node in ast.walk(tree):
        loads += is_load(node)
        uses += isinstance(node, ast.Name) and node.id in names and isinstance(node.ctx, ast.Load)
        if isinstance(node, ast.Attribute):
            of_name = isinstance(node.value, ast.Name) and node.value.id in names
            uses -= of_name
            if of_name or is_load(node.value):
                read |= {"train", "recipes.${train.recipe}"} if node.attr == "recipe" else {node.attr}
    assert loads == 1, f"{path} must load the params once"
    assert uses == 0, f"{path} must name each section that it reads"
    return read


@every_stage
def test_dependencies_are_what_is_imported(stage: str) -> None:
    declared = {path for path in STAGES[stage]["deps"] if path.endswith(".py")}
    assert declared == closure([f"stages/{stage}.py"])


@every_stage
def test_params_are_what_is_read(stage: str) -> None:
    assert set(STAGES[stage].get("params", [])) == params_read(f"stages/{stage}.py")


def test_every_section_belongs_to_a_stage() -> None:
    assert set(Params.model_fields) - {"recipes"} <= set(STAGES)


@every_stage
def test_a_stage_is_short_and_described(stage: str) -> None:
    script = ROOT / "stages" / f"{stage}.py"
    assert len(script.read_text().splitlines()) <= 40
    assert STAGES[stage]["desc"]
    assert STAGES[stage]["cmd"].endswith(f"PYTHONPATH=src python stages/{stage}.py")


def test_the_package_itself_does_nothing() -> None:
    """Importing it is no dependency, since it has nothing but a docstring."""
    (statement,) = parsed("src/digits/__init__.py").body
    assert isinstance(statement, ast.Expr)


def reported() -> list[dict[str, Any]]:
    return [out for stage in LOCKED.values() for out in stage["outs"] if out["path"].startswith("reports/")]


def test_committed_reports_are_the_locked_ones() -> None:
    for out in reported():
        assert hashlib.md5((ROOT / out["path"]).read_bytes()).hexdigest() == out["md5"], out["path"]  # noqa: S324


def test_every_report_is_locked() -> None:
    present = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "reports").rglob("*")
        if path.is_file() and path.name != ".gitignore"
    }
    assert present == {out["path"] for out in reported()}


def test_committed_params_are_the_locked_ones() -> None:
    content = YAML(typ="safe").load(ROOT / "params.yaml")
    recipe = f"recipes.{content['train']['recipe']}"
    for name, stage in STAGES.items():
        locked = LOCKED[name].get("params", {}).get("params.yaml", {})
        declared = {key.replace("recipes.${train.recipe}", recipe) for key in stage.get("params", [])}
        assert set(locked) == declared
        for key, value in locked.items():
            section = content
            for part in key.split("."):
                section = section[part]
            assert value == section, key


def test_committed_code_is_the_locked_one() -> None:
    for name, stage in STAGES.items():
        locked = {dep["path"]: dep["md5"] for dep in LOCKED[name]["deps"]}
        for path in stage["deps"]:
            if path.endswith(".py"):
                assert locked[path] == hashlib.md5((ROOT / path).read_bytes()).hexdigest(), path  # noqa: S324


def test_committed_results_are_of_mnist_by_default() -> None:
    assert params.load(ROOT / "params.yaml").fetch.dataset == "mnist"
    metrics = json.loads((ROOT / "reports/metrics.json").read_bytes())
    assert metrics["dataset"] == "mnist"
    assert metrics["accuracy"] >= 0.965


def test_reports_stay_small() -> None:
    assert sum((ROOT / out["path"]).stat().st_size for out in reported()) < 500_000
