"""The champion over HTTP: MLflow's protocol, the same answers in every form, and one line for what is wrong."""

import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import mlflow
import numpy as np
import pytest
import requests
from mlflow import pyfunc

from digits import cli
from digits.commands import serving
from digits.common.errors import UserError
from digits.common.types import Pixels
from digits.model import architectures, keras_file
from digits.model.predictor import Predictor, ServedModel
from digits.tracking import mlflow_model, run_content, store
from helpers.keras_outputs import outputs
from helpers.mlflow_runs import copy_database, forget_store
from helpers.recipes import tutorial
from helpers.sandbox import ROOT
from helpers.servers import running

pytestmark = pytest.mark.xdist_group("tracking")

JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def model(tensorflow: None) -> keras.Model:  # noqa: ARG001 (configured first)
    return architectures.with_calibrated_softmax(architectures.build(tutorial(hidden=()), seed=0), "minmax", 1)


@pytest.fixture(scope="module")
def logged(model: keras.Model, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of the model as stage track writes it."""
    folder = tmp_path_factory.mktemp("served")
    keras_file.save(model, folder / "model.keras")
    content: Any = SimpleNamespace(
        model=folder / "model.keras",
        predictor=ROOT / run_content.PREDICTOR,
        example=np.zeros((2, 28, 28), np.float32),
    )
    entity: Any = SimpleNamespace(artifact_location="", source_run_id="1", model_id="m-1")
    mlflow_model.write(folder / "model", content, entity)
    return str(folder / "model")


@pytest.fixture(scope="module")
def address(model: keras.Model) -> Iterator[str]:
    with running(serving.make_app(ServedModel(Predictor(model)))) as address:
        yield address


def post(address: str, content: Any) -> requests.Response:
    return requests.post(f"{address}/invocations", json=content, timeout=30)


def refusal(response: requests.Response) -> str:
    """The message of an error, which is one line of JSON."""
    answer = response.json()
    assert answer.keys() == {"error_code", "message"}
    assert len(answer["message"].splitlines()) == 1
    assert len(response.text) < 1000
    return str(answer["message"])


FORMS: dict[str, Callable[[Pixels], Any]] = {
    "inputs": lambda images: {"inputs": images.tolist()},
    "instances": lambda images: {"instances": images.tolist()},
    "floats": lambda images: {"inputs": images.astype(float).tolist()},
    "split": lambda images: {"dataframe_split": {"columns": ["image"], "data": [[image.tolist()] for image in images]}},
    "records": lambda images: {"dataframe_records": [{"image": image.ravel().tolist()} for image in images]},
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_has_the_same_answer(address: str, model: keras.Model, pixels: Pixels, form: str) -> None:
    response = post(address, FORMS[form](pixels[:3]))
    assert response.status_code == 200
    np.testing.assert_allclose(response.json()["predictions"], outputs(model, pixels[:3]), atol=1e-6)


def test_csv_has_784_columns(address: str, model: keras.Model, pixels: Pixels) -> None:
    rows = [range(784), *pixels[:3].reshape(3, -1)]
    content = "\n".join(",".join(map(str, row)) for row in rows)
    response = requests.post(f"{address}/invocations", content, headers={"Content-Type": "text/csv"}, timeout=30)
    np.testing.assert_allclose(response.json()["predictions"], outputs(model, pixels[:3]), atol=1e-6)


def test_mlflow_loads_the_model_by_either_flavour(logged: str, model: keras.Model, pixels: Pixels) -> None:
    """The compiled predictor, for images of any type, and Keras's model."""
    expected, loaded = outputs(model, pixels), pyfunc.load_model(logged)
    for dtype in ("uint8", "float32", "float64"):
        np.testing.assert_allclose(loaded.predict(pixels.astype(dtype)), expected, atol=1e-6)
    np.testing.assert_array_equal(outputs(mlflow.keras.load_model(logged), pixels), expected)


@pytest.mark.parametrize(
    "content",
    [
        {"inputs": np.zeros((2, 28, 27)).tolist()},
        {"inputs": np.full((1, 28, 28), 256).tolist()},
        {"inputs": []},
        {"inputs": None},
        {"instances": 7},
    ],
)
def test_other_arrays_are_refused(address: str, content: Any) -> None:
    response = post(address, content)
    assert response.status_code == 400
    assert refusal(response).startswith("the input must be images of shape (n, 28, 28) with pixels from 0 to 255; got ")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "valid JSON formatted string"),
        (b"\xff", "valid JSON formatted string"),
        (b"[1]", "must be a JSON dictionary"),
        (b"{}", "must be a JSON dictionary"),
        (b'{"inputs": [], "instances": []}', "must be a JSON dictionary"),
        (b'{"inputs": [[1], 2]}', "inhomogeneous shape"),
        (b'{"inputs": [[["a"]]]}', "could not convert string to float"),
        (json.dumps({"inputs": np.full((1, 28, 28), np.nan).tolist()}).encode(), "got pixels from nan to nan"),
        (b"[" * 100_000, "the JSON cannot be read: maximum recursion depth"),
        (b'{"inputs": ' + b"1" * 5000 + b"}", "the JSON cannot be read: Exceeds the limit"),
        (b'{"inputs": [[[1e999]]]}', "got shape (1, 1, 1)"),
        (b'{"dataframe_split": {"columns": ["image"], "data": [[[1, 2]]]}}', "got something else (cannot reshape"),
        (b"{" + b" " * 100_000, "valid JSON formatted string"),
    ],
)
def test_other_json_is_refused(address: str, content: bytes, message: str) -> None:
    response = requests.post(f"{address}/invocations", content, headers=JSON, timeout=30)
    assert response.status_code == 400
    assert message in refusal(response)


