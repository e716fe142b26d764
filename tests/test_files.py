import errno
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingTCPServer

import pytest
import requests

from cnncourse import files

CONTENT = bytes(range(256)) * 20  # 5,120 bytes: more than one piece of a download
SHA256 = files.sha256(CONTENT)


# Writing and reading


def test_what_is_written_is_read_again_and_sha256sum_agrees(tmp_path):
    files.write(tmp_path / "new folder" / "a.bin", b"abc")
    assert files.read(tmp_path / "new folder" / "a.bin") == b"abc"
    assert (tmp_path / "new folder" / "a.bin.sha256").read_text() == (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  a.bin\n"  # FIPS 180-2
    )


def test_writing_leaves_the_file_and_its_fingerprint_and_nothing_else(tmp_path):
    for content in (b"old", b"new"):
        files.write(tmp_path / "a.bin", content)
    assert sorted(os.listdir(tmp_path)) == ["a.bin", "a.bin.sha256"]
    assert files.read(tmp_path / "a.bin") == b"new"


@pytest.mark.skipif(os.name == "nt", reason="permissions are Unix's")
def test_a_written_file_is_as_readable_to_others_as_any_new_file(tmp_path):
    (tmp_path / "plain").write_bytes(b"")
    files.write(tmp_path / "a.bin", b"abc")
    assert (tmp_path / "a.bin").stat().st_mode == (tmp_path / "plain").stat().st_mode


# The promise, the file, the promise kept: each a file, its rename, its folder.
STEPS = [("replace", call) for call in (1, 2, 3)] + [("fsync", call) for call in range(1, 7)]
NEW_FROM = {"replace": 3, "fsync": 4}  # the call that comes after the new file's rename
FULL = OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("error", [FULL, KeyboardInterrupt()])
@pytest.mark.parametrize(("step", "call"), STEPS)
def test_a_write_that_fails_leaves_the_old_file_or_the_new_one(
    tmp_path, monkeypatch, step, call, error
):
    path, calls, real = tmp_path / "a.bin", [], getattr(os, step)
    files.write(path, b"old")

    def failing(*arguments):
        calls.append(arguments)
        if len(calls) == call:
            raise error
        return real(*arguments)

    monkeypatch.setattr(os, step, failing)
    with pytest.raises(type(error)):
        files.write(path, b"new")
    assert files.read(path) == (b"new" if call >= NEW_FROM[step] else b"old")
    assert sorted(os.listdir(tmp_path)) == ["a.bin", "a.bin.sha256"]


KILLED = """
import os, signal, sys
from pathlib import Path
from cnncourse import files

path, step, call = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
calls, real = [], getattr(os, step)

def failing(*arguments):
    calls.append(arguments)
    if len(calls) == call:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*arguments)

setattr(os, step, failing)
files.write(path, b"new")
"""


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL is Unix's")
@pytest.mark.parametrize(("step", "call"), STEPS)
def test_a_kill_inside_the_write_leaves_the_old_file_or_the_new_one(tmp_path, step, call):
    path = tmp_path / "a.bin"
    files.write(path, b"old")
    killed = subprocess.run([sys.executable, "-c", KILLED, str(path), step, str(call)])
    assert killed.returncode == -signal.SIGKILL
    assert files.read(path) == (b"new" if call >= NEW_FROM[step] else b"old")


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from cnncourse import files

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    files.write(Path(sys.argv[1]), bytes(2000))
except OSError as error:
    print(type(error).__name__, error.errno)
