"""The champion over HTTP: MLflow's protocol, the same answers in every form, and one line for what is wrong."""

import json
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import keras
import mlflow
import numpy as np
import pytest
import requests
from mlflow import pyfunc

from digits.commands import serving
from digits.common.types import Pixels
from digits.model import architectures, keras_file
from digits.tracking import mlflow_model, run_content
from helpers.networks import outputs
from helpers.recipes import tutorial
from helpers.sandbox import ROOT
from helpers.servers import running

pytestmark = pytest.mark.xdist_group("tracking")

JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def model(tensorflow: None) -> keras.Model:  # noqa: ARG001 (configured first)
    return architectures.with_calibrated_softmax(architectures.build(tutorial(hidden=()), seed=0), "minmax", 1)


@pytest.fixture(scope="module")
def champion(model: keras.Model, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The model as stage track writes it and MLflow loads it."""
    folder = tmp_path_factory.mktemp("served")
    keras_file.save(model, folder / "model.keras")
    content: Any = SimpleNamespace(
        model=folder / "model.keras",
        predictor=ROOT / run_content.PREDICTOR,
        example=np.zeros((2, 28, 28), np.float32),
    )
    logged: Any = SimpleNamespace(artifact_location="", source_run_id="1", model_id="m-1")
    mlflow_model.write(folder / "model", content, logged)
    return pyfunc.load_model(str(folder / "model"))


@pytest.fixture(scope="module")
def address(champion: Any) -> Iterator[str]:
    with running(serving.make_app(champion)) as address:
        yield address


def post(address: str, content: Any) -> requests.Response:
    return requests.post(f"{address}/invocations", json=content, timeout=30)


def refusal(response: requests.Response) -> str:
    """The message of an error, which is one line of JSON."""
    assert len(response.text.splitlines()) == 1
    return str(response.json()["message"])


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


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
def test_mlflow_takes_images_of_any_type(champion: Any, model: keras.Model, pixels: Pixels, dtype: str) -> None:
    np.testing.assert_allclose(champion.predict(pixels.astype(dtype)), outputs(model, pixels), atol=1e-6)


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
        (b"[" * 100_000, "the JSON is nested too deeply"),
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
    """With its length at the front, and without one."""
    monkeypatch.setattr(serving, "MAX_BYTES", 10_000)
    content = b"1" * 2501
    body = content * 4 if parts == 1 else iter([content] * parts)
    response = requests.post(f"{address}/invocations", body, headers=JSON, timeout=30)
    assert response.status_code == 413
    assert refusal(response) == "a request must not be larger than 10000 bytes; send fewer images"
    assert post(address, {"inputs": pixels[:1].tolist()}).status_code == 200


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/json; charset=latin-1"])
def test_other_types_of_content_are_refused(address: str, content_type: str | None) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    response = requests.post(f"{address}/invocations", b"{}", headers=headers, timeout=30)
    assert response.status_code == 415
    assert len(response.text.splitlines()) == 1


def test_server_says_that_it_is_up_and_its_version(address: str) -> None:
    for path in ("ping", "health"):
        assert requests.get(f"{address}/{path}", timeout=30).status_code == 200
    assert requests.get(f"{address}/version", timeout=30).text == mlflow.__version__