@pytest.mark.parametrize("parts", [1, 4])
def test_too_large_a_request_is_refused(
    address: str, monkeypatch: pytest.MonkeyPatch, parts: int, pixels: Pixels
) -> None:
    """With a Content-Length, and in chunks."""
    monkeypatch.setattr(serving, "MAX_BYTES", 10_000)
    content = b"1" * 2501
    body = content * 4 if parts == 1 else iter([content] * parts)
    response = requests.post(f"{address}/invocations", body, headers=JSON, timeout=30)
    assert response.status_code == 413
    assert refusal(response) == "A request must not be larger than 10000 bytes."
    assert post(address, {"inputs": pixels[:1].tolist()}).status_code == 200


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/json; charset=latin-1"])
def test_other_types_of_content_are_refused(address: str, pixels: Pixels, content_type: str | None) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    body = json.dumps({"inputs": pixels[:1].tolist()}).encode()
    response = requests.post(f"{address}/invocations", body, headers=headers, timeout=30)
    assert response.status_code == 415
    assert len(response.text.splitlines()) == 1


def test_damaged_csv_is_refused(address: str) -> None:
    content = b'a,b\n"1'
    response = requests.post(f"{address}/invocations", content, headers={"Content-Type": "text/csv"}, timeout=30)
    assert response.status_code == 400
    assert "Failed to parse input as a Pandas DataFrame" in refusal(response)
    assert "Traceback" not in response.text


def test_client_that_goes_away_is_no_traceback(address: str, pixels: Pixels, capfd: pytest.CaptureFixture[str]) -> None:
    host, _, port = address.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
    assert post(address, {"inputs": pixels[:1].tolist()}).status_code == 200
    assert capfd.readouterr().err == ""


def test_store_without_a_champion_is_one_line(
    empty_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"^There is no MLflow store at .*: run `dvc repro`"):
        cli.serve()
    copy_database(empty_store, tmp_path)
    with store.connect():
        pass
    with pytest.raises(UserError, match=r"^MLflow has no champion of the model digits yet; log one with: dvc repro$"):
        cli.serve()
    forget_store()


def test_server_says_that_it_is_up_and_its_version(address: str) -> None:
    for path in ("ping", "health"):
        assert requests.get(f"{address}/{path}", timeout=30).status_code == 200
    assert requests.get(f"{address}/version", timeout=30).text == mlflow.__version__
