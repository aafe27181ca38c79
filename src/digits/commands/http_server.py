"""An HTTP server of an app, and the bodies of requests to it."""

import asyncio
from typing import Any

import uvicorn
from fastapi import HTTPException, Request
from starlette.requests import ClientDisconnect


def make_server(app: Any) -> uvicorn.Server:
    """A server of an ASGI app, to be run with a socket of `network.listen`.

    Ctrl-C ends it and raises KeyboardInterrupt.
    """
    options: Any = {"lifespan": "off", "ws": "none", "log_level": "warning", "server_header": False}
    return uvicorn.Server(uvicorn.Config(app, timeout_graceful_shutdown=5, **options))


async def read_body(request: Request, name: str, max_bytes: int, seconds: float) -> bytes:
    """The body of a request, which messages call `name`.

    Raises:
        HTTPException: it is larger than `max_bytes`, takes longer than `seconds`, or ends early.
    """
    body = bytearray()
    try:
        async with asyncio.timeout(seconds):
            async for part in request.stream():  # to the end: a client that is still sending does not see the answer
                body += part[: max_bytes + 1 - len(body)]
    except TimeoutError as error:
        raise HTTPException(408, f"{name} must arrive within {seconds:g} seconds.") from error
    except ClientDisconnect as error:
        raise HTTPException(400, f"{name} is not complete.") from error
    if len(body) > max_bytes:
        raise HTTPException(413, f"{name} must not be larger than {max_bytes} bytes.")
    return bytes(body)
