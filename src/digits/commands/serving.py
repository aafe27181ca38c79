"""`digits serve`: the champion's predictions over HTTP, by the protocol of MLflow's scoring server.

MLflow's own server, `mlflow models serve`, gives the same answers; but it copies each pixel of a JSON request several
times, takes requests of any size, and fails at some with status 500.
"""

import asyncio
from tempfile import TemporaryDirectory
from typing import Any

import mlflow
import numpy as np
import orjson
from fastapi import FastAPI, Request, Response
from mlflow import pyfunc
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import scoring_server
from numpy.typing import NDArray

from digits.commands.network import HOST, listen, make_server
from digits.common.errors import UserError
from digits.tracking import registry, store

MAX_BYTES = 50_000_000  # of a request: over 10,000 images as JSON
JSON = "application/json"


def serve_champion(port: int) -> None:
    """Serve the champion until Ctrl-C, which raises KeyboardInterrupt; print its address.

    Raises:
        UserError: the store or the port cannot be used, or there is no champion.
    """
    with listen(port) as listener:
        running = make_server(make_app(_load_champion()))
        print(f"Send images to http://{HOST}:{port}/invocations (Ctrl-C to stop)", flush=True)
        running.run(sockets=[listener])


def make_app(champion: Any) -> FastAPI:
    """POST /invocations, and GET /ping, /health and /version, of a model that `mlflow.pyfunc` loaded."""
    app = FastAPI(openapi_url=None)

    @app.post("/invocations")
    async def invocations(request: Request) -> Response:
        content_type = request.headers.get("content-type", "")
        body = bytearray()
        async for part in request.stream():  # to the end: a client that is still sending does not see the answer
            body += part[: MAX_BYTES + 1 - len(body)]
        if len(body) > MAX_BYTES:
            return _error(413, f"a request must not be larger than {MAX_BYTES} bytes; send fewer images")
        return await asyncio.to_thread(_answer, champion, bytes(body), content_type)

    @app.get("/ping")
    @app.get("/health")
    def ping() -> Response:
        return Response("\n", media_type=JSON)

    @app.get("/version")
    def version() -> Response:
        return Response(mlflow.__version__, media_type=JSON)

    return app


def _load_champion() -> Any:
    with TemporaryDirectory() as folder, store.connect(create=False) as (client, _):
        if not registry.find_champion(client):
            raise UserError(f"MLflow has no champion of the model {registry.NAME} yet; log one with: dvc repro")
        from digits import model  # imports TensorFlow, which takes seconds

        model.set_threads(intra_op_threads=1)
        uri = f"models:/{registry.NAME}@{registry.CHAMPION}"
        return pyfunc.load_model(mlflow.artifacts.download_artifacts(uri, dst_path=folder))


def _answer(champion: Any, body: bytes, content_type: str) -> Response:
    try:
        images = _images(body) if content_type.partition(";")[0].strip() == JSON else None
        if images is not None:
            answer = {"predictions": champion.predict(images)}
            return Response(orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY), media_type=JSON)
        found = scoring_server.invocations(body, content_type, champion, champion.metadata.get_input_schema())
        return Response(found.response, found.status, media_type=found.mimetype)
    except MlflowException as error:
        return Response(error.serialize_as_json(), error.get_http_status_code(), media_type=JSON)
    except RecursionError:
        return _error(400, "the JSON is nested too deeply")


def _images(body: bytes) -> NDArray[np.float32] | None:
    """The array in JSON's `inputs` or `instances`; None leaves everything else to MLflow, errors included."""
    try:
        ((key, value),) = orjson.loads(body).items()
        return np.asarray(value, np.float32) if key in ("inputs", "instances") else None
    except (AttributeError, TypeError, ValueError):
        return None


def _error(status: int, message: str) -> Response:
    return Response(orjson.dumps({"error_code": "BAD_REQUEST", "message": message}), status, media_type=JSON)
