"""The live explorer's server: answers its own page alone, and opens no file that a request names."""

import io
import json
import logging
import socket
import socketserver
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Never
from urllib.parse import urlsplit

from zerosum.errors import UserError, one_line, printable
from zerosum.explorer.address import family_of
from zerosum.explorer.desk import Desk, RefusedError, StoppedError
from zerosum.explorer.live import LARGEST_UPLOAD, Live
from zerosum.explorer.live_page import make_live_page
from zerosum.report.page import read_beside, read_own

log = logging.getLogger("zerosum")

MOST_CONNECTIONS = 32
LARGEST_BODY = {"/invert": LARGEST_UPLOAD * 4 // 3 + 1000}
"""Bytes of a request, where it may have more than any other"""
LARGEST_OTHER = 1_000_000
SECONDS = 30
"""That a whole request may take to arrive, and its answer to leave"""
DRAINED = 1
"""Seconds that what follows a refused request is read"""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class Server(ThreadingHTTPServer):
    """Pages and answers by their path; a bounded number of connections at once."""

    daemon_threads = True

    def __init__(self, host: str, port: int, live: Live) -> None:
        self.live = live
        self.name = printable(live.model.name)
        self.desk = Desk()
        self.connections = threading.BoundedSemaphore(MOST_CONNECTIONS)
        here = Path(__file__).parent
        styles = (read_own("page.css"), read_beside(here / "explorer.css"), read_beside(here / "live.css"))
        self.pages = {
            "/": ("text/html", ""),
            "/live.js": ("text/javascript", read_beside(here / "live.js")),
            "/live.css": ("text/css", "".join(styles)),
        }
        self.address_family = family_of(host)
        self.host = host
        super().__init__((host, port), Handler)
        self.names = {"localhost", host.lower()} | (set() if self.is_local else names_of_machine())
        self.pages["/"] = ("text/html", make_live_page(live, self.is_local))

    def server_bind(self) -> None:
        """Without the name of the address, which http.server asks the network for."""
        socketserver.TCPServer.server_bind(self)

    def server_close(self) -> None:
        """The worker too."""
        super().server_close()
        self.desk.close()

    @property
    def port(self) -> int:
        """That it listens to."""
        return self.server_address[1]  # type: ignore[return-value]

    @property
    def address(self) -> str:
        """What a browser opens, on another machine where others reach it."""
        host = find_address(self.address_family) if self.is_everywhere else self.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    @property
    def is_everywhere(self) -> bool:
        """Whether it listens at every address of the machine, as 0.0.0.0, which is none that one could open."""
        return ip_address(self.server_address[0]).is_unspecified  # type: ignore[arg-type]

    @property
    def is_local(self) -> bool:
        """Whether this machine alone reaches it."""
        return ip_address(self.server_address[0]).is_loopback  # type: ignore[arg-type]

    def is_own(self, host: str) -> bool:
        """Whether a Host header may name this server: another name may have been pointed at it (DNS rebinding).

        Ports may be others, since a tunnel may end here.
        """
        with suppress(ValueError):
            name = urlsplit(f"//{host}").hostname or ""
            if name in self.names:
                return True
            return ip_address(name).is_loopback if self.is_local else bool(ip_address(name))
        return False

    def process_request(self, request: Any, client_address: Any) -> None:
        """In a thread of its own, unless there are too many."""
        if self.connections.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Count the connection out."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.connections.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: a browser that goes away is none."""


class Arriving(io.RawIOBase):
    """What a connection receives until a deadline, however slowly it comes: a timeout of the socket is of one read."""

    def __init__(self, connection: socket.socket, seconds: float) -> None:
        self.connection = connection
        self.deadline = time.monotonic() + seconds

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Receive some bytes, 0 at the end; TimeoutError after the deadline."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self.connection.settimeout(left)
        return self.connection.recv_into(buffer)


class Handler(BaseHTTPRequestHandler):
    """One request; no path of it is ever opened."""

    server: Server
    seconds = SECONDS
    server_version = "zerosum"
    sys_version = ""

    def setup(self) -> None:
        """Read with a deadline."""
        super().setup()
        self.rfile.close()
        self.rfile = io.BufferedReader(Arriving(self.connection, self.seconds))  # type: ignore[assignment]

    def do_GET(self) -> None:
        """A page."""
        self.answer(self.find_page)

    def do_HEAD(self) -> None:
        """The headers of a page."""
        self.answer(self.find_page)

    def do_POST(self) -> None:
        """An answer of the model."""
        self.answer(self.find_answer)

    def answer(self, find: Callable[[], tuple[str, bytes]]) -> None:
        """Send what is found, or a sentence that says why nothing is."""
        try:
            self.check_origin()
            self.send(HTTPStatus.OK, *find())
        except RefusedError as refusal:
            self.refuse(refusal.status, str(refusal))
        except UserError as error:
            self.refuse(HTTPStatus.BAD_REQUEST, str(error))
        except (StoppedError, CancelledError):
            self.refuse(HTTPStatus.SERVICE_UNAVAILABLE, "the explorer has ended")
        except OSError:  # the browser has gone
            self.close_connection = True
        except Exception as error:
            log.warning("%s: %s: %s", self.path[:40], type(error).__name__, one_line(error))
            self.refuse(HTTPStatus.INTERNAL_SERVER_ERROR, f"this could not be computed ({one_line(error)})")

    def check_origin(self) -> None:
        """RefusedError unless the request is for this server, and from its own page."""
        hosts = self.headers.get_all("Host", [])
        if len(hosts) != 1 or not self.server.is_own(hosts[0]):
            raise RefusedError(HTTPStatus.FORBIDDEN, f"this is {self.server.address}: open it by that address")
        origin = self.headers.get("Origin")
        if origin is not None and origin != f"http://{hosts[0]}":
            raise RefusedError(HTTPStatus.FORBIDDEN, "a page from elsewhere may not ask the explorer")
        if self.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin") and self.command == "POST":
            raise RefusedError(HTTPStatus.FORBIDDEN, "a page from elsewhere may not ask the explorer")

    def find_page(self) -> tuple[str, bytes]:
        """Type and content."""
        path = self.path.partition("?")[0]
        if path in self.server.live.answers:
            raise RefusedError(HTTPStatus.METHOD_NOT_ALLOWED, "ask this by POST")
        if path not in self.server.pages:
            raise RefusedError(HTTPStatus.NOT_FOUND, "there is no such page: open /")
        kind, text = self.server.pages[path]
        return f"{kind}; charset=utf-8", text.encode()

    def find_answer(self) -> tuple[str, bytes]:
        """JSON of the model's answer."""
        if self.path in self.server.pages:
            raise RefusedError(HTTPStatus.METHOD_NOT_ALLOWED, "ask this by GET")
        if self.path not in self.server.live.answers:
            raise RefusedError(HTTPStatus.NOT_FOUND, "there is no such question")
        asked = parse(self.read_body())
        found = self.server.desk.ask(self.server.live.answers[self.path], asked, self.is_gone)
        return "application/json", json.dumps(found, allow_nan=False).encode()

    def read_body(self) -> bytes:
        """All of it; RefusedError before anything is read if it is too long or no JSON."""
        if self.headers.get_content_type() != "application/json":
            raise RefusedError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send application/json")
        lengths = self.headers.get_all("Content-Length", [])
        is_plain = len(lengths) == 1 and lengths[0].isascii() and lengths[0].isdigit()
        if not is_plain or "Transfer-Encoding" in self.headers:
            raise RefusedError(HTTPStatus.LENGTH_REQUIRED, "send one Content-Length")
        largest = LARGEST_BODY.get(self.path, LARGEST_OTHER)
        if len(lengths[0]) > 12 or int(lengths[0]) > largest:
            raise RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"send at most {largest:,} bytes")
        body = self.rfile.read(int(lengths[0]))
        if len(body) != int(lengths[0]):
            raise RefusedError(HTTPStatus.BAD_REQUEST, "the request ends too early")
        return body

    def is_gone(self) -> bool:
        """Whether the browser has closed the connection meanwhile."""
        self.connection.settimeout(0)
        try:
            return not self.connection.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def refuse(self, status: HTTPStatus, sentence: str) -> None:
        """Send a sentence, and close: what else was sent is not read as a request."""
        self.close_connection = True
        with suppress(OSError):
            self.send(status, "application/json", json.dumps({"error": sentence}).encode())
            self.drain()

    def drain(self) -> None:
        """Read a little of what is still being sent: a connection that is closed before takes the sentence with it."""
        self.connection.shutdown(socket.SHUT_WR)
        rest = Arriving(self.connection, DRAINED)
        left, buffer = 2 * LARGEST_UPLOAD, bytearray(65536)
        while left > 0 and (count := rest.readinto(buffer)):
            left -= count

    def send(self, status: HTTPStatus, kind: str, content: bytes) -> None:
        """Headers and content."""
        self.connection.settimeout(self.seconds)  # of all that is sent
        self.send_response(status)
        for name, value in {**HEADERS, "Content-Type": kind, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What http.server refuses by itself, as a sentence; the request may be no HTTP at all."""
        self.refuse(HTTPStatus(code), "this request is not understood")

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: requests are the browser's, and their text anybody's."""


def names_of_machine() -> set[str]:
    """By which others on its network may know this machine."""
    name = socket.gethostname().lower()
    return {name, f"{name}.local", socket.getfqdn().lower()}


def find_address(family: int) -> str:
    """The machine's own address on the way to other machines, to which nothing is sent; its name without a network."""
    elsewhere = "2001:db8::1" if family == socket.AF_INET6 else "192.0.2.1"  # of documentation
    with socket.socket(family, socket.SOCK_DGRAM) as plain:
        try:
            plain.connect((elsewhere, 9))
            return plain.getsockname()[0]
        except OSError:
            return socket.gethostname()


def parse(body: bytes) -> dict[str, Any]:
    """A JSON object without NaN; RefusedError if it is none."""

    def refuse_constant(name: str) -> Never:
        raise ValueError(f"{name} is no number")

    try:
        found = json.loads(body.decode(), parse_constant=refuse_constant)
    except (ValueError, RecursionError) as error:
        raise RefusedError(HTTPStatus.BAD_REQUEST, f"this is no JSON ({one_line(error)})") from None
    if not isinstance(found, dict):
        raise RefusedError(HTTPStatus.BAD_REQUEST, "send a JSON object")
    return found
