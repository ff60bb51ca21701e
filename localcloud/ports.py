"""Free ports on the loopback interface."""

from __future__ import annotations

import socket

HOST = "127.0.0.1"


def free_ports(preferred: list[int]) -> list[int]:
    """As many free ports as `preferred` has entries: each preferred one where it is free."""
    held: list[socket.socket] = []
    try:
        for port in preferred:
            held.append(_bind(port) or _bind_any())
        return [int(holder.getsockname()[1]) for holder in held]
    finally:
        for holder in held:
            holder.close()


def _bind(port: int) -> socket.socket | None:
    holder = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    # As servers do: a port in TIME_WAIT is free.
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        holder.bind((HOST, port))
    except OSError:
        holder.close()
        return None
    return holder


def _bind_any() -> socket.socket:
    holder = _bind(0)
    if holder is None:
        raise OSError("no free port on 127.0.0.1")
    return holder
