"""The live explorer: a page and a small server for it, on this machine alone unless told otherwise."""

import signal
from contextlib import suppress

from zerosum.explorer.address import cannot_open
from zerosum.explorer.live import Live
from zerosum.explorer.options import check_serve
from zerosum.explorer.server import Server
from zerosum.explorer.subject import Found, Subject


class Serve:
    """Serves the live explorer at `host` and `port` until Ctrl-C.

    `count` is the number of principal directions with a slider, `steps` those of an inversion. Whoever reaches another
    host than 127.0.0.1 can use the model.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 8000, count: int = 5, steps: int = 300) -> None:
        check_serve(host, port, count, steps)
        self.host = host
        self.port = port
        self.count = count
        self.steps = steps

    def __call__(self, subject: Subject) -> Found:
        """Answer until Ctrl-C; nothing is written."""
        live = Live(subject, self.count, self.steps)
        with open_server(self.host, self.port, live) as server:
            print(f"{server.address} has the live explorer of {server.name}; Ctrl-C ends it.", flush=True)
            if not server.is_local:
                print(f"host={self.host}: whoever reaches this machine can use the model.", flush=True)
            with suppress(KeyboardInterrupt):
                server.serve_forever()
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # ending takes one layer of the network, and is under way
        done = server.desk.done
        return Found({}, [f"Ended after {done:,} answer{'' if done == 1 else 's'}."], [])


def open_server(host: str, port: int, live: Live) -> Server:
    """Bind it; UserError where that is not possible."""
    try:
        return Server(host, port, live)
    except OSError as error:
        raise cannot_open(error, host, port) from None
