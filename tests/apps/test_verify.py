"""`digits verify`: identical, not identical, tampered with, or in another environment; and nothing stays behind."""

import contextlib
import hashlib
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from digits.apps import clone, verify
from digits.apps.leaderboard import robustness
from digits.common.errors import UserError
from factories import write_yaml
from mlflow_runs import forget_store, runs
from sandbox import PARAMS, ROOT, Sandbox, make_sandbox

# One worker runs them all, since they share a sandbox.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("verify")]

FEW = {"normalize.train_size": 300, "normalize.validation_size": 100, "recipes.tutorial.epochs": 2}
VERIFY = ("python", "-c", "from digits.cli.main import main; main()", "verify")


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    """Four runs by name, and the repository as the run `committed` left it."""
    sandbox = make_sandbox(tmp_path_factory.mktemp("verify") / "digits", PARAMS | FEW)
    make_run(sandbox, "one_thread", {"recipes.tutorial.threads": 1})
    # DVC does not track params.py, so only the outputs can tell.
    sandbox.edit("src/digits/params.py", "recipe]\n", 'recipe].model_copy(update={"learning_rate": 0.1})\n')
    make_run(sandbox, "changed_params", {"train.seed": 1, "recipes.tutorial.threads": 2})
    sandbox.run("git", "checkout", "src")
    sandbox.edit("stages/predict_sample.py", "Stage predict_sample: what", "What")
    make_run(sandbox, "changed_code", {"predict_sample.index": 7})
    sandbox.run("git", "checkout", "stages")
    make_run(sandbox, "committed", {"predict_sample.index": 1000, "train.seed": 0})
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
    with sqlite3.connect(repository.root / "mlflow.db") as source, sqlite3.connect(tmp_path / "mlflow.db") as copy:
        source.backup(copy)
        copy.execute(
            "UPDATE runs SET artifact_uri = replace(artifact_uri, ?, ?)", (f"{repository.root}", f"{tmp_path}")
        )
    source.close()
    copy.close()
    shutil.copytree(repository.root / "mlartifacts", tmp_path / "mlartifacts")
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
    )


def run_command(repository: Sandbox, store: Path, query: str) -> tuple[int, list[str]]:
    """The exit status of `digits verify`, and the lines that it printed; progress aside."""
    with start(repository, store, query) as process:
        output, errors = process.communicate()
    lines = [line for line in errors.splitlines() if not line.startswith("rebuilding: ")]
    return process.returncode, [*output.splitlines(), *lines]


def verify_run(query: str) -> tuple[verify.Verification, list[str]]:
    """Verify in this process."""
    lines: list[str] = []
    stages: list[str] = []
    return verify.verify(query, lines.append, stages.append), lines


