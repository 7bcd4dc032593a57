"""The live explorer on a server in this process: its answers against the model's own, and what strangers may send."""

import base64
import http.client
import io
import json
import socket
import threading
import time
import zlib
from contextlib import contextmanager, suppress

import numpy as np
import pytest
import torch
from conftest import verb
from hypothesis import given as given_any
from hypothesis import settings
from hypothesis import strategies as st
from PIL import Image
from test_explorer import SCALES, Linear, given
from test_trained import STYLEGAN2, conditional, untrained  # noqa: F401 (a fixture)

from zerosum.errors import UserError
from zerosum.explorer.code import KEYS, read_code
from zerosum.explorer.desk import MOST_WAITING, Desk, RefusedError, StoppedError
from zerosum.explorer.live import LARGEST_UPLOAD, Live, as_png
from zerosum.explorer.serve import Serve, open_server
from zerosum.explorer.server import Handler
from zerosum.explorer.subject import Subject
from zerosum.pixels import to_uint8
from zerosum.sampling import arc, interpolate, latents


def live_of(model, folder, **options):
    return Live(Subject(model, folder / "generator.safetensors", folder), **options)


@pytest.fixture(scope="module")
def live(conditional, tmp_path_factory):  # noqa: F811
    return live_of(conditional, tmp_path_factory.mktemp("live"), count=2, steps=30)


@pytest.fixture(scope="module")
def server(live):
    with open_server("127.0.0.1", 0, live) as opened:
        threading.Thread(target=opened.serve_forever, daemon=True).start()
        yield opened
        opened.shutdown()


def pixels(source):
    """(C, H, W) uint8 of a data URI."""
    with Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2]))) as opened:
        array = np.array(opened)
    return torch.from_numpy(array[None] if array.ndim == 2 else array.transpose(2, 0, 1).copy())


def expect(source, image):
    """Equal, but for a pixel that lies between two levels."""
    difference = pixels(source).int() - to_uint8(image).int()
    assert difference.abs().max() <= 1 and (difference != 0).double().mean() < 0.01


# Answers


@pytest.mark.parametrize(("label", "truncation"), [(2, 1.0), (1, 0.5), (None, 1.0)])
def test_the_image_of_a_seed_is_that_of_sample(live, label, truncation):
    found = live.show({"seed": 5, "condition": label, "truncation": truncation})
    expect(found["image"], live.model.sample([5], labels=label, truncation=truncation)[0])
    own = int(live.model.draw_condition([5])[0]) if label is None else label
    assert (found["code"]["seed"], found["code"]["condition"], found["note"]) == (5, own, "")
    assert found["code"]["z"] == latents([5], 8)[0].tolist()


def test_seeds_are_those_of_sample_in_one_condition(live):
    found = live.show_seeds({"seed": 3, "condition": 1})
    assert found["seeds"] == list(range(3, 19))
    for source, image in zip(found["images"], live.model.sample(range(3, 19), labels=1), strict=True):
        expect(source, image)


def test_a_code_that_was_saved_gives_the_same_image(live):
    """Through JSON, of each kind of place and with every setting."""
    directions = {"label": 3, "amounts": [1.5, -2.0]}
    for place in ({"seed": 7}, {"seeds": [1, 2], "t": 0.3}, {"z": [0.1] * 8, "condition": [0.2, 0.3, 0.5, 0.0]}):
        first = live.show({**place, "truncation": 0.7, "directions": directions})
        again = live.show(json.loads(json.dumps(first["code"])))
        assert again["image"] == first["image"] and again["code"] == first["code"]
        assert first["image"] != live.show({**place, "truncation": 0.7})["image"]
    other = live.show({**first["code"], "generator": "0" * 16})
    assert "another generator" in other["note"]


def test_a_mixture_of_one_label_is_that_label(live):
    found = live.show({"seed": 7, "condition": [0, 0, 1, 0]})
    assert found["code"]["condition"] == 2 and found["image"] == live.show({"seed": 7, "condition": 2})["image"]
    assert live.at(torch.zeros(8), torch.eye(4)[3:]).describe()["condition"] == 3
    assert live.at(torch.zeros(8), torch.tensor([[0.0, 0.5, 0.5, 0.0]])).describe()["condition"] == [0, 0.5, 0.5, 0]


def test_directions_move_codes_as_traverse_does(live):
    found = live.describe_directions({"label": 2})
    assert len(found["names"]) == 2 and found["label"] == 2
    vectors = live.directions(2).vectors
    code = latents([4], 8) + 2 * vectors[0] - vectors[1]
    moved = live.show({"seed": 4, "condition": 1, "directions": {"label": 2, "amounts": [2, -1]}})
    expect(moved["image"], live.model.decode(code, torch.tensor([1]))[0])


