"""The server of the page: its files, and the model's answer to a drawing.

Only the page may use it: other machines cannot reach it, the check of `Host` stops DNS rebinding, and that of the
content type stops other pages in the same browser.
"""

import webbrowser
from collections.abc import Awaitable, Callable
from pathlib import Path
from threading import Thread
from typing import Annotated, Any

import numpy as np
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles
from starlette.responses import Response

from digits.commands.http_server import make_server, read_body
from digits.commands.network import HOST, listen
from digits.commands.predict import pictures
from digits.common.errors import UserError
from digits.common.types import Classifier

PAGE = Path(__file__).parent / "page"
MAX_BYTES = 1_000_000  # of a drawing; the page sends a few thousand
RECEIVE_SECONDS = 3  # for a drawing, which comes from this machine; less than a stopped server waits
MAX_PIXELS = 1_000_000  # of a drawing; the page sends 280 x 280


def serve(model: str, port: int, *, open_browser: bool) -> None:
    """Serve the page until Ctrl-C, which raises KeyboardInterrupt; print its address."""
    with listen(port) as listener:  # first, because loading the model takes seconds
        from digits.commands.predict import models

        running = make_server(make_app(models.load(model)))
        address = f"http://{HOST}:{port}"
        print(f"Draw a digit: {address} (Ctrl-C to stop)", flush=True)
        if open_browser:
            Thread(target=webbrowser.open, args=[address], daemon=True).start()  # some browsers take seconds
        running.run(sockets=[listener])


def make_app(classify: Classifier) -> FastAPI:
    """The page at /, and POST /predict, which takes a PNG file.

    The answer is JSON: the `probabilities` of the digits 0 to 9, and the drawing as the model has `seen` it, 28 rows of
    28 pixels, 0..255. The `detail` of an error is a sentence; status 422 says that the drawing does not show one digit.
    """
    app = FastAPI(openapi_url=None)

    @app.middleware("http")
    async def check_host(request: Request, answer: Callable[[Request], Awaitable[Response]]) -> Response:
        # Without the port. Starlette's own check answers in plain text.
        if request.headers.get("host", "").partition(":")[0] not in (HOST, "localhost"):
            return JSONResponse({"detail": f"The page is at {HOST} alone."}, 400)
        return await answer(request)

    @app.exception_handler(Exception)
    def internal_error(_: Request, __: Exception) -> JSONResponse:
        return JSONResponse({"detail": "The drawing could not be read, because of an error in the program."}, 500)

    @app.post("/predict")
    def predict(drawing: Annotated[bytes, Depends(_read_drawing)]) -> dict[str, Any]:
        try:
            seen = pictures.read(drawing, MAX_PIXELS).seen
        except UserError as error:
            raise HTTPException(422, f"The drawing {error}.") from error
        (probabilities,) = classify(seen[np.newaxis])
        return {"probabilities": probabilities.tolist(), "seen": seen.tolist()}

    app.mount("/", StaticFiles(directory=PAGE, html=True))
    return app


async def _read_drawing(request: Request) -> bytes:
    if request.headers.get("content-type") != "image/png":  # other pages may send this type only if the server says so
        raise HTTPException(415, "A drawing must be sent as image/png.")
    return await read_body(request, "A drawing", MAX_BYTES, RECEIVE_SECONDS)
