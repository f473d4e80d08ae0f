"""A client that asks one tenant so many times a second, over one connection, and cares for nothing else."""

import socket
from time import monotonic, sleep
from typing import Any


def make_noise(port: int, tenant_id: str, rate: int, made: Any) -> None:
    """Until it is killed; `made` counts the answers."""
    message = (f"GET /.well-known/jwks.json HTTP/1.1\r\nHost: {tenant_id}.localhost:8000\r\n\r\n").encode()
    with socket.create_connection(("127.0.0.1", port)) as connection:
        began = monotonic()
        while True:
            connection.sendall(message)
            connection.recv(65536)
            made.value += 1
            sleep(max(0.0, began + made.value / rate - monotonic()))
