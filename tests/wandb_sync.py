"""`wandb sync` of the parts of an offline run, by a server that keeps the rows as W&B's does."""

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from wandb_server_lost import ANSWER, BUCKET

from zerosum.training.csv_logger import CSVLogger
from zerosum.training.wandb_logger import wandb_logger

RESUMED = {"historyTail": "[]", "eventsTail": "[]", "summaryMetrics": "{}", "wandbConfig": '{"t": 1}', "tags": []}
RESUMED |= {"eventsLineCount": 0, "logLineCount": 0, "notes": None}


class Keeping(BaseHTTPRequestHandler):
    """Keeps the rows of a run, each at the place that the client names, and says how many there are."""

    rows: list[str] = []  # noqa: RUF012

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if "file_stream" in self.path:
            part = json.loads(body).get("files", {}).get("wandb-history.jsonl", {"offset": 0, "content": []})
            self.rows[part["offset"] : part["offset"] + len(part["content"])] = part["content"]
        text = json.dumps({} if "file_stream" in self.path else {"data": self.answer(body)}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def answer(self, body):
        files = {"createRunFiles": {"runID": "b", "uploadHeaders": [], "files": []}}
        known = {"upsertBucket": {"bucket": BUCKET, "inserted": not self.rows}}
        if b"RunResumeStatus" in body and self.rows:
            bucket = {**BUCKET, **RESUMED, "historyLineCount": len(self.rows)}
            known["model"] = {"id": "p", "name": "zerosum", "entity": {"id": "e", "name": "me"}, "bucket": bucket}
        return {**ANSWER, **files, **known}

    def log_message(self, *_):
        pass


def test_the_parts_of_a_resumed_run_become_one(tmp_path, monkeypatch):
    """Without resume="allow" W&B would write the rows of the second part over those of the first."""
    monkeypatch.setenv("WANDB_MODE", "offline")
    for part in ([10, 20, 30, 40], [30, 40, 50, 60]):
        loggers = [CSVLogger(str(tmp_path)), wandb_logger(str(tmp_path))]
        for images in part:
            for logger in loggers:
                logger.log_metrics({"images": images})
        loggers[1].finalize("success")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Keeping)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    environment = {name: value for name, value in os.environ.items() if name != "WANDB_MODE"}
    environment |= {"WANDB_BASE_URL": f"http://127.0.0.1:{server.server_port}", "WANDB_API_KEY": "0" * 40}
    command = [sys.executable, "-m", "wandb", "sync", "--yes", *map(str, (tmp_path / "wandb").glob("offline-run-*"))]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert [json.loads(row)["_step"] for row in Keeping.rows] == [10, 20, 30, 40, 50, 60]
