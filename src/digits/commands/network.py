"""A port of this machine that no other machine can reach, and a server on it."""

import os
import socket
from typing import Any

import uvicorn

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
