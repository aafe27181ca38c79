"""dvc.yaml agrees with the code, imports go one way, and what is committed belongs together. Nothing is computed."""

import ast
import hashlib
import json
import os
import re
import subprocess
import sys
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from digits import params
from digits.params import Params
from digits.tracking import run_content, state
from digits.training import checkpoint
from helpers.sandbox import NOISE, ROOT

PACKAGES = ("common", "data", "model", "plots", "training", "evaluation", "report", "tracking", "live", "commands")

LIVE = "live"  # shows a training run in MLflow and cannot change an output: the one package that no stage depends on

# Which packages each package may import besides itself. No edit outside of train's packages can retrain.
MAY_IMPORT = {
    "common": set[str](),
    "data": {"common"},
    "model": {"common"},
    "plots": {"common"},
    "training": {"common", "model"},
    "evaluation": {"common"},
    "report": {"common", "data"},
    "tracking": {"common", "data"},
    "live": {"common", "tracking"},
    "commands": {"common", "data", "model", "plots", "tracking"},
}

FORBIDDEN_IMPORTS = {
    "fetch": {"tensorflow", "keras", "mlflow", "pandas", "sklearn", "matplotlib"},
    "normalize": {"tensorflow", "keras", "mlflow", "pandas", "sklearn"},
    "train": {"mlflow", "pandas", "sklearn", "matplotlib"},
    "report": {"tensorflow", "keras", "mlflow", "pandas", "sklearn", "matplotlib"},
    "evaluate": {"mlflow"},
    "predict_sample": {"tensorflow", "keras", "mlflow", "pandas", "sklearn"},
    "track": {"tensorflow", "keras", "sklearn", "matplotlib"},
}


def load(file: str) -> dict[str, Any]:
    content: dict[str, Any] = YAML(typ="safe").load(ROOT / file)
    return content


STAGES, LOCKED = load("dvc.yaml")["stages"], load("dvc.lock")["stages"]

every_stage = pytest.mark.parametrize("stage", STAGES)


def imported_modules(file: Path) -> set[str]:
    """The library's modules that a file imports, anywhere in it, params aside: DVC tracks its values."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in names if name.startswith("digits.") and not name.startswith("digits.params")}


def imported_packages(file: Path) -> set[str]:
    return {name.split(".")[1] for name in imported_modules(file)}


def packages_of(stage: str) -> set[str]:
    """The packages that a stage's script imports, directly or not."""
    found: set[str] = set()
    pending = imported_packages(ROOT / f"stages/{stage}.py") - {LIVE}
    while pending:
        package = pending.pop()
        found.add(package)
        for file in (ROOT / "src/digits" / package).rglob("*.py"):
            pending |= imported_packages(file) - found
    return found


@every_stage
def test_code_dependencies_are_the_imported_packages(stage: str) -> None:
    declared = {dep for dep in STAGES[stage]["deps"] if dep.startswith(("src/", "stages/"))}
    copied = {str(run_content.PREDICTOR)} if stage == "track" else set()  # into the model in MLflow
    assert declared == {f"stages/{stage}.py"} | {f"src/digits/{package}" for package in packages_of(stage)} | copied
    assert "commands" not in packages_of(stage)


def test_training_depends_on_what_its_checkpoint_covers() -> None:
    assert packages_of("train") == set(checkpoint.PACKAGES)


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_go_one_way(package: str) -> None:
    files = list((ROOT / "src/digits" / package).rglob("*.py"))
    assert files
    for file in files:
        assert imported_packages(file) <= MAY_IMPORT[package] | {package}, file


def test_every_package_is_known() -> None:
    assert {path.parent.name for path in (ROOT / "src/digits").glob("*/__init__.py")} == set(PACKAGES)


def keys_of_recipe(stage: str) -> set[str]:
    """The single keys of the recipe that a stage declares; none if it takes the whole recipe."""
    declared = [entry.removeprefix("recipes.${train.recipe}") for entry in STAGES[stage].get("params", [])]
    return {entry.removeprefix(".") for entry in declared if entry.startswith(".")}


@every_stage
def test_params_are_the_sections_that_the_script_reads(stage: str) -> None:
    """`track` takes its params from dvc.lock; the others load params.yaml."""
    declared = {entry.split(".")[0] for entry in STAGES[stage].get("params", [])}
    source = (ROOT / f"stages/{stage}.py").read_text()
    if stage == "track":
        assert "params" not in re.findall(r"import (\w+)", source)
        assert declared == set(Params.model_fields)
    else:
        read = set(re.findall(r"(?:settings|params\.load\(\))\.(\w+)", source))
        # `settings = params.load().normalize` reads one section, `settings = params.load()` those named later.
        if sections := re.findall(r"settings = params\.load\(\)\.(\w+)", source):
            read = set(sections)
        assert declared == {"recipes" if name == "recipe" else name for name in read}
        assert keys_of_recipe(stage) == set(re.findall(r"settings\.recipe\.(\w+)", source))


def test_every_module_of_a_stages_package_is_used_by_a_stage() -> None:
    """Else an edit of a module that no stage uses would make stages stale."""
    pending = {name for stage in STAGES for name in imported_modules(ROOT / f"stages/{stage}.py")}
    used = set[Path]()
    while pending:
        for file in module_files(pending.pop()) - used:
            used.add(file)
            pending |= imported_modules(file)
    packages = {package for stage in STAGES for package in packages_of(stage)}
    existing = {file for package in packages for file in (ROOT / "src/digits" / package).rglob("*.py")}
    others = (ROOT / "src/digits", ROOT / "src/digits" / LIVE)
    assert existing == {file for file in used if file.parent not in others}


