"""The server of the page: its files, and the model's answer to a drawing.

It is for the page alone. Other machines cannot reach it, and other pages in the same browser are refused: by the host's
name (DNS rebinding) and by a request's origin.
"""

import os
import socket
import webbrowser
from pathlib import Path
from threading import Thread
from typing import Annotated

import numpy as np
import uvicorn
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.middleware.trustedhost import TrustedHostMiddleware
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.middleware.base import RequestResponseEndpoint
from starlette.requests import ClientDisconnect

from digits.commands.predict import pictures
from digits.common.errors import UserError
from digits.common.types import Classifier

HOST = "127.0.0.1"
PAGE = Path(__file__).parent / "page"
MAX_BYTES = 1_000_000  # bytes of a drawing; the page sends a few thousand

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Answer(BaseModel):
    """The model's answer to a drawing.

    Attributes:
        probabilities: of the digits 0 to 9.
        seen: the drawing as the model sees it, 28 rows of 28 pixels, 0..255.
    """

    probabilities: list[float]
    seen: list[list[int]]


def serve(model: str, port: int, *, open_browser: bool) -> None:
    """Serve the page until Ctrl-C, which raises KeyboardInterrupt; print its address."""
    with listen(port) as listener:  # first, because loading the model takes seconds
        from digits.commands.predict import models

        running = make_server(models.load(model))
        address = f"http://{HOST}:{port}"
        print(f"Draw a digit: {address} (Ctrl-C ends this)", flush=True)
        if open_browser:
            Thread(target=webbrowser.open, args=[address], daemon=True).start()  # some browsers take seconds
        running.run(sockets=[listener])


def make_app(classify: Classifier) -> FastAPI:
    """The page at /, and POST /predict, which takes a PNG file.

    Every error is JSON, {"error": "a sentence"}; the status is 422 if the drawing does not show one digit.
    """
    app = FastAPI(openapi_url=None)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"])
    app.middleware("http")(_add_headers)  # the last one added is the outermost
    app.exception_handler(UserError)(_on_user_error)
    app.exception_handler(StarletteHTTPException)(_on_http_error)
    app.exception_handler(Exception)(_on_bug)

    @app.post("/predict")
    def predict(drawing: Annotated[bytes, Depends(_read_drawing)]) -> Answer:
        seen = pictures.read(drawing).seen
        (probabilities,) = classify(seen[np.newaxis])
        return Answer(probabilities=probabilities.tolist(), seen=seen.tolist())

    app.mount("/", StaticFiles(directory=PAGE, html=True))
    return app


def listen(port: int) -> socket.socket:
    """Open a port for this machine alone.

    Raises:
        UserError: it cannot be opened; most likely another program has it.
    """
    try:
        return socket.create_server((HOST, port))
    except OSError as error:
        reason = os.strerror(error.errno or 0).lower()
        raise UserError(f"port {port}: {reason}; choose another one with --port") from error


def make_server(classify: Classifier) -> uvicorn.Server:
    """A server to be run with the socket of `listen`. Ctrl-C ends it and raises KeyboardInterrupt."""
    app = make_app(classify)
    config = uvicorn.Config(
        app, lifespan="off", ws="none", log_level="warning", server_header=False, timeout_graceful_shutdown=5
    )
    return uvicorn.Server(config)


async def _read_drawing(request: Request) -> bytes:
    own_origin = f"http://{request.headers['host']}"
    if request.headers.get("origin", own_origin) != own_origin:
        raise HTTPException(403, "Only the page of this server may ask.")
    if request.headers.get("content-type") != "image/png":
        raise HTTPException(415, "A drawing must be sent as image/png.")
    body = bytearray()
    try:
        async for part in request.stream():  # to the end: a client that is still sending does not see the answer
            body += part[: MAX_BYTES + 1 - len(body)]
    except ClientDisconnect as error:
        raise HTTPException(400, "The drawing is not complete.") from error
    if len(body) > MAX_BYTES:
        raise HTTPException(413, f"A drawing must not be larger than {MAX_BYTES} bytes.")
    return bytes(body)


async def _add_headers(request: Request, call_next: RequestResponseEndpoint) -> Response:
    response = await call_next(request)
    response.headers.update(HEADERS)
    return response


async def _on_user_error(_: Request, error: UserError) -> JSONResponse:
    return JSONResponse({"error": f"The drawing {error}."}, 422)


async def _on_http_error(_: Request, error: StarletteHTTPException) -> JSONResponse:
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)


async def _on_bug(_: Request, __: Exception) -> JSONResponse:
    """It is outside of `_add_headers`; the traceback is printed by uvicorn."""
    return JSONResponse({"error": "The server failed; its terminal says why."}, 500, HEADERS)