def test_between_two_seeds_z_is_on_the_arc_and_labels_are_mixed(live):
    code = read_code({"seeds": [1, 2], "t": 0.25}, live.model)
    z = latents([1, 2], 8)
    torch.testing.assert_close(code.values, interpolate(z[0], z[1], 5)[1])
    torch.testing.assert_close(arc(z[0], z[1], torch.tensor([0.0, 1.0])), z)
    one, other = live.model.draw_condition([1, 2]).tolist()
    expected = torch.zeros(4)
    expected[one] += 0.75
    expected[other] += 0.25
    torch.testing.assert_close(code.condition[0], expected)
    assert (
        live.show({"seeds": [1, 2], "t": 0, "condition": 3})["image"] == live.show({"seed": 1, "condition": 3})["image"]
    )


def test_styles_are_explored_and_saved(composed, tmp_path):
    model = untrained(composed, tmp_path, *STYLEGAN2, "labels=own", "dataset=digits", shape=(3, 16, 16), classes=10)
    live = live_of(model, tmp_path, count=2, steps=3)
    found = live.show({"seed": 3, "condition": 4, "truncation": 0.5})
    expect(found["image"], model.sample([3], labels=4, truncation=0.5)[0])
    upload = live.invert({"image": found["image"].partition(",")[2], "label": 4})
    assert "w" in upload["code"] and "z" not in upload["code"]
    again = live.show({**upload["code"], "directions": {"label": 4, "amounts": [0.5]}})
    assert live.show(again["code"])["image"] == again["image"]


def test_an_uploaded_image_of_the_model_is_found_again(tmp_path):
    model = given(Linear([1.0, 0.8, 0.6]))
    live = live_of(model, tmp_path, steps=300)
    source = as_png(model.sample([5])[0])
    found = live.invert({"image": source.partition(",")[2]})
    assert torch.equal(pixels(found["target"]), pixels(source))
    difference = pixels(live.show(found["code"])["image"]).int() - pixels(source).int()
    assert difference.abs().max() <= 4  # the prior pulls a little


def test_arithmetic_gives_codes_of_its_results(finished_run):
    root = str(finished_run.parent / "data")
    from zerosum.runs.trained import load

    model = load(finished_run, "last")
    live = Live(Subject(model, finished_run, finished_run / "explorer", root))
    found = live.add({"expression": "bright - dark + dark"})
    assert [term["text"] for term in found["terms"]] == ["bright", "- dark", "+ dark"] and found["goal"] == "thick"
    assert len(found["codes"]) == 9 and "Of 200 sums" in found["said"]
    assert live.show(found["codes"][2])["image"] == found["images"][2]
    with pytest.raises(UserError, match="cancel one another"):
        live.add({"expression": "bright - bright"})


# What a request may not say


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({}, "says no place"),
        ({"seed": True}, "is no seed"),
        ({"seed": 1.0}, "is no seed"),
        ({"seed": -1}, "is no seed"),
        ({"seed": 10**400}, r"0… is no seed: give whole numbers, 0 or more$"),
        ({"seed": 1, "truncation": 10**400}, "truncation: give a number of at most 2"),
        ({"z": [10**400] * 8, "condition": 0}, "z: give a number of at most 1000"),
        ({"seed": 1, "condition": 10**400}, r"labels=1000*….*labels 0 to 3"),
        ({"seed": "<b>"}, "is no seed"),
        ({"seed": 1, "truncation": "1"}, "truncation: give a number"),
        ({"seed": 1, "truncation": 1e999}, "truncation: give a number"),
        ({"seed": 1, "truncation": -1}, "truncation=-1"),
        ({"seed": 1, "condition": 4}, "labels 0 to 3"),
        ({"seed": 1, "condition": [1, 2]}, "a list of 4 numbers"),
        ({"seed": 1, "condition": {"a": 1}}, "a list of 4 numbers"),
        ({"z": [0.0] * 7, "condition": 0}, "a list of 8 numbers"),
        ({"z": [float("nan")] * 8, "condition": 0}, "z: give a number"),
        ({"z": [1e9] * 8, "condition": 0}, "at most 1000"),
        ({"z": [0.0] * 8}, "condition: the code has none"),
        ({"w": [0.0] * 8, "condition": 0}, "takes z"),
        ({"seeds": [1], "t": 0.5}, "give two of them"),
        ({"seeds": [1, 2], "t": 2}, "at most 1"),
        ({"seeds": [1, 2]}, "t: give a number"),
        ({"seed": 1, "sed": 2}, "Did you mean seed"),
        ({"seed": 1, "format": "pickle"}, "is no 'zerosum code 1'"),
        ({"seed": 1, "directions": [1]}, "give a label, or null"),
        ({"seed": 1, "directions": {"label": 9, "amounts": []}}, "labels 0 to 3"),
        ({"seed": 1, "directions": {"label": 0, "amounts": [1, 1, 1]}}, "this explorer has 2"),
        ({"seed": 1, "directions": {"label": 0, "amounts": [None]}}, "directions: give a number"),
    ],
)
def test_a_wrong_code_is_one_sentence(live, asked, message):
    with pytest.raises(UserError, match=message):
        live.show(asked)


