"""Downloads that can be trusted: checked, resumable, atomic, from several mirrors."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

try:
    import fcntl
except ImportError:  # Windows, where an open file cannot be renamed by another process anyway
    fcntl = None  # type: ignore[assignment]

CHUNK = 1 << 18
PERMANENT = (400, 401, 403, 404, 405, 410, 451)
"""HTTP errors after which a mirror is not asked again."""


def download(
    urls: str | Sequence[str],
    path: str | os.PathLike[str],
    *,
    md5: str | None = None,
    sha256: str | None = None,
    progress: bool = True,
    timeout: float = 30.0,
    attempts: int = 3,
    pause: float = 1.0,
) -> Path:
    """Download a file whose checksum is known, unless it is there already.

    Data go to ``<path>.part`` first. An interrupted download goes on from there when it is called again, if
    the server supports ranges. Only a complete file with the right checksum gets the name `path`, in one
    step. Several processes may ask for the same file: one downloads, the others wait for it.

    Parameters
    ----------
    urls : str or sequence of str
        Where the file can be had; mirrors are tried in order.
    path : path-like
        The file to make. Folders on the way are made too.
    md5, sha256 : str
        Hexadecimal digests; at least one.
    progress : bool
        Show a progress bar on stderr (by tqdm where installed) if that is a terminal.
    timeout : float
        Seconds without any data after which a mirror is given up.
    attempts : int
        Rounds over the mirrors.
    pause : float
        Seconds before the second round, doubled before each further one.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    ValueError
        If no checksum is given.
    RuntimeError
        If no mirror gave the file; the message tells what each said.

    Examples
    --------
    >>> from autograd_lite.datasets import download
    >>> download("https://example.org/data.bin", "data.bin")
    Traceback (most recent call last):
        ...
    ValueError: download: give md5 or sha256; nothing is downloaded unchecked (https://example.org/data.bin)
    """
    from http.client import HTTPException  # these modules would make up a tenth of the package's import time
    from urllib.error import HTTPError

    urls = [urls] if isinstance(urls, str) else list(urls)
    path = Path(path)
    if md5 is None and sha256 is None:
        raise ValueError(f"download: give md5 or sha256; nothing is downloaded unchecked ({urls[0]})")
    if matches(path, md5, sha256):
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    said: list[str] = []
    for attempt in range(attempts):
        if attempt:
            time.sleep(pause * 2 ** (attempt - 1))
        for url in list(urls):
            with _open_alone(part) as file:
                if matches(path, md5, sha256):  # by another process, while this one waited
                    part.unlink(missing_ok=True)
                    return path
                try:
                    _transfer(url, file, path.name, progress, timeout)
                except (OSError, HTTPException) as error:
                    said.append(f"{url}: {error or type(error).__name__}")
                    if isinstance(error, HTTPError) and error.code in PERMANENT:
                        urls.remove(url)
                    continue
                file.flush()
                os.fsync(file.fileno())
                found = _digests(part)
                if (md5 or found[0], sha256 or found[1]) == found:
                    if fcntl is None:
                        file.close()
                    os.replace(part, path)
                    return path
                file.truncate(0)
                said.append(f"{url}: wrong checksum, got md5 {found[0]}, sha256 {found[1]}")
        if not urls:
            break
    with contextlib.suppress(OSError):
        if part.stat().st_size == 0:
            part.unlink()
    wanted = ", ".join(f"{n} {d}" for n, d in (("md5", md5), ("sha256", sha256)) if d)
    raise RuntimeError(
        f"could not download {path.name} ({wanted}):\n  "
        + "\n  ".join(dict.fromkeys(said))
        + f"\nCall again to go on from what is there, or put the file at {path} yourself."
    )


def matches(path: Path, md5: str | None = None, sha256: str | None = None) -> bool:
    """Whether `path` is a file with the given digests."""
    if not path.is_file():
        return False
    found = _digests(path)
    return (md5 or found[0], sha256 or found[1]) == found


def _digests(path: Path) -> tuple[str, str]:
    digests = hashlib.md5(usedforsecurity=False), hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            for digest in digests:
                digest.update(chunk)
    return digests[0].hexdigest(), digests[1].hexdigest()


@contextlib.contextmanager
def _open_alone(part: Path) -> Iterator[IO[bytes]]:
    """Open `part` for appending, as the only process that does so."""
    while True:
        file = open(part, "ab")  # noqa: SIM115 (closed below, or by the caller)
        if fcntl is None:
            break
        fcntl.flock(file, fcntl.LOCK_EX)
        # Meanwhile another process may have renamed the file: then this one is no longer `part`.
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), os.stat(part)):
                break
        file.close()
    with file:
        yield file


def _transfer(url: str, file: IO[bytes], name: str, progress: bool, timeout: float) -> None:
    """Append to `file` what it still lacks; OSError if the transfer did not come to its end."""
    from urllib.error import HTTPError
    from urllib.request import Request, urlopen

    have = file.seek(0, os.SEEK_END)
    headers = {"User-Agent": "autograd_lite", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    try:
        response = urlopen(Request(url, headers=headers), timeout=timeout)
    except HTTPError as error:
        if error.code != 416 or not have:
            raise
        error.close()
        if error.headers.get("Content-Range", "").endswith(f"/{have}"):
            return  # nothing is missing
        file.truncate(0)
        raise OSError("the partial file did not fit and was discarded") from error
    with response:
        if response.status == 206:
            span = response.headers.get("Content-Range", "")
            if not span.startswith(f"bytes {have}-"):
                file.truncate(0)
                raise OSError(f"asked for bytes from {have}, got {span or 'no Content-Range'}")
        elif have:  # the server ignores ranges: from the start
            file.truncate(0)
            have = 0
        length = response.headers.get("Content-Length")
        total = have + int(length) if length and length.isdigit() else None
        with _bar(name, total, have, progress) as advance:
            while chunk := response.read(CHUNK):
                file.write(chunk)
                have += len(chunk)
                advance(len(chunk))
        if total is not None and have < total:
            raise OSError(f"connection closed after {have} of {total} bytes")


@contextlib.contextmanager
def _bar(name: str, total: int | None, have: int, progress: bool) -> Iterator[Any]:
    """A progress bar; gives the function that advances it by so many bytes."""
    if not progress or not sys.stderr.isatty():
        yield lambda n: None
        return
    try:
        from tqdm import tqdm  # type: ignore[import-untyped]
    except ImportError:
        bar = _PlainBar(name, total, have)
        try:
            yield bar.advance
        finally:
            bar.show()
            print(file=sys.stderr)
    else:
        with tqdm(desc=name, total=total, initial=have, unit="B", unit_scale=True, unit_divisor=1024) as shown:
            yield shown.update


class _PlainBar:
    """One line on stderr: name, percentage, megabytes, speed."""

    def __init__(self, name: str, total: int | None, have: int) -> None:
        self.name, self.total, self.have = name, total, have
        self.begun_with, self.begun = have, time.monotonic()
        self.shown = 0.0

    def advance(self, n: int) -> None:
        self.have += n
        if time.monotonic() - self.shown > 0.1:
            self.show()

    def show(self) -> None:
        self.shown = time.monotonic()
        speed = (self.have - self.begun_with) / max(self.shown - self.begun, 1e-9) / 1e6
        amount = f"{self.have / 1e6:.1f} MB"
        if self.total:
            amount = f"{self.have / self.total:4.0%} of {self.total / 1e6:.1f} MB"
        print(f"\r{self.name}: {amount}, {speed:.1f} MB/s ", end="", file=sys.stderr, flush=True)
