"""Training runs that are watched under faults, on SQLite and on a server with PostgreSQL.

Several schedules of faults take place at once, since their processes mostly sleep. DIGITS_SCHEDULES sets their number.
"""

import os
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from digits.tracking import run_content
from helpers import postgres
from helpers.mlflow_runs import copy_database, forget_store
from helpers.training_runs import Schedule, Server, assert_one_run, assert_watched, make_machine, paced

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("schedules")]

SCHEDULES = int(os.environ.get("DIGITS_SCHEDULES", "2"))
AT_ONCE = 5


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    with postgres.cluster() as cluster:
        server = Server(folder, cluster.create_database("mlflow"))
        yield server
        server.kill()


@pytest.fixture(autouse=True)
def _store() -> Iterator[None]:
    yield
    forget_store()


def test_run_is_live_on_a_server(server: Server, tmp_path: Path) -> None:
    machine = make_machine(tmp_path / "tree", server.uri, "live")
    live = assert_watched(paced(machine, 2.5))
    assert assert_one_run(machine).info.run_id == live.info.run_id


def make_schedule(folder: Path, seed: int, empty_store: Path, server: Server | None) -> Schedule:
    """One or two machines with a store of their own, or an experiment of their own on the server."""
    chance = random.Random(seed)  # noqa: S311
    folder.mkdir()
    copy_database(empty_store, folder)
    uri = server.uri if server else f"sqlite:///{folder}/mlflow.db"
    names = ["first", "second"][: chance.randint(1, 2)]
    machines = [paced(make_machine(folder / name, uri, f"schedule-{seed}"), chance.uniform(0.3, 2)) for name in names]
    return Schedule(machines, chance, server)


@pytest.mark.parametrize("store", ["SQLite", "server"])
def test_faults_leave_one_run(request: pytest.FixtureRequest, empty_store: Path, tmp_path: Path, store: str) -> None:
    """Each state has one finished run, each point of it once, and the model has the same bytes everywhere."""
    server = request.getfixturevalue("server") if store == "server" else None
    schedules = [make_schedule(tmp_path / str(seed), seed, empty_store, server) for seed in range(SCHEDULES)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(Schedule.disturb, schedules))
        list(pool.map(Schedule.finish, schedules))
    for number, schedule in enumerate(schedules):
        runs = [assert_one_run(machine) for machine in schedule.machines]
        live = "live" if run_content.EPOCH_SECONDS_TAG in runs[0].data.tags else "short"
        request.node.user_properties.append((str(number), " ".join([live, str(len(runs)), *schedule.events])))
        assert len({(machine.tree / "data/model.keras").read_bytes() for machine in schedule.machines}) == 1