def test_a_seed_stands_beside_its_own_z_alone(live):
    code = live.show({"seed": 3, "condition": None})["code"]
    assert live.show({**code, "condition": None})["code"] == code  # the seed's own condition
    code["z"][0] += 1
    assert live.show(code)["code"]["seed"] is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=9) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3),
    max_leaves=12,
)


@settings(max_examples=100, deadline=None)
@given_any(st.dictionaries(st.sampled_from([*KEYS, "other"]), JSON, max_size=6))
def test_no_json_makes_more_than_a_sentence(live, asked):
    with suppress(UserError):
        assert live.show(asked)["image"]
    with suppress(UserError):
        assert len(live.show_seeds(asked)["images"]) == 16


def bomb(side):
    """A PNG of side x side pixels in 100 bytes, most of which it does not even have."""
    header = side.to_bytes(4, "big") * 2 + bytes([8, 0, 0, 0, 0])

    def chunk(kind, data):
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(9000))) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<svg onload=alert(1)>", "is no image"),
        (b"GIF89a", "is no image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0", "is no image"),
        (bomb(6_000), "more than 33,554,432 pixels"),
        (bomb(30_000), "decompression bomb"),
        (b"", "0 bytes"),
        (bytes(LARGEST_UPLOAD + 1), "5,000,001 bytes"),
    ],
)
def test_what_is_no_image_is_refused(live, content, message):
    with pytest.raises(UserError, match=message):
        live.invert({"image": base64.b64encode(content).decode()})
    for image in (None, 3, "no base64!", ["a"]):
        with pytest.raises(UserError, match=r"image: (give its bytes|this is no base64)"):
            live.invert({"image": image})


# The server


