"""`download` against a server on this machine that behaves badly in every way we could think of."""

import contextlib
import hashlib
import http.server
import os
import threading

import pytest

from autograd_lite.datasets import download

BODY = bytes(range(256)) * 4096  # 1 MiB
MD5 = hashlib.md5(BODY).hexdigest()
SHA256 = hashlib.sha256(BODY).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    """The path says how to behave."""

    def log_message(self, *args):
        pass

    def do_GET(self):
        mode = self.path.strip("/").split("/")[0]
        server = self.server
        server.requests.append((mode, self.headers.get("Range")))
        calls = sum(m == mode for m, _ in server.requests)
        start = 0
        asked = self.headers.get("Range")
        if mode in ("good", "truncated", "slow", "lying", "liar", "chunked") and asked:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
        if mode == "missing":
            self.send_error(404)
            return
        if mode == "flaky" and calls == 1:
            self.send_error(503)
            return
        if mode == "redirect":
            self.send_response(302)
            self.send_header("Location", "/good/file")
            self.end_headers()
            return
        if mode == "drop" and calls == 1:
            self.connection.close()
            return
        body = BODY
        if mode == "wrong":
            body = b"x" * len(BODY)
        if mode == "empty":
            body = b""
        if mode == "lying" and asked:  # ignores where the range starts, but calls the answer partial
            start = 0
        if start >= len(body) and asked and mode != "norange":
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(body)}")
            self.end_headers()
            return
        partial = asked and mode not in ("norange", "wrong", "empty", "flaky", "drop", "short")
        self.send_response(206 if partial else 200)
        if partial:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        if mode != "unknown":
            self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        rest = body[start:]
        if mode == "truncated":  # always stops after at most 300 KB
            rest = rest[:300_000]
        if mode == "short" and calls == 1:
            rest = rest[: len(rest) // 2]
        with contextlib.suppress(ConnectionError):
            self.wfile.write(rest)


@pytest.fixture
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as served:
        served.requests = []
        served.daemon_threads = True
        thread = threading.Thread(target=served.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        served.url = f"http://127.0.0.1:{served.server_port}"
        yield served
        served.shutdown()
        thread.join()


def fetch(server, modes, path, **options):
    options = {"md5": MD5, "pause": 0.0, "timeout": 10.0, **options}
    return download([f"{server.url}/{mode}/file" for mode in modes.split()], path, **options)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "new" / "folder" / "file.bin"


def part(path):
    return path.with_name(path.name + ".part")


@pytest.mark.parametrize("digests", [{"md5": MD5}, {"sha256": SHA256, "md5": None}, {"md5": MD5, "sha256": SHA256}])
def test_complete(server, path, digests):
    assert fetch(server, "good", path, **digests) == path
    assert path.read_bytes() == BODY
    assert os.listdir(path.parent) == [path.name]


def test_present_file_is_not_fetched_again(server, path):
    fetch(server, "good", path)
    fetch(server, "good", path)
    assert len(server.requests) == 1


def test_present_file_that_differs_is_replaced_only_by_a_good_one(server, path):
    path.parent.mkdir(parents=True)
    path.write_bytes(b"something else")
    with pytest.raises(RuntimeError, match="404"):
        fetch(server, "missing", path)
    assert path.read_bytes() == b"something else"
    fetch(server, "good", path)
    assert path.read_bytes() == BODY


def test_no_checksum_no_download(server, path):
    with pytest.raises(ValueError, match="md5 or sha256"):
        download(f"{server.url}/good/file", path)
    assert not server.requests and not path.parent.exists()


def test_truncated_body_is_resumed(server, path):
    """A server that gives 300 KB at a time: four requests, each from where the last one stopped."""
    fetch(server, "truncated", path, attempts=4)
    assert path.read_bytes() == BODY
    assert [r for _, r in server.requests] == [None, "bytes=300000-", "bytes=600000-", "bytes=900000-"]


def test_truncated_for_good(server, path):
    with pytest.raises(RuntimeError, match=r"300000 of 1048576 bytes") as caught:
        fetch(server, "truncated", path, attempts=2)
    assert str(path) in str(caught.value) and MD5 in str(caught.value)
    assert not path.exists()
    assert part(path).stat().st_size == 600_000
    fetch(server, "good", path)  # goes on from there
    assert server.requests[-1] == ("good", "bytes=600000-")
    assert path.read_bytes() == BODY and not part(path).exists()


def test_server_without_ranges(server, path):
    path.parent.mkdir(parents=True)
    part(path).write_bytes(BODY[:1000])
    fetch(server, "norange", path)
    assert path.read_bytes() == BODY
    assert server.requests == [("norange", "bytes=1000-")]


def test_wrong_range_is_not_appended(server, path):
    path.parent.mkdir(parents=True)
    part(path).write_bytes(BODY[:1000])
    fetch(server, "lying", path)
    assert path.read_bytes() == BODY
    assert [r for _, r in server.requests] == ["bytes=1000-", None]


def test_partial_file_was_complete(server, path):
    """Interrupted between the last byte and the renaming."""
    path.parent.mkdir(parents=True)
    part(path).write_bytes(BODY)
    fetch(server, "good", path)
    assert path.read_bytes() == BODY


@pytest.mark.parametrize("stale", [b"z" * 1000, b"z" * (len(BODY) + 5), b"z" * len(BODY)])
def test_partial_file_of_something_else(server, path, stale):
    path.parent.mkdir(parents=True)
    part(path).write_bytes(stale)
    fetch(server, "good", path, attempts=3)
    assert path.read_bytes() == BODY


def test_wrong_checksum(server, path):
    with pytest.raises(RuntimeError, match="wrong checksum") as caught:
        fetch(server, "wrong", path, attempts=2)
    assert hashlib.md5(b"x" * len(BODY)).hexdigest() in str(caught.value)
    assert os.listdir(path.parent) == []


def test_empty_answer(server, path):
    with pytest.raises(RuntimeError, match="wrong checksum"):
        fetch(server, "empty", path, attempts=1)
    assert os.listdir(path.parent) == []


def test_mirrors_are_tried_in_order(server, path):
    fetch(server, "missing wrong good", path)
    assert path.read_bytes() == BODY
    assert [mode for mode, _ in server.requests] == ["missing", "wrong", "good"]


def test_missing_is_not_asked_twice(server, path):
    with pytest.raises(RuntimeError, match="404"):
        fetch(server, "missing", path, attempts=5)
    assert len(server.requests) == 1
    assert os.listdir(path.parent) == []


@pytest.mark.parametrize("mode", ["flaky", "drop", "short"])
def test_second_try(server, path, mode):
    fetch(server, mode, path, attempts=2)
    assert path.read_bytes() == BODY


def test_redirect_and_unknown_length(server, path):
    fetch(server, "redirect", path)
    assert path.read_bytes() == BODY
    other = path.with_name("other")
    fetch(server, "unknown", other)
    assert other.read_bytes() == BODY


def test_nobody_there(path):
    with pytest.raises(RuntimeError, match=r"could not download file.bin"):
        download("http://127.0.0.1:9/file", path, md5=MD5, attempts=1, timeout=5)


def test_interrupt_keeps_what_came(server, path, monkeypatch):
    """Ctrl-C in the middle leaves the partial file, from which the next call goes on."""
    from autograd_lite.datasets import _download as module

    real = module._bar

    class Interrupted:
        def __init__(self, *args):
            self.context = real(*args)

        def __enter__(self):
            self.context.__enter__()

            def advance(n):
                raise KeyboardInterrupt

            return advance

        def __exit__(self, *error):
            return self.context.__exit__(*error)

    monkeypatch.setattr(module, "_bar", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        fetch(server, "good", path)
    monkeypatch.undo()
    kept = part(path).stat().st_size
    assert 0 < kept < len(BODY) and not path.exists()
    fetch(server, "good", path)
    assert server.requests[-1] == ("good", f"bytes={kept}-")
    assert path.read_bytes() == BODY


def test_several_at_once(server, path):
    errors = []

    def run():
        try:
            fetch(server, "good", path)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert path.read_bytes() == BODY
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize("with_tqdm", [True, False])
def test_progress_bar(server, path, monkeypatch, with_tqdm):
    import io
    import sys

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    if with_tqdm:
        pytest.importorskip("tqdm")
    else:
        monkeypatch.setitem(sys.modules, "tqdm", None)
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    fetch(server, "good", path)
    assert "file.bin" in screen.getvalue() and "100%" in screen.getvalue()
    path.unlink()
    before = screen.getvalue()
    fetch(server, "good", path, progress=False)
    assert screen.getvalue() == before
