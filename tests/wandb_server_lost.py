"""W&B online, and the server goes away."""

import json
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from zerosum.training import wandb_logger as loggers

USER = {"id": "u", "username": "me", "email": "a@b.c", "entity": "me", "flags": "{}", "teams": {"edges": []}}
PROJECT = {"id": "p", "name": "zerosum", "entity": {"id": "e", "name": "me"}}
BUCKET = {"id": "b", "name": "run", "displayName": "run", "config": "{}", "historyLineCount": 0, "project": PROJECT}
ANSWER = {
    "viewer": {**USER, "apiKeys": {"edges": []}},
    "serverInfo": {"cliVersionInfo": {"max_cli_version": "0.99.0"}, "features": []},
    "upsertBucket": {"bucket": BUCKET, "inserted": True},
    "model": {"bucket": None},
}


class Server(BaseHTTPRequestHandler):
    """Enough of W&B's server for a run to begin."""

    def do_POST(self):
        self.rfile.read(int(self.headers.get("content-length", 0)))
        text = json.dumps({"data": ANSWER}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_PUT = do_POST  # noqa: N815

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    made = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{made.server_port}")
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    return made


def test_a_server_that_goes_away_costs_no_row_and_a_bounded_wait(server, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(loggers, "FINISH_SECONDS", 3.0)
    logger = loggers.wandb_logger(str(tmp_path))
    assert not logger.experiment.offline
    for step in range(5):
        logger.log_metrics({"images": step, "fid": 123_000 + step}, step=step)
    server.shutdown()
    server.server_close()
    began = time.perf_counter()
    for step in range(5, 40):
        logger.log_metrics({"images": step, "fid": 123_000 + step}, step=step)
    assert time.perf_counter() - began < 5
    logger.finalize("success")
    assert time.perf_counter() - began < 30
    loggers.import_wandb().teardown()  # what the end of the program does
    (path,) = (tmp_path / "wandb").glob("run-*/run-*.wandb")
    expected = [123_000 + step for step in range(40)]
    kept: list[float] = []
    while len(kept) < 40 and time.perf_counter() - began < 90:  # W&B's own process may still be writing
        kept = rows_of(path)
        time.sleep(1)
    assert kept == expected


def rows_of(path) -> list[float]:
    """The logged values in W&B's file; none while it cannot be read."""
    inspect = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(path)]
    printed = subprocess.run(inspect, capture_output=True, text=True).stdout
    records = [json.loads(line) for line in printed.splitlines()]
    return [record["history"]["item"]["fid"] for record in records if record["type"] == "history"]