"""


@pytest.mark.skipif(os.name == "nt", reason="RLIMIT_FSIZE is Unix's")
def test_a_full_disk_leaves_the_old_file_readable_and_no_piece_of_the_new_one(tmp_path):
    files.write(tmp_path / "a.bin", b"old")
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path / "a.bin")]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    assert answer.stdout.split() == ["OSError", str(errno.EFBIG)]
    assert files.read(tmp_path / "a.bin") == b"old"
    assert sorted(os.listdir(tmp_path)) == ["a.bin", "a.bin.sha256"]


def test_a_reader_that_meets_a_writer_gets_the_old_file_or_the_new_one(tmp_path, monkeypatch):
    path, real = tmp_path / "a.bin", Path.read_bytes
    files.write(path, b"old")

    def slow_read(self):
        content = real(self)
        files.write(path, b"new")  # from the first step to the last, while somebody reads
        return content

    monkeypatch.setattr(Path, "read_bytes", slow_read)
    assert files.read(path) == b"old"
    monkeypatch.undo()
    assert files.read(path) == b"new"


def test_a_flipped_bit_is_caught_and_named(tmp_path, refused):
    path = tmp_path / "a.bin"
    files.write(path, b"abc")
    path.write_bytes(b"abb")  # c is 0x63, b is 0x62
    with refused(
        "a.bin: fingerprint differs (expected ba7816bf…, got 715edf8b…): the file is damaged. "
        f"Try: delete {path} and run again.",
        files.DamagedFile,
    ):
        files.read(path)


@pytest.mark.parametrize("beside", [None, b"", b"\n", b"\xff\xfe", b"no fingerprint"])
def test_a_file_whose_fingerprint_is_missing_or_unreadable_is_not_trusted(tmp_path, beside):
    path = tmp_path / "a.bin"
    path.write_bytes(b"abc")
    if beside is not None:
        files.fingerprint_path(path).write_bytes(beside)
    with pytest.raises(files.DamagedFile, match=r"\(expected no(ne|…), got ba7816bf…\)"):
        files.read(path)


def test_a_file_that_is_not_there_is_not_found_rather_than_damaged(tmp_path):
    with pytest.raises(FileNotFoundError):
        files.read(tmp_path / "a.bin")


# The cache


def test_the_cache_is_where_cnncourse_cache_says_made_if_need_be(tmp_path, monkeypatch):
    monkeypatch.setenv("CNNCOURSE_CACHE", str(tmp_path / "my cäche" / "deep"))
    assert files.cache_dir() == tmp_path / "my cäche" / "deep"
    assert os.listdir(files.cache_dir()) == []


@pytest.fixture
def no_wish(monkeypatch, tmp_path):
    """Nobody names a cache; the temporary directory is the test's own."""
    monkeypatch.delenv("CNNCOURSE_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    return tmp_path / "tmp"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have other places")
