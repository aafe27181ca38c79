"""A server of an app in this process."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any

from digits.commands.http_server import make_server
from digits.commands.network import listen


@contextmanager
def running(app: Any, port: int = 0) -> Iterator[str]:
    """Serve an app until the block ends; gives the address."""
    server = make_server(app)
    with listen(port) as listener:
        thread = Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()
