"""`digits draw`: a page to draw a digit on."""

import webbrowser
from threading import Thread
from typing import Annotated

import typer

from digits.cli.predict import DEFAULT_MODEL, Model


def draw(
    model: Model = DEFAULT_MODEL,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Of the page, on this machine alone.")] = 8000,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Print the address, but do not open it.")] = False,
) -> None:
    """Draw a digit in the browser and watch the model's answer change with each stroke.

    No other machine can open the page, and the page loads nothing from the network. Ctrl-C ends it.
    """
    from digits.apps.draw import server  # imports NumPy, SciPy and FastAPI
    from digits.apps.predict import models

    with server.listen(port) as listener:  # first, because loading the model takes seconds
        running = server.make_server(models.load(model))
        address = f"http://{server.HOST}:{port}"
        print(f"Draw a digit: {address} (Ctrl-C ends this)", flush=True)
        if not no_browser:
            Thread(target=webbrowser.open, args=[address], daemon=True).start()  # some browsers take seconds
        running.run(sockets=[listener])
