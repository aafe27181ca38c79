"""`digits verify`: identical, not identical, tampered with, or in another environment; and nothing stays behind."""

import hashlib
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import typer
from mlflow import MlflowClient
from mlflow.entities import Run

from digits import cli
from digits.commands import verify
from digits.commands.clone import Clone
from digits.common import files
from digits.common.errors import UserError
from helpers.mlflow_runs import copy_database, copy_store, forget_store, model_id, runs
from helpers.sandbox import PARAMS, ROOT, Sandbox, make_sandbox
from helpers.sweeps import processes_in, wait_until

# One worker runs them all, since they share a sandbox.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("verify")]

FEW = {"normalize.train_size": 300, "normalize.validation_size": 100, "recipes.tutorial.epochs": 2}
VERIFY = ("python", "-c", "from digits.cli import main; main()", "verify")


@pytest.fixture(scope="module")
def repository(empty_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    """Two runs by name, and the repository as the run `committed` left it; test_pipeline.py verifies a real network."""
    sandbox = make_sandbox(tmp_path_factory.mktemp("verify") / "digits", PARAMS | FEW, stand_ins=True)
    copy_database(empty_store, sandbox.root)
    # DVC does not track params.py, so only the outputs can tell; the comment in a stage is tracked.
    sandbox.edit("src/digits/params.py", "recipe]\n", 'recipe].model_copy(update={"learning_rate": 0.1})\n')
    sandbox.edit("stages/predict_sample.py", "Stage predict_sample: the", "The")
    make_run(sandbox, "changed", {"train.seed": 1})
    sandbox.run("git", "checkout", "-q", "src", "stages")
    make_run(sandbox, "committed", {"train.seed": 2})
    return sandbox


def make_run(sandbox: Sandbox, name: str, params: dict[str, object]) -> None:
    sandbox.set_params(params)
    sandbox.repro()
    (run,) = [run for run in runs(sandbox.root) if run.info.run_name.startswith("tutorial-")]
    MlflowClient(f"sqlite:///{sandbox.root}/mlflow.db").update_run(run.info.run_id, name=name)


def get_run(repository: Sandbox, name: str) -> Run:
    (run,) = [run for run in runs(repository.root) if run.info.run_name == name]
    return run


@pytest.fixture
def store(repository: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the store, the working directory in the repository, and a folder for temporary files next to it."""
    copy_store(repository.root, tmp_path)
    (tmp_path / "tmp").mkdir()
    for name, value in environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.chdir(repository.root)
    yield tmp_path
    forget_store()
    assert list((tmp_path / "tmp").iterdir()) == [], "nothing stays behind"


def environment(store: Path) -> dict[str, str]:
    uri = f"sqlite:///{store}/mlflow.db"
    return {"PYTHONPATH": str(ROOT / "src"), "MLFLOW_TRACKING_URI": uri, "TMPDIR": str(store / "tmp")}


def start(repository: Sandbox, store: Path, query: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*VERIFY, query],
        cwd=repository.root,
        env=repository.environment | environment(store),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def run_command(query: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, list[str]]:
    """The exit status of `digits verify`, and the lines of its answer."""
    with pytest.raises(typer.Exit) as ended:
        cli.verify(query)
    return ended.value.exit_code, capsys.readouterr().out.splitlines()


def verify_run(query: str) -> tuple[verify.Verification, list[str]]:
    """Verify in this process."""
    lines: list[str] = []
    return verify.verify(query, lines.append, lambda _: None), lines


@pytest.fixture
def restored(repository: Sandbox, store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Instead of rebuilding the run `committed`, its results are copied."""

    def dvc(clone: Clone, *_: object, **__: object) -> None:
        for folder in ("data", "reports"):
            shutil.copytree(repository.root / folder, clone.root / folder, dirs_exist_ok=True)
        shutil.copyfile(repository.root / "dvc.lock", clone.root / "dvc.lock")

    monkeypatch.setattr(Clone, "dvc", dvc)
    return store


def contents(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_run_is_rebuilt_identically_whatever_params_are_set_now(
    repository: Sandbox, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = get_run(repository, "committed")
    repository.set_params({"train.seed": 7})
    before = contents(store), repository.run("git", "status", "--porcelain", "--ignored")
    state, commit = run.data.tags["digits.state"], run.data.tags["mlflow.source.git.commit"]
    status, lines = run_command(state[:6], capsys)
    repository.set_params({"train.seed": 2})
    assert status == 0, lines
    title, verdict = lines
    assert title == f"run {run.info.run_id} (committed): state {state[:12]}, commit {commit[:12]}"
    assert verdict.startswith("identical: ")
    assert (contents(store), repository.run("git", "status", "--porcelain", "--ignored").replace("seed: 2", "")) == (
        before[0],
        before[1],
    )


@pytest.mark.usefixtures("store")
def test_every_difference_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """Of a run whose code and params were not those of its commit."""
    status, lines = run_command("changed", capsys)
    assert status == 1
    _, dirty, *differences = lines
    assert dirty == "its code had uncommitted changes"
    named = [line.removeprefix("not identical: ").partition(" logged, ")[0].rpartition(": ")[0] for line in differences]
    expected = {
        "loss at step 1",
        "metric test_accuracy",
        "metric val_loss of the model",
        "tag digits.state",
        "tag model.sha256",
        "history.csv",
        "metrics.json",
        "plots/confusion.png",
        "predictions.json",
        "model: data/model.keras",
        "dvc.lock: dependency stages/predict_sample.py of stage predict_sample",
        "dvc.lock: output data/model.keras of stage train",
        "tag validation_accuracy of the registered version",
    }
    assert expected <= set(named)
    assert not [name for name in named if name.startswith(("param ", "dataset "))], "these were as committed"
    assert all(line.endswith(" rebuilt") for line in differences), "the metrics differ, too"


def test_bytecode_of_a_loaded_model_is_no_difference(repository: Sandbox, restored: Path) -> None:
    model = model_id(get_run(repository, "committed"))
    files.write_bytes(restored / f"mlartifacts/models/{model}/artifacts/code/__pycache__/predictor.pyc", b"bytecode")
    assert verify_run("committed")[0].differences == []


@pytest.mark.usefixtures("restored")
@pytest.mark.parametrize("name", ['best "so far"', "it's", "a\\b", "ü 🎉"])
def test_run_is_found_by_any_name(repository: Sandbox, name: str) -> None:
    MlflowClient().update_run(get_run(repository, "committed").info.run_id, name=name)
    assert verify_run(name)[0].differences == []


def test_another_environment_has_a_status_of_its_own(repository: Sandbox, restored: Path) -> None:
    run_id = get_run(repository, "committed").info.run_id
    MlflowClient().set_tag(run_id, "version.numpy", "1.0.0")
    result, lines = verify_run(run_id)
    assert (result.same_environment, result.differences) == (False, [])
    assert lines[1].startswith("the environment differs: numpy 1.0.0 recorded, ")
    edit_store(restored, "DELETE FROM tags WHERE key = 'version.numpy'")
    assert verify_run("committed")[0].same_environment, "a version that was not recorded yet"
    edit_store(restored, "DELETE FROM tags WHERE key = 'cpu' OR key LIKE 'version.%'")
    result, lines = verify_run("committed")
    assert (result.same_environment, lines[1:]) == (True, ["the environment of its training is not recorded"])


def test_plots_of_other_libraries_leave_the_model_identical(
    repository: Sandbox, restored: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As another version of Matplotlib draws them."""
    run = get_run(repository, "committed")
    MlflowClient().set_tag(run.info.run_id, "version.matplotlib", "1.0.0")
    for plot in (restored / "mlartifacts" / run.info.run_id / "artifacts/plots").glob("c*.png"):
        plot.write_bytes(b"drawn otherwise")
    status, lines = run_command("committed", capsys)
    assert status == 2
    assert lines[1].startswith("the environment differs: matplotlib 1.0.0 recorded, ")
    assert [line.split()[2] for line in lines[2:-1]] == ["plots/calibration.png:", "plots/confusion.png:"]
    assert lines[-1] == "The model and all metrics are identical."


def test_additions_of_other_tools_and_people_are_left_out(repository: Sandbox, restored: Path) -> None:
    client, run_id = MlflowClient(), get_run(repository, "committed").info.run_id
    client.log_metric(run_id, "leaderboard.corruption_error", 0.1)
    client.set_tag(run_id, "mlflow.note.content", "My best run.")
    client.log_artifact(run_id, str(restored / "mlflow.db"))
    assert verify_run("committed")[0].differences == []


def edit_store(store: Path, statement: str) -> None:
    connection = sqlite3.connect(store / "mlflow.db")
    with connection:
        assert connection.execute(statement).rowcount > 0
    connection.close()


def replace(old: str, new: str) -> Callable[[Path], object]:
    return lambda path: path.write_text(path.read_text().replace(old, new, 1))


def change_last_byte(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))


TAMPERED = [
    ("UPDATE params SET value = '3' WHERE key = 'train.threads'", "param train.threads: 3 logged, 2 rebuilt"),
    ("DELETE FROM params WHERE key = 'train.recipe'", "param train.recipe: nothing logged, tutorial rebuilt"),
    ("UPDATE datasets SET digest = 'x' WHERE name = 'mnist-test'", "dataset test: x logged, "),
    ("UPDATE metrics SET value = 1 WHERE key = 'loss'", "loss at step 1: 1.0 logged, "),
    ("UPDATE latest_metrics SET value = 1 WHERE key = 'test_accuracy'", "metric test_accuracy: 1.0 logged, "),
    ("UPDATE tags SET value = 'x' WHERE key = 'dataset'", "tag dataset: x logged, mnist rebuilt"),
    ("UPDATE tags SET value = 'x' WHERE key = 'model.sha256'", "tag model.sha256: x logged, "),
    (
        "UPDATE model_version_tags SET value = '1' WHERE key = 'validation_accuracy'",
        "tag validation_accuracy of the registered version: 1 logged, ",
    ),
    ("UPDATE model_versions SET source = 'x'", "source of the registered version: "),
]


@pytest.mark.parametrize(
    "changes", [TAMPERED, [("DELETE FROM logged_models", "model: nothing logged, a model rebuilt")]]
)
@pytest.mark.usefixtures("restored")
def test_tampered_store_is_named(store: Path, changes: list[tuple[str, str]]) -> None:
    for statement, _ in changes:
        edit_store(store, statement)
    differences = verify_run("committed")[0].differences
    for _, name in changes:
        assert [line for line in differences if line.startswith(name)], name


@pytest.mark.parametrize(
    "changes",
    [
        [
            (
                "dvc.lock",
                replace("data/raw\n      hash: md5\n      md5: ", "data/raw\n      md5: 0"),
                "dvc.lock: output data/r",
            ),
            ("metrics.json", replace('"accuracy": 0.', '"accuracy": 0.9'), "metrics.json: "),
            ("prediction.json", replace("9", "8"), "prediction.json: "),
            ("plots/confusion.png", Path.unlink, "plots/confusion.png: nothing logged"),
            ("model/data/model.keras", change_last_byte, "model: data/model.keras: "),
            ("model/code/predictor.py", change_last_byte, "model: code/predictor.py: "),
            (
                "model/MLmodel",
                replace("loader_module: predictor", "loader_module: other"),
                "model: loader_module of",
            ),
        ],
        [("dvc.lock", replace("stages:", "phases:"), "dvc.lock: damaged")],
        [("dvc.lock", Path.unlink, "dvc.lock: command of stage train: nothing logged")],
    ],
    ids=["changed", "damaged lock", "no lock"],
)
def test_tampered_files_are_named(
    repository: Sandbox, restored: Path, changes: list[tuple[str, Callable[[Path], object], str]]
) -> None:
    run = get_run(repository, "committed")
    for file, edit, _ in changes:
        folder = f"models/{model_id(run)}" if file.startswith("model/") else run.info.run_id
        (path,) = restored.glob(f"mlartifacts/{folder}/artifacts/{file.removeprefix('model/')}")
        before = path.read_bytes()
        edit(path)
        assert not path.exists() or path.read_bytes() != before
    differences = verify_run("committed")[0].differences
    for _, _, name in changes:
        assert [line for line in differences if line.startswith(name)], name


@pytest.mark.usefixtures("restored")
def test_run_without_params_cannot_be_verified(repository: Sandbox, store: Path) -> None:
    run_id = get_run(repository, "committed").info.run_id
    (store / f"mlartifacts/{run_id}/artifacts/params.yaml").unlink()
    with pytest.raises(UserError, match=f"^run {run_id} .*cannot be verified: MLflow lacks its params.yaml$"):
        verify_run("committed")
    edit_store(store, "DELETE FROM tags WHERE key = 'mlflow.source.git.commit'")
    with pytest.raises(UserError, match=r"cannot be verified: MLflow lacks its tag mlflow.source.git.commit$"):
        verify_run("committed")


def test_params_that_dvc_refuses_are_an_error(repository: Sandbox, store: Path) -> None:
    run_id = get_run(repository, "committed").info.run_id
    replace("fetch:", "fetch")(store / f"mlartifacts/{run_id}/artifacts/params.yaml")
    with pytest.raises(UserError, match=rf"^run {run_id} \(committed\) cannot be rebuilt: `.*dvc repro --force`"):
        verify_run("committed")


@pytest.mark.usefixtures("store")
def test_ambiguous_names_are_listed(repository: Sandbox) -> None:
    one, other = (get_run(repository, name).info.run_id for name in ("changed", "committed"))
    for run_id in (one, other):
        MlflowClient().update_run(run_id, name="same")
    with pytest.raises(UserError) as error:
        verify_run("same")
    first, *lines = str(error.value).splitlines()
    assert first == "2 runs match 'same'; give the id of one:"
    assert set(lines) == {f"{one}  same", f"{other}  same"}


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("query", ["", "12345", 'a"b', "it's", "%%%%%%", "commit"])
def test_unknown_runs(query: str) -> None:
    with pytest.raises(UserError, match=r"^MLflow has no run .*; give a run's id, its name, or the first six or more"):
        verify_run(query)


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    ("commit", "line"),
    [
        ("0" * 40, f" does not have commit {'0' * 40} .*, or get it with: git fetch --all$"),
        ("--upload-pack=x", "^'--upload-pack=x' is not the SHA of a commit$"),
        ("HEAD", "^'HEAD' is not the SHA of a commit$"),
    ],
)
def test_unknown_commits(repository: Sandbox, commit: str, line: str) -> None:
    run_id = get_run(repository, "committed").info.run_id
    MlflowClient().set_tag(run_id, "mlflow.source.git.commit", commit)
    with pytest.raises(UserError, match=line):
        verify_run("committed")


def test_absent_store_or_experiment_is_not_created(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = contents(store)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "other")
    with pytest.raises(UserError, match=r"^MLflow has no experiment 'other': run `dvc repro`, or name another in"):
        verify_run("committed")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{store}/absent.db")
    with pytest.raises(UserError, match=f"^There is no MLflow store at {store}/absent.db: run `dvc repro`, or name"):
        verify_run("committed")
    assert contents(store) == before


def test_runs_are_verified_in_their_git_repository(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(store)
    with pytest.raises(UserError, match=rf"^{store} does not have commit .* \(Git says: fatal: not a git repository"):
        verify_run("committed")


@pytest.mark.parametrize(
    ("number", "expected"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -signal.SIGKILL)]
)
def test_interruption_leaves_nothing_behind(
    repository: Sandbox, store: Path, number: signal.Signals, expected: int
) -> None:
    with start(repository, store, "committed") as process:
        assert process.stderr
        assert next(line for line in process.stderr if line.startswith("Running stage "))
        assert processes_in(store / "tmp")
        process.send_signal(number)
        _, errors = process.communicate()
    assert process.returncode == expected
    assert "Traceback" not in errors
    wait_until(lambda: not processes_in(store / "tmp"), seconds=10)
    # SIGKILL leaves the files that were downloaded, but no process and no clone.
    wait_until(lambda: not list((store / "tmp").glob("*/clone")), seconds=10)
    for path in (store / "tmp").iterdir():
        assert number == signal.SIGKILL
        shutil.rmtree(path)
