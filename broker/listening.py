"""The socket that a role listens on, and what to say when it cannot be had."""

import socket

from broker.supervisor.errors import PortTaken


def listen(host: str, port: int, role: str, variable: str) -> socket.socket:
    """The bound socket; PortTaken names the role, the reason and the variable that chooses another port."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as problem:
        listener.close()
        raise PortTaken(
            f"The {role} cannot listen on {host}:{port} ({problem.strerror}). Choose another port with {variable} or "
            "another address with MEDINA_HOST."
        ) from problem
    return listener