def test_the_cache_is_the_systems_place_where_nobody_names_one(no_wish, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert files.cache_dir() == tmp_path / "home" / ".cache" / "cnncourse"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have other places")
def test_without_a_home_the_cache_is_in_the_temporary_directory(no_wish, tmp_path, monkeypatch):
    import pwd

    def nobody(_number):
        raise KeyError("no such user")

    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    monkeypatch.chdir(tmp_path)
    assert files.cache_dir() == no_wish / f"cnncourse-{os.getuid()}"
    assert os.listdir(tmp_path) == ["tmp"]  # no folder that is called "~"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have other places")
def test_where_the_home_cannot_be_written_the_temporary_directory_serves(
    no_wish, tmp_path, monkeypatch
):
    (tmp_path / "home").write_text("a file, so that no folder can be made below it")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert files.cache_dir() == no_wish / f"cnncourse-{os.getuid()}"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have other places")
def test_where_the_home_is_read_only_the_temporary_directory_serves(no_wish, tmp_path, monkeypatch):
    """The tests may run as root, who can write everywhere: the refusal is made by hand."""
    real = tempfile.TemporaryFile

    def read_only(*, dir):
        if dir.is_relative_to(tmp_path / "home"):
            raise OSError(errno.EROFS, "Read-only file system")
        return real(dir=dir)

    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(tempfile, "TemporaryFile", read_only)
    assert files.cache_dir() == no_wish / f"cnncourse-{os.getuid()}"


def test_a_named_cache_that_cannot_be_written_is_refused(tmp_path, monkeypatch, refused):
    (tmp_path / "file").write_text("in the way")
    wanted = str(tmp_path / "file" / "cache")
    monkeypatch.setenv("CNNCOURSE_CACHE", wanted)
    reason = os.strerror(errno.ENOENT if os.name == "nt" else errno.ENOTDIR)
    with refused(
        f"CNNCOURSE_CACHE={wanted!r}: cannot be written ({reason}). "
        "Try: CNNCOURSE_CACHE=<a folder of yours>."
    ) as caught:
        files.cache_dir()
    assert isinstance(caught.value.__cause__, OSError)


# Fetching, from a server with every fault

LOGIN_PAGE = b"<!doctype html><title>Campus network</title><form>Please log in</form>"


class Handler(BaseHTTPRequestHandler):
    """Answers /<fault>/<file name> with that fault."""

    def do_GET(self):
        self.server.asked.append(self.path)
        getattr(self, self.path.split("/")[1])()

    def send(self, content, *, status=200, length=None, **headers):
        self.send_response(status)
        if length != "unsaid":
            self.send_header("Content-Length", str(length or len(content)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def good(self):
        self.send(CONTENT)

    def good_slowly(self):
        time.sleep(0.3)  # so that eight processes do meet
        self.send(CONTENT)

    def good_without_length(self):
        self.send(CONTENT, length="unsaid")

    def truncated(self):
        self.send(CONTENT[:3000], length=len(CONTENT))

    def truncated_without_length(self):
        self.send(CONTENT[:3000], length="unsaid")

    def flipped(self):
        self.send(CONTENT[:-1] + bytes([CONTENT[-1] ^ 1]))

    def login(self):
        self.send(LOGIN_PAGE)

    def empty(self):
        self.send(b"")

    def stall(self):
        self.send(CONTENT[:3000], length=len(CONTENT))
        self.wfile.flush()
        self.server.over.wait()

    def silence(self):
        self.server.over.wait()

    def reset(self):  # closing with a linger of 0 sends RST
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def unavailable(self):
        self.send(b"busy", status=503)

    def forbidden(self):
        self.send(b"no", status=403)

    def third_time(self):
        if self.server.asked.count(self.path) < 3:
            self.unavailable()
        else:
            self.good()

    def loop(self):
        self.send(b"", status=302, Location=self.path)

    def log_message(self, *_):
        """Say nothing."""


class Server(ThreadingTCPServer):
    daemon_threads = True

    def handle_error(self, *_):
        """Say nothing: that clients leave in the middle is what is tested."""


@pytest.fixture
def server():
    server = Server(("127.0.0.1", 0), Handler)
    server.asked, server.over = [], threading.Event()
    server.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.over.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def impatient(monkeypatch):
    """0.5 s for an answer, no pause; the figures learners meet are held by a test marked full."""
    monkeypatch.setattr(files, "TIMEOUT_S", 0.5)
    monkeypatch.setattr(files, "PAUSE_S", 0.0)


def fetch(server, *faults, path):
    urls = [f"{server.url}/{fault}/{path.name}" for fault in faults]
    return files.fetch(urls, path, sha256=SHA256, show_progress=False)


def left_in(folder):
    return [name for name in sorted(os.listdir(folder)) if not name.endswith(".lock")]


NOTHING_CAME = {
    "truncated": "ChunkedEncodingError",
    "stall": "ConnectionError",
    "silence": "ReadTimeout",
    "reset": "ConnectionError",
    "unavailable": "HTTPError 503",
    "forbidden": "HTTPError 403",
    "loop": "TooManyRedirects 302",
}
SOMETHING_ELSE_CAME = ["truncated_without_length", "flipped", "login", "empty"]


@pytest.mark.parametrize("name", ["good", "good_without_length", "third_time"])
def test_a_whole_file_arrives_also_without_length_and_at_the_third_try(
    server, impatient, tmp_path, name, capfd
):
    path = tmp_path / "deep" / "a.bin"
    assert fetch(server, name, path=path) == path
    assert path.read_bytes() == CONTENT
    assert left_in(path.parent) == ["a.bin"]
    assert len(server.asked) == (3 if name == "third_time" else 1)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("fault", "reason"), NOTHING_CAME.items())
def test_where_nothing_comes_three_tries_are_made_and_nothing_is_left(
    server, impatient, tmp_path, refused, fault, reason
):
    path = tmp_path / "a.bin"
    with refused(
        f"a.bin: no download ({reason}). Try: the same again, or place the file at {path}.",
        ConnectionError,
    ):
        fetch(server, fault, path=path)
    assert len(server.asked) == 3 * (31 if fault == "loop" else 1)  # requests follows 30 redirects
    assert left_in(tmp_path) == []


@pytest.mark.parametrize("fault", SOMETHING_ELSE_CAME)
def test_what_is_not_the_file_is_thrown_away_after_three_tries(
    server, impatient, tmp_path, refused, fault
):
    path = tmp_path / "a.bin"
    with refused(
        f"a.bin: fingerprint differs (expected {SHA256[:8]}…): what {server.url}/{fault}/a.bin "
        "sent is not the file and was thrown away. "
        f"Try: the same again, or place the file at {path}.",
        files.DamagedFile,
    ):
        fetch(server, fault, path=path)
    assert len(server.asked) == 3
    assert left_in(tmp_path) == []


@pytest.mark.parametrize("fault", [*NOTHING_CAME, *SOMETHING_ELSE_CAME])
def test_the_second_address_is_asked_where_the_first_has_any_fault(
    server, impatient, tmp_path, fault
):
    fetch(server, fault, "good", path=tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == CONTENT
    assert server.asked[-1] == "/good/a.bin"
    assert left_in(tmp_path) == ["a.bin"]


def test_a_file_that_is_there_and_whole_is_not_asked_for_again(server, tmp_path):
    (tmp_path / "a.bin").write_bytes(CONTENT)
    assert fetch(server, "good", path=tmp_path / "a.bin") == tmp_path / "a.bin"
    assert server.asked == []


def test_a_wrong_file_in_the_cache_is_replaced(server, tmp_path):
    (tmp_path / "a.bin").write_bytes(LOGIN_PAGE)
    fetch(server, "good", path=tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == CONTENT


def test_a_wrong_file_in_the_cache_does_not_stay_where_no_other_comes(server, impatient, tmp_path):
    (tmp_path / "a.bin").write_bytes(LOGIN_PAGE)
    with pytest.raises(ConnectionError):
        fetch(server, "unavailable", path=tmp_path / "a.bin")
    assert left_in(tmp_path) == []


@pytest.mark.skipif(os.name == "nt", reason="permissions are Unix's")
def test_a_fetched_file_can_be_read_by_a_class(server, tmp_path):
    fetch(server, "good", path=tmp_path / "a.bin")
    assert (tmp_path / "a.bin").stat().st_mode & 0o777 == 0o644


def test_the_progress_bar_says_the_size_and_no_path(server, tmp_path, capfd):
    url = f"{server.url}/good/a.bin"
    files.fetch([url], tmp_path / "a.bin", sha256=SHA256)
    out, err = capfd.readouterr()
    assert "5.12k/5.12k" in err
    assert str(tmp_path) not in out + err


@pytest.fixture
def pauses(monkeypatch):
    """The seconds that were waited, without waiting."""
    pauses = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    return pauses


def test_a_server_that_is_busy_has_a_second_before_each_further_try(server, tmp_path, pauses):
    fetch(server, "third_time", path=tmp_path / "a.bin")
    assert pauses == [0, 1, 1]


def test_without_a_network_nobody_waits(tmp_path, no_network, pauses):
    urls = ["https://ossci-datasets.s3.amazonaws.com/mnist/a.bin", "https://203.0.113.1/a.bin"]
    with pytest.raises(ConnectionError, match=r"^a.bin: no download \(ConnectionError\)\. Try: "):
        files.fetch(urls, tmp_path / "a.bin", sha256=SHA256)
    assert pauses == [0, 0, 0]
    assert [asked if isinstance(asked, str) else asked[0] for asked in no_network] == [
        "ossci-datasets.s3.amazonaws.com",
        "203.0.113.1",
        "ossci-datasets.s3.amazonaws.com",
    ]


def test_where_there_is_no_address_it_is_said(tmp_path, refused):
    with refused("a.bin: no address to download from.", ConnectionError):
        files.fetch([], tmp_path / "a.bin", sha256=SHA256)


def test_a_full_disk_is_no_matter_of_the_network(server, tmp_path, monkeypatch):
    def full(*_arguments, **_options):
        raise FULL

    monkeypatch.setattr(tempfile, "NamedTemporaryFile", full)
    with pytest.raises(OSError, match="No space left") as caught:
        fetch(server, "good", path=tmp_path / "a.bin")
    assert not isinstance(caught.value, ConnectionError)
    assert left_in(tmp_path) == []


FETCH = """
import sys
from pathlib import Path
from cnncourse import files

files.fetch([sys.argv[1]], Path(sys.argv[2]), sha256=sys.argv[3], show_progress=False)
"""


def test_eight_processes_that_ask_at_once_make_one_download(server, tmp_path, capfd):
    url = f"{server.url}/good_slowly/a.bin"
    command = [sys.executable, "-c", FETCH, url, str(tmp_path / "a.bin"), SHA256]
    running = [subprocess.Popen(command) for _ in range(8)]
    assert [process.wait(timeout=60) for process in running] == [0] * 8
    assert server.asked == ["/good_slowly/a.bin"]
    assert (tmp_path / "a.bin").read_bytes() == CONTENT
    assert left_in(tmp_path) == ["a.bin"]
    assert capfd.readouterr() == ("", "")  # pooch would say where the file goes


@pytest.mark.full
@pytest.mark.parametrize("faults", [["silence"], ["stall"], ["stall", "silence"], ["flipped"]])
def test_nobody_waits_twenty_seconds_however_many_addresses(server, tmp_path, faults):
    started = time.perf_counter()
    with pytest.raises((ConnectionError, files.DamagedFile)) as caught:
        fetch(server, *faults, path=tmp_path / "a.bin")
    assert time.perf_counter() - started < 20
    assert isinstance(caught.value.__cause__, (requests.RequestException, ValueError))
    assert left_in(tmp_path) == []
