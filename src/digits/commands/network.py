"""A port of this machine that no other machine can reach."""

import os
import socket

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
