"""Two hosts on this machine: network namespaces that share one link, and nothing else of the network."""

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

ADDRESSES = ("10.77.77.1", "10.77.77.2")


@dataclass(frozen=True)
class Host:
    """A network namespace with one address; without a name, this machine."""

    name: str
    address: str

    def command(self, *command: str) -> list[str]:
        """What to run so that `command` runs on this host."""
        return ["ip", "netns", "exec", self.name, *command] if self.name else [*command]

    def link(self, state: str) -> None:
        """Set the link `up` or `down`."""
        _ip("-n", self.name, "link", "set", "wire", state)


LOOPBACK = Host("", "127.0.0.1")


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


@contextmanager
def two_hosts() -> Iterator[Sequence[Host]]:
    """Two hosts that reach each other, until the block ends."""
    hosts = [Host(f"digits-{os.getpid()}-{number}", address) for number, address in enumerate(ADDRESSES)]
    try:
        for host in hosts:
            _ip("netns", "add", host.name)
        _ip("-n", hosts[0].name, "link", "add", "wire", "type", "veth", "peer", "name", "wire", "netns", hosts[1].name)
        for host in hosts:
            _ip("-n", host.name, "address", "add", f"{host.address}/24", "dev", "wire")
            _ip("-n", host.name, "link", "set", "lo", "up")
            host.link("up")
        yield hosts
    finally:
        for host in hosts:
            subprocess.run(["ip", "netns", "delete", host.name], check=False)
