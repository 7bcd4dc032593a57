"""The address that the live explorer listens at, tried without torch: before a model is loaded for nothing."""

import errno
import socket

from zerosum.errors import UserError, one_line


def try_address(host: str, port: int) -> None:
    """UserError at an address that cannot be opened now."""
    with socket.socket(family_of(host)) as plain:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as http.server does
        try:
            plain.bind((host, port))
        except OSError as error:
            raise cannot_open(error, host, port) from None


def family_of(host: str) -> socket.AddressFamily:
    """That of a number with colons, or of any other address."""
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def cannot_open(error: OSError, host: str, port: int) -> UserError:
    """What to do where another program has the port, or where there is no such host."""
    if error.errno == errno.EADDRINUSE:
        other = port + 1 if port < 65535 else port - 1
        return UserError(f"port={port} is taken by another program: choose another, as in port={other}")
    return UserError(f"host={host} port={port} cannot be opened ({one_line(error)}): choose others")