def module_files(name: str) -> set[Path]:
    """The files that an import of `name` reads: of a module, or of an attribute's module, and of its packages."""
    parts = name.split(".")
    paths = [ROOT / "src" / "/".join(parts[:length]) for length in range(2, len(parts) + 1)]
    candidates = [file for path in paths for file in (path.with_suffix(".py"), path / "__init__.py")]
    return {file for file in candidates if file.exists()}


def test_every_section_belongs_to_a_stage() -> None:
    assert set(Params.model_fields) - {"recipes"} <= set(STAGES)


@every_stage
def test_stage_script_and_command_share_a_name(stage: str) -> None:
    assert STAGES[stage]["desc"]
    assert STAGES[stage]["cmd"].endswith(f"PYTHONPATH=src python stages/{stage}.py")


def test_dvc_yaml_stays_short() -> None:
    assert len((ROOT / "dvc.yaml").read_text().splitlines()) < 80


@pytest.mark.parametrize("package", ["", *PACKAGES])
def test_packages_do_no_work_on_import(package: str) -> None:
    if package not in ("model", "training"):  # these set TensorFlow up
        (statement,) = ast.parse((ROOT / "src/digits" / package / "__init__.py").read_text()).body
        assert isinstance(statement, ast.Expr)


# Runs a script, and prints the packages that it has imported by its end.
IMPORTS = """
import atexit, runpy, sys
atexit.register(lambda: print(*{name.split(".")[0] for name in sys.modules}))
runpy.run_path(sys.argv[1], run_name="__main__")
"""


@pytest.mark.slow
@pytest.mark.parametrize("stage", FORBIDDEN_IMPORTS)
def test_stage_imports_nothing_slow_before_it_runs(stage: str, tmp_path: Path) -> None:
    """In an empty folder, so that each stage ends as soon as it needs a file."""
    ran = subprocess.run(
        [sys.executable, "-c", IMPORTS, ROOT / f"stages/{stage}.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1
    assert not set(ran.stdout.split()) & FORBIDDEN_IMPORTS[stage]
    (error,) = [line for line in ran.stderr.splitlines() if not NOISE.match(line)]
    assert "No such file" in error or error == "there is no dvc.yaml; run: dvc repro"


def test_commands_import_nothing_slow_before_they_run() -> None:
    code = "import sys, digits.cli; print(*{name.split('.')[0] for name in sys.modules})"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    imported = subprocess.check_output([sys.executable, "-c", code], env=environment, text=True).split()
    slow = {"dask", "distributed", "dvc", "fastapi", "git", "hydra", "keras", "matplotlib", "mlflow", "numpy", "pandas"}
    assert not set(imported) & (slow | {"sklearn", "tensorflow", "uvicorn"})


def reported() -> dict[str, str]:
    """The MD5 of every output in reports/, by path; a folder's ends with .dir."""
    outs = [out for entry in LOCKED.values() for out in entry["outs"]]
    return {out["path"]: out["md5"] for out in outs if out["path"].startswith("reports/")}


def digest(path: Path) -> str:
    """The MD5 that DVC locks for a file, or for a folder without what .dvcignore lists."""
    if path.is_file():
        return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    files = sorted(file for file in path.rglob("*") if file.is_file() and "__pycache__" not in file.parts)
    entries = [{"md5": digest(file), "relpath": file.relative_to(path).as_posix()} for file in files]
    return hashlib.md5(json.dumps(entries).encode(), usedforsecurity=False).hexdigest() + ".dir"


def test_committed_reports_are_the_locked_ones() -> None:
    for path, md5 in reported().items():
        assert digest(ROOT / path) == md5, path


def test_every_committed_report_is_locked() -> None:
    listed = subprocess.check_output(["git", "ls-files", "reports"], cwd=ROOT, text=True).split()
    assert listed
    locked = [
        *reported(),
        "reports/leaderboard.csv",
        "reports/leaderboard",
    ]  # a benchmark writes the last two, no stage
    for file in listed:
        assert any(Path(file).is_relative_to(path) for path in locked), file


def test_committed_params_are_the_locked_ones() -> None:
    content = load("params.yaml")
    recipe = f"recipes.{content['train']['recipe']}"
    for name, stage in STAGES.items():
        locked = LOCKED[name].get("params", {}).get("params.yaml", {})
        assert set(locked) == {key.replace("recipes.${train.recipe}", recipe) for key in stage.get("params", [])}
        for key, value in locked.items():
            section = content
            for part in key.split("."):
                section = section[part]
            assert value == section, key


def test_committed_code_is_the_locked_one() -> None:
    for name, stage in STAGES.items():
        locked = {dep["path"]: dep["md5"] for dep in LOCKED[name]["deps"]}
        for path in stage["deps"]:
            if path.startswith(("src/", "stages/")):
                assert locked[path] == digest(ROOT / path), f"{path}: run `make repro` and commit dvc.lock and reports/"


def test_committed_results_are_the_tutorials() -> None:
    assert params.load(ROOT / "params.yaml").fetch.dataset == "mnist"
    metrics = json.loads((ROOT / "reports/metrics.json").read_bytes())
    assert metrics["dataset"] == "mnist"
    assert metrics["accuracy"] >= 0.965
    assert metrics["parameters"] == 118282
    prediction = json.loads((ROOT / "reports/prediction.json").read_bytes())
    assert (prediction["index"], prediction["label"], prediction["prediction"]) == (1000, 9, 9)


def test_readme_names_the_default_run() -> None:
    with chdir(ROOT):
        fingerprint = state.read().fingerprint
    assert f"digits verify tutorial-{fingerprint[:7]} " in (ROOT / "README.md").read_text()


def test_reports_stay_small() -> None:
    assert sum(file.stat().st_size for file in (ROOT / "reports").rglob("*") if file.is_file()) < 1_000_000
