"""A port of this machine that no other machine can reach, and a server on it."""

import asyncio
import os
import socket
from typing import Any

import uvicorn
from fastapi import HTTPException, Request
from starlette.requests import ClientDisconnect

from digits.common.errors import UserError

HOST = "127.0.0.1"


def listen(port: int) -> socket.socket:
    """Open a port.

    Raises:
        UserError: it cannot be opened; most likely another program has it.
    """
    try:
        return socket.create_server((HOST, port))
    except OSError as error:
        reason = os.strerror(error.errno or 0).lower()
        raise UserError(f"port {port}: {reason}; choose another one with --port") from error


def make_server(app: Any) -> uvicorn.Server:
    """A server of an ASGI app, to be run with the socket of `listen`. Ctrl-C ends it and raises KeyboardInterrupt."""
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