def ask(server, path, body=b"{}", method="POST", **headers):
    """(status, headers, text) of one request, with headers that may be wrong."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.putrequest(method, path, skip_host=True)
    usual = {"Host": f"127.0.0.1:{server.port}", "Content-Type": "application/json", "Content-Length": str(len(body))}
    for name, value in {**usual, **{key.replace("_", "-"): value for key, value in headers.items()}}.items():
        if value is not None:
            connection.putheader(name, value)
    connection.endheaders(body)
    answer = connection.getresponse()
    found = answer.status, dict(answer.getheaders()), answer.read().decode()
    connection.close()
    return found


def test_the_page_has_no_inline_script_and_the_policy_allows_none(server):
    status, headers, text = ask(server, "/", method="GET")
    assert status == 200 and headers["Content-Type"] == "text/html; charset=utf-8"
    assert "script-src 'self'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert "style=" not in text and " on" + "click" not in text and "<script>" not in text
    for path, kind in (("/live.js", "text/javascript"), ("/live.css", "text/css")):
        status, headers, text = ask(server, path, method="GET")
        assert status == 200 and headers["Content-Type"].startswith(kind) and len(text) > 1000
        assert headers["X-Content-Type-Options"] == "nosniff"


def test_a_query_is_no_other_page_and_a_head_has_no_body(server):
    status, headers, text = ask(server, "/?x=1", method="GET")
    assert status == 200 and text == ask(server, "/", method="GET")[2] and "on this machine" in text
    status, found, nothing = ask(server, "/", method="HEAD")
    assert (status, nothing, found["Content-Length"]) == (200, "", headers["Content-Length"])


def test_the_server_answers_as_the_model_does(server, live):
    status, _, text = ask(server, "/image", json.dumps({"seed": 3}).encode(), Origin=f"http://127.0.0.1:{server.port}")
    assert status == 200 and json.loads(text) == live.show({"seed": 3})
    for host in ("localhost", "127.0.0.1", "LOCALHOST:9"):  # a tunnel may have another port
        assert ask(server, "/image", b'{"seed": 3}', Host=host)[0] == 200


@pytest.mark.parametrize(
    ("change", "status", "message"),
    [
        ({"Host": "evil.example"}, 403, "open it by that address"),
        ({"Host": "127.0.0.1.evil.example"}, 403, "open it by that address"),
        ({"Host": "192.168.0.9"}, 403, "open it by that address"),
        ({"Host": "[::1"}, 403, "open it by that address"),
        ({"Host": None}, 403, "open it by that address"),
        ({"Origin": "http://evil.example"}, 403, "from elsewhere"),
        ({"Origin": "null"}, 403, "from elsewhere"),
        ({"Sec-Fetch-Site": "cross-site"}, 403, "from elsewhere"),
        ({"Content-Type": "text/plain"}, 415, "send application/json"),
        ({"Content-Length": "99999999999"}, 413, "at most 1,000,000 bytes"),
        ({"Content-Length": "9" * 5000}, 413, "at most"),
        ({"Content-Length": "-1"}, 411, "one Content-Length"),
        ({"Content-Length": None}, 411, "one Content-Length"),
        ({"Transfer-Encoding": "chunked"}, 411, "one Content-Length"),
        ({"method": "GET", "path": "/image"}, 405, "by POST"),
        ({"path": "/"}, 405, "by GET"),
        ({"path": "/../../etc/passwd"}, 404, "no such"),
        ({"method": "GET", "path": "/../../etc/passwd"}, 404, "no such"),
        ({"method": "GET", "path": "/%2e%2e/live.py"}, 404, "no such"),
        ({"method": "DELETE"}, 501, "not understood"),
        ({"body": b"not json"}, 400, "no JSON"),
        ({"body": b"[1]"}, 400, "a JSON object"),
        ({"body": b'{"seed": NaN}'}, 400, "NaN is no number"),
        ({"body": b"[" * 100_000}, 400, "no JSON"),
        ({"body": b"\xff\xfe"}, 400, "no JSON"),
        ({"body": b'{"seed": 1e3}'}, 400, "is no seed"),
        ({"body": b'{"seed": ' + b"9" * 5000 + b"}"}, 400, "no JSON"),
    ],
)
def test_hostile_requests_get_a_sentence(server, change, status, message):
    change = dict(change)
    path, method, body = change.pop("path", "/image"), change.pop("method", "POST"), change.pop("body", b'{"seed": 1}')
    found, headers, text = ask(server, path, body, method, **change)
    assert (found, headers["Content-Type"]) == (status, "application/json") and message in json.loads(text)["error"]
    assert "Traceback" not in text and ask(server, "/image", b'{"seed": 1}')[0] == 200


def test_what_is_no_http_is_answered_and_long_uploads_get_their_sentence(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as plain:
        plain.sendall(b"\x16\x03\x01 hello\r\n\r\n")
        assert b"not understood" in plain.recv(65536)
    status, _, text = ask(server, "/invert", bytes(8_000_000))
    assert status == 413 and "at most" in text


def test_eight_wait_and_the_next_is_refused():
    """The model is held until nine have asked; all of those are answered, in turn."""
    desk, free, answers = Desk(), threading.Event(), []

    def answer(question):
        assert free.wait(30)
        return question

    threads = [
        threading.Thread(target=lambda n=n: answers.append(desk.ask(answer, n))) for n in range(1 + MOST_WAITING)
    ]
    for thread in threads:
        thread.start()
    while desk.places._value:  # all of them have a place
        time.sleep(0.001)
    with pytest.raises(RefusedError, match="8 requests are waiting"):
        desk.ask(answer, "one more")
    free.set()
    for thread in threads:
        thread.join()
    assert sorted(answers) == list(range(9)) and desk.done == 9
    assert desk.ask(answer, "again") == "again"
    desk.close()


def test_a_request_that_was_given_up_is_not_computed(server, live, monkeypatch):
    """The model is held by one request; a second one's connection is closed before its turn, a third one's is not."""
    begun, free, seen = threading.Event(), threading.Event(), []

    def answer(asked):
        seen.append(asked["seed"])
        begun.set()
        assert free.wait(30)
        return {}

    def waiting(count):
        while server.desk.places._value != 1 + MOST_WAITING - count:
            time.sleep(0.001)

    monkeypatch.setitem(live.answers, "/image", answer)
    threads = [threading.Thread(target=ask, args=(server, "/image", b'{"seed": %d}' % seed)) for seed in (1, 3)]
    threads[0].start()
    assert begun.wait(30)
    head = "POST /image HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port)) as given_up:
        given_up.sendall(f'{head}{{"seed": 2}}'.encode())
        waiting(2)
    threads[1].start()
    waiting(3)
    free.set()
    for thread in threads:
        thread.join()
    waiting(0)
    assert seen == [1, 3]


def test_a_connection_has_one_deadline_however_slowly_it_speaks(server, monkeypatch):
    """A byte now and then keeps a connection no longer open."""
    monkeypatch.setattr(Handler, "seconds", 0.3)
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as slow:
        for _ in range(10_000):
            try:
                slow.sendall(b"P")
                slow.settimeout(0.02)
                assert slow.recv(1) == b""
                break
            except TimeoutError:
                continue
            except ConnectionError:
                break
        else:
            raise AssertionError("it is still open")
    monkeypatch.undo()
    assert ask(server, "/image", b'{"seed": 1}')[0] == 200


def test_the_ninth_that_waits_gets_503(server, monkeypatch):
    for _ in range(1 + MOST_WAITING):
        assert server.desk.places.acquire(blocking=False)
    try:
        status, _, text = ask(server, "/image", b'{"seed": 1}')
    finally:
        for _ in range(1 + MOST_WAITING):
            server.desk.places.release()
    assert status == 503 and "try again soon" in text
    assert ask(server, "/image", b'{"seed": 1}')[0] == 200


def test_ending_stops_the_model_at_its_next_layer():
    desk, begun, found = Desk(), threading.Event(), []

    def answer(question):
        begun.set()
        layer = torch.nn.Linear(2, 2)
        while True:
            layer(torch.zeros(1, 2))

    def ask_it():
        with pytest.raises(StoppedError):
            desk.ask(answer, None)
        found.append(True)

    thread = threading.Thread(target=ask_it)
    thread.start()
    assert begun.wait(30)
    desk.close()
    thread.join(30)
    assert found == [True]
    torch.nn.Linear(2, 2)(torch.zeros(1, 2))  # elsewhere layers compute again


def test_an_address_on_a_network_is_answered_by_number_and_by_the_names_of_the_machine(live):
    with open_server("0.0.0.0", 0, live) as opened:
        assert opened.is_own(f"{socket.gethostname()}:80") and opened.is_own(opened.address.removeprefix("http://"))
        assert "0.0.0.0" not in opened.address and "on this machine" not in opened.pages["/"][1]
        assert not opened.is_local and opened.is_own("192.168.0.9:80") and opened.is_own("localhost")
        assert not opened.is_own("evil.example") and not opened.is_own("")


def test_ports_and_hosts_that_cannot_be_opened(live, server):
    with pytest.raises(UserError, match=f"port={server.port} is taken by another program"):
        open_server("127.0.0.1", server.port, live)
    with pytest.raises(UserError, match="cannot be opened"):
        open_server("203.0.113.1", 0, live)
    for port in (0, 65536, -1):
        with pytest.raises(UserError, match="choose one from 1 to 65535"):
            Serve(port=port)


def test_a_model_without_a_nonlinear_layer_and_strangers_names(tmp_path, monkeypatch, conditional):  # noqa: F811
    evil = "</script><img src=x onerror=alert(1)>"
    monkeypatch.setattr(conditional, "name", evil)
    monkeypatch.setitem(conditional.model.__dict__, "classes", (evil, "b", "c", "d"))
    from zerosum.explorer.live_page import make_live_page

    text = make_live_page(live_of(conditional, tmp_path))
    assert "<img src=x" not in text and "</script><img" not in text
    assert live_of(given(Linear(SCALES)), tmp_path).describe_directions({"label": None})["layer"] == "tanh"


@contextmanager
def killed_at_last(process):
    """Let a failed test end, which would wait for the process."""
    try:
        yield
    finally:
        process.kill()


@pytest.mark.slow
def test_the_verb_ends_at_an_interrupt_with_one_line(finished_run, tmp_path):
    import os
    import signal
    import subprocess
    import sys

    from conftest import ROOT

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable,
        str(ROOT / "explore.py"),
        f"run={finished_run}",
        "checkpoint=last",
        "serve",
        f"port={port}",
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    # A shell's background jobs ignore SIGINT, and so would their children.
    heed = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.default_int_handler)}
    with subprocess.Popen(command, cwd=tmp_path, env=environment, **pipes, **heed) as process, killed_at_last(process):
        assert f"http://127.0.0.1:{port} has the live explorer" in process.stdout.readline()
        said = verb(
            "explore.py", f"run={finished_run}", "checkpoint=last", "serve", f"port={port}", cwd=tmp_path, fails=True
        )
        assert "is taken by another program" in said
        process.send_signal(signal.SIGINT)
        printed, errors = process.communicate(timeout=60)
    assert (process.returncode, printed, errors) == (0, "Ended after 0 answers.\n", "")