def restore_instead_of_rebuilding(repository: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """What took the run `committed` seconds is copied."""

    def rebuild(copy: clone.Clone, *_: object) -> None:
        for path in ("dvc.lock", "data/model.keras", "reports/metrics.json", "reports/history.csv"):
            shutil.copyfile(repository.root / path, copy.root / path)

    monkeypatch.setattr(clone.Clone, "rebuild", rebuild)


def contents(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_run_is_rebuilt_identically_whatever_params_are_set_now(repository: Sandbox, store: Path) -> None:
    before = contents(store), repository.run("git", "status", "--porcelain", "--ignored")
    run = get_run(repository, "one_thread")
    assert "threads: 2" in (repository.root / "params.yaml").read_text()
    state, commit = run.data.tags["digits.state"], run.data.tags["mlflow.source.git.commit"]
    status, lines = run_command(repository, store, state[:6])
    assert status == 0, lines
    title, verdict = lines
    assert title == f"run {run.info.run_id} (one_thread): state {state[:12]}, commit {commit[:12]}"
    assert verdict.startswith("identical: 12 outputs, ")
    assert (contents(store), repository.run("git", "status", "--porcelain", "--ignored")) == before


def test_other_outputs_are_not_identical(repository: Sandbox, store: Path) -> None:
    status, lines = run_command(repository, store, "changed_params")
    assert status == 1
    _, dirty, output, metric = lines
    assert dirty == "its code had uncommitted changes"
    assert output.startswith("not identical: data/model.keras: ")
    assert metric.startswith("loss at epoch 1: ")
    assert metric.endswith(" here")


def test_another_environment_has_a_status_of_its_own(repository: Sandbox, store: Path) -> None:
    run_id = get_run(repository, "committed").info.run_id
    MlflowClient().set_tag(run_id, "version.numpy", "1.0.0")
    status, lines = run_command(repository, store, run_id)
    assert status == 2
    _, difference, verdict = lines
    assert difference.startswith("the environment differs: numpy 1.0.0 then, ")
    assert verdict.startswith("identical all the same: 12 outputs, ")


def test_user_errors_are_lines_with_status_1(repository: Sandbox, store: Path) -> None:
    status, lines = run_command(repository, store, "unknown")
    assert (status, len(lines)) == (1, 1)
    assert lines[0].startswith("MLflow has no run 'unknown'; give a run's id, ")


def test_unrecorded_environment_is_said(repository: Sandbox, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    restore_instead_of_rebuilding(repository, monkeypatch)
    result, lines = verify_run("committed")
    assert (result, len(lines)) == (verify.Verification(True, None, 12), 1)
    edit_store(store, "DELETE FROM tags WHERE key = 'version.scipy'")
    result, lines = verify_run("committed")
    assert (result, len(lines)) == (verify.Verification(True, None, 12), 1), "a version that was not recorded yet"
    edit_store(store, "DELETE FROM tags WHERE key = 'cpu' OR key LIKE 'version.%'")
    result, lines = verify_run("committed")
    assert result == verify.Verification(True, None, 12)
    assert lines[1:] == ["the environment of its training is not recorded"]


@pytest.mark.usefixtures("store")
def test_metrics_that_the_leaderboard_adds_are_left_out(repository: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    restore_instead_of_rebuilding(repository, monkeypatch)
    run_id = get_run(repository, "committed").info.run_id
    for name in (robustness.METRIC, robustness.metric("blur", 3)):
        MlflowClient().log_metric(run_id, name, 0.1)
    assert verify_run("committed")[0].difference is None


@pytest.mark.usefixtures("store")
def test_model_is_compared_by_sha256(repository: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    restore_instead_of_rebuilding(repository, monkeypatch)
    run = get_run(repository, "committed")
    MlflowClient().set_tag(run.info.run_id, "model.sha256", "other")
    result, _ = verify_run("committed")
    assert result.difference == f"SHA-256 of the model: other then, {run.data.tags['model.sha256']} here"


@pytest.mark.usefixtures("store")
def test_changed_code_is_named_before_anything_is_rebuilt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(clone.Clone, "rebuild")
    with pytest.raises(UserError) as error:
        verify_run("changed_code")
    assert str(error.value) == (
        "not identical: the code of `predict_sample` differs from the commit: stages/predict_sample.py; "
        "the run had uncommitted changes"
    )


@pytest.mark.usefixtures("store")
def test_ambiguous_names_are_listed(repository: Sandbox) -> None:
    one, other = (get_run(repository, name).info.run_id for name in ("one_thread", "committed"))
    MlflowClient().update_run(one, name="same")
    MlflowClient().update_run(other, name="same")
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


def edit_store(store: Path, statement: str) -> None:
    connection = sqlite3.connect(store / "mlflow.db")
    with connection:
        assert connection.execute(statement).rowcount > 0
    connection.close()


@pytest.mark.parametrize(
    ("statement", "difference"),
    [
        (
            "UPDATE params SET value = '3' WHERE key = 'train.threads'",
            r"param train.threads: 2 in its files, 3 in MLfl",
        ),
        ("DELETE FROM params WHERE key = 'train.threads'", "param train.threads: 2 in its files, nothing in MLflow"),
        (
            "UPDATE datasets SET digest = 'x' WHERE name = 'mnist-test'",
            r"dataset test: \w+.dir in its files, x in MLfl",
        ),
        ("UPDATE metrics SET value = 1 WHERE key = 'loss'", r"loss at epoch 1: 2.\d+ in its files, 1.0 in MLflow"),
        ("UPDATE latest_metrics SET value = 1 WHERE key = 'test_accuracy'", "test_accuracy: 0.* files, 1.0 in MLflow"),
        ("UPDATE tags SET value = 'x' WHERE key = 'digits.state'", r"digits.state: \w{64} in its files, x in MLflow"),
    ],
)
def test_tampered_store_is_named(store: Path, statement: str, difference: str) -> None:
    edit_store(store, statement)
    with pytest.raises(UserError, match=rf"^run \w+ \(committed\) contradicts its own files: {difference}"):
        verify_run("committed")


def replace(old: str, new: str) -> Callable[[Path], object]:
    return lambda path: path.write_text(path.read_text().replace(old, new, 1))


@pytest.mark.parametrize(
    ("file", "edit", "line"),
    [
        (
            "params.yaml",
            replace("threads: 2", "threads: 1"),
            "recipes.tutorial.threads: 2 in its dvc.lock, 1 in its par",
        ),
        (
            "dvc.lock",
            replace("threads: 2", "threads: 1"),
            "recipes.tutorial.threads: 1 in its dvc.lock, 2 in its params",
        ),
        (
            "dvc.lock",
            replace("data/raw\n      hash: md5\n      md5: ", "data/raw\n      md5: 0"),
            "data/raw has changed",
        ),
        ("metrics.json", replace('"accuracy": 0.', '"accuracy": 0.9'), r"the MD5 of metrics.json: \w{32} in its files"),
        ("history.csv", replace("\n1,", "\n1,9"), r"the MD5 of history.csv: \w{32} in its files, \w{32} in MLflow"),
        ("prediction.json", replace("9", "8"), r"the MD5 of prediction.json: \w{32} in its files, \w{32} in MLflow"),
        ("metrics.json", replace("{", ""), "damaged"),
        ("params.yaml", replace("fetch:", "fetch"), "damaged"),
        ("dvc.lock", replace("stages:", "phases:"), "damaged"),
        ("dvc.lock", Path.unlink, "cannot be verified: MLflow lacks its dvc.lock"),
    ],
)
def test_tampered_files_are_named(
    repository: Sandbox, store: Path, file: str, edit: Callable[[Path], object], line: str
) -> None:
    run_id = get_run(repository, "committed").info.run_id
    (path,) = store.glob(f"mlartifacts/{run_id}/artifacts/{file}")
    before = path.read_bytes()
    edit(path)
    assert not path.exists() or path.read_bytes() != before
    with pytest.raises(UserError, match=f"^run {run_id} .*{line}"):
        verify_run(run_id)


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    ("commit", "line"),
    [
        ("0" * 40, f"^commit {'0' * 40} is not in this repository; get it with: git fetch --all$"),
        ("--upload-pack=x", "^'--upload-pack=x' is not the SHA of a commit$"),
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
    with pytest.raises(UserError, match=f"^{store} is not in a Git repository; change to the one that has commit"):
        verify_run("committed")


@pytest.mark.parametrize(("number", "expected"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interruption_leaves_nothing_behind(
    repository: Sandbox, store: Path, number: signal.Signals, expected: int
) -> None:
    with start(repository, store, "committed") as process:
        assert process.stderr
        assert next(line for line in process.stderr if line.startswith("rebuilding: ")) == "rebuilding: fetch\n"
        assert processes_in(store / "tmp")
        process.send_signal(number)
        _, errors = process.communicate()
    assert process.returncode == expected
    assert "Traceback" not in errors
    assert not processes_in(store / "tmp")


def test_interruption_ends_the_stage_at_once(repository: Sandbox, store: Path) -> None:
    """The stage leaves a temporary file, too."""
    stage = {"cmd": f"touch $TMPDIR/left && echo started && sleep 20 && touch {store}/done"}
    commit = get_run(repository, "committed").data.tags["mlflow.source.git.commit"]

    def interrupt(line: str) -> None:
        if line == "started":
            raise KeyboardInterrupt

    with clone.at_commit(commit) as copy:
        write_yaml(copy.root / "dvc.yaml", {"stages": {"slow": stage}})
        with pytest.raises(KeyboardInterrupt):
            copy.dvc("repro", "slow", on_line=interrupt)
    assert not (store / "done").exists()


def processes_in(folder: Path) -> list[str]:
    """The processes that have their working directory in `folder`; none where there is no /proc."""
    found = []
    for link in Path("/proc").glob("[0-9]*/cwd"):
        with contextlib.suppress(OSError):  # it has ended
            found += [link.parent.name] if link.readlink().is_relative_to(folder) else []
    return found


def test_entries_of_removed_stages_are_ignored(
    repository: Sandbox, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = get_run(repository, "committed").info.run_id
    lock = store / f"mlartifacts/{run_id}/artifacts/dvc.lock"
    entry = (
        "  removed:\n    cmd: python\n    outs:\n    - {path: data/raw, md5: ffba38e618e365200d865e545938fc3b.dir}\n"
    )
    lock.write_text(lock.read_text() + entry)
    restore_instead_of_rebuilding(repository, monkeypatch)
    assert verify_run(run_id)[0].difference is None


@pytest.mark.usefixtures("store")
def test_failing_dvc_is_an_error_with_its_last_lines(repository: Sandbox) -> None:
    commit = get_run(repository, "committed").data.tags["mlflow.source.git.commit"]
    with clone.at_commit(commit) as copy, pytest.raises(UserError) as error:
        copy.dvc("repro", "absent")
    first, *lines = str(error.value).splitlines()
    assert first == "`dvc repro` failed:"
    assert "absent" in lines[0]


def test_settings_of_dvc_mlflow_and_python_are_not_inherited(
    repository: Sandbox, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_EXP_NAME", "mine")
    commit = get_run(repository, "committed").data.tags["mlflow.source.git.commit"]
    with clone.at_commit(commit) as copy:
        names = {name for name in copy.environment if name.startswith(("DVC_", "MLFLOW_", "PYTHONPATH"))}
        assert names == {"DVC_SITE_CACHE_DIR", "DVC_GLOBAL_CONFIG_DIR", "DVC_SYSTEM_CONFIG_DIR"}
        assert all(Path(copy.environment[name]).is_relative_to(store / "tmp") for name in names)
        assert not (copy.root / ".dvc/cache").exists()
