"""`digits serve`: the champion's predictions over HTTP, by the protocol of MLflow's scoring server.

MLflow's own server, `mlflow models serve`, understands the same requests; but it copies each pixel of a JSON request
several times, takes requests of any size, and answers some with status 500.
"""

import asyncio
from typing import Any

import mlflow
import numpy as np
import orjson
from fastapi import FastAPI, HTTPException, Request, Response
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import scoring_server
from numpy.typing import NDArray

from digits.commands.http_server import make_server, read_body
from digits.commands.network import HOST, listen
from digits.common.errors import UserError
from digits.tracking import registry, store

MAX_BYTES = 50_000_000  # of a request: over 10,000 images as JSON
RECEIVE_SECONDS = 60
MAX_MESSAGE = 600  # characters
JSON = "application/json"


def serve_champion(port: int) -> None:
    """Serve the champion until Ctrl-C, which raises KeyboardInterrupt; print its address.

    Raises:
        UserError: the store or the port cannot be used, there is no champion, or it is not a model of ours.
    """
    with store.connect(create=False) as (client, _):
        if not registry.find_champion(client):
            raise UserError(f"MLflow has no champion of the model {registry.NAME} yet; log one with: dvc repro")
    with listen(port) as listener:
        from digits.commands.predict import models  # imports TensorFlow, which takes seconds
        from digits.model.predictor import ServedModel

        champion = ServedModel(models.load(f"models:/{registry.NAME}@{registry.CHAMPION}"))
        running = make_server(make_app(champion))
        print(f"Send images to http://{HOST}:{port}/invocations (Ctrl-C to stop)", flush=True)
        running.run(sockets=[listener])


def make_app(model: Any) -> FastAPI:
    """POST /invocations, and GET /ping, /health and /version, for a `ServedModel`."""
    app = FastAPI(openapi_url=None)

    @app.post("/invocations")
    async def invocations(request: Request) -> Response:
        try:
            body = await read_body(request, "A request", MAX_BYTES, RECEIVE_SECONDS)
        except HTTPException as error:
            return _error(error.status_code, error.detail)
        return await asyncio.to_thread(_answer, model, body, request.headers.get("content-type", ""))

    @app.get("/ping")
    @app.get("/health")
    def ping() -> Response:
        return Response("\n", media_type=JSON)

    @app.get("/version")
    def version() -> Response:
        return Response(mlflow.__version__, media_type=JSON)

    return app


def _answer(model: Any, body: bytes, content_type: str) -> Response:
    try:
        images = _images(body) if content_type in (JSON, f"{JSON}; charset=utf-8") else None
        if images is not None:
            answer = {"predictions": model.predict(images)}
            return Response(orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY), media_type=JSON)
        found = scoring_server.invocations(body, content_type, model, None)
        return Response(found.response, found.status, media_type=found.mimetype)
    except MlflowException as error:
        return _error(error.get_http_status_code(), error.message, error.error_code)
    except (RecursionError, ValueError) as error:
        return _error(400, f"the JSON cannot be read: {error}")


def _images(body: bytes) -> NDArray[np.float32] | None:
    """The array in JSON's `inputs` or `instances`; None leaves everything else to MLflow, errors included."""
    try:
        ((key, value),) = orjson.loads(body).items()
        return np.asarray(value, np.float32) if key in ("inputs", "instances") else None
    except (AttributeError, OverflowError, TypeError, ValueError):
        return None


def _error(status: int, message: str, code: str = "BAD_REQUEST") -> Response:
    """One line, without the middle if it is long: MLflow repeats the input."""
    line = " ".join(message.split())
    if len(line) > MAX_MESSAGE:
        line = f"{line[: MAX_MESSAGE // 2]} ... {line[-MAX_MESSAGE // 2 :]}"
    return Response(orjson.dumps({"error_code": code, "message": line}), status, media_type=JSON)
