"""Safe writing and fetching: the only file that knows the disk's and the network's faults.

A file appears under its final name whole or not at all, with its SHA-256 beside it. A download is
accepted only with the SHA-256 that was known before.
"""

import contextlib
import errno
import hashlib
import itertools
import os
import secrets
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from filelock import FileLock

TIMEOUT_S = 4.0  # for an answer, and for each silence within it
TRIES = 3  # in all, however many addresses there are: nobody waits 20 s
PAUSE_S = 1.0  # before another try, where somebody did answer


class DamagedFile(ValueError):
    """A file whose content is not what was written or promised."""


def cache_dir() -> Path:
    """Folder for what can be made or fetched again: $CNNCOURSE_CACHE, else the system's place.

    Where that cannot be written (no home, a read-only one), a folder in the temporary directory.
    Raises ValueError where CNNCOURSE_CACHE cannot be written.
    """
    wanted = os.environ.get("CNNCOURSE_CACHE")
    for folder in [Path(wanted)] if wanted else usual_caches():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                return folder
        except OSError as error:
            cause = error
    raise ValueError(
        f"CNNCOURSE_CACHE={wanted!r}: cannot be written ({cause.strerror}). "
        "Try: CNNCOURSE_CACHE=<a folder of yours>."
    ) from cause


def usual_caches() -> Iterator[Path]:
    """Where the cache may be: the system's place, where there is one, then the temporary folder."""
    import pooch

    with contextlib.suppress(RuntimeError):  # no HOME, no entry for this user: some containers
        yield pooch.os_cache("cnncourse")
    user = getattr(os, "getuid", int)()  # 0 on Windows, where the temporary folder is one's own
    yield Path(tempfile.gettempdir()) / f"cnncourse-{user}"


def sha256(content: bytes) -> str:
    """SHA-256 of content, as 64 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def fingerprint_path(path: Path) -> Path:
    """Place of the SHA-256 that `write` leaves beside a file."""
    return path.with_name(path.name + ".sha256")


def promised(path: Path) -> list[str]:
    """SHA-256s that the file beside path allows: one, or two while `write` replaces it."""
    try:
        lines = fingerprint_path(path).read_text("ascii").splitlines()
    except (FileNotFoundError, UnicodeDecodeError):
        return []
    return [line.split()[0] for line in lines if line.strip()]


def write(path: Path, content: bytes) -> None:
    """Write content under path, whole or not at all, and its SHA-256 beside it.

    A reader at any moment, and after any crash, finds the old file or the new one. Raises OSError
    (disk full, no permission) with the old file intact.
    """
    new = sha256(content)
    promise(path, [new, *promised(path)])  # until the rename, either is right
    replace(path, content)
    promise(path, [new])


def promise(path: Path, fingerprints: Sequence[str]) -> None:
    """Leave the SHA-256s of a file beside it, as sha256sum does."""
    lines = [f"{fingerprint}  {path.name}\n" for fingerprint in fingerprints]
    replace(fingerprint_path(path), "".join(lines).encode())


def replace(path: Path, content: bytes) -> None:
    """Put content under path in one step: temporary file, fsync, rename, fsync of the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        sync_folder(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def sync_folder(folder: Path) -> None:
    """Make a rename outlast a power cut, where the system can do that for a folder."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network folders cannot
            raise
    finally:
        os.close(handle)


def read(path: Path) -> bytes:
    """Content of a file that `write` wrote.

    Raises FileNotFoundError where there is none, DamagedFile where it is not what was written.
    """
    before = promised(path)
    content = path.read_bytes()
    expected = [*before, *promised(path)]  # before and after: somebody may be writing meanwhile
    if (found := sha256(content)) not in expected:
        wanted = f"{expected[-1][:8]}…" if expected else "none"
        raise DamagedFile(
            f"{path.name}: fingerprint differs (expected {wanted}, got {found[:8]}…): the file is "
            f"damaged. Try: delete {path} and run again."
        )
    return content


def fetch(urls: Sequence[str], path: Path, *, sha256: str, show_progress: bool = True) -> Path:
    """Download to path from the first of urls that gives a file with this SHA-256; returns path.

    Already there and whole: nothing is downloaded; there and not whole: it is thrown away. Three
    tries in all, address after address. What fails leaves nothing behind. Raises ConnectionError
    (nothing came) or DamagedFile (something else came), with the place where the file can be put
    by hand, and OSError (disk full, no permission).
    """
    import pooch
    import requests

    failure: Exception = ConnectionError(f"{path.name}: no address to download from.")
    pause_s = 0.0
    with FileLock(path.with_name(f".{path.name}.lock")):  # eight at once: one download
        if path.exists():
            if pooch.file_hash(str(path)) == sha256:
                return path
            path.unlink()
        for url in itertools.islice(itertools.cycle(urls), TRIES):
            time.sleep(pause_s)
            try:
                return fetch_once(url, path, sha256=sha256, show_progress=show_progress)
            except (ConnectionError, DamagedFile) as error:
                failure = error
                nobody = isinstance(error.__cause__, requests.ConnectionError)
                pause_s = 0.0 if nobody else PAUSE_S
    raise failure


def fetch_once(url: str, path: Path, *, sha256: str, show_progress: bool) -> Path:
    """Download to path in one try; raises what `fetch` raises."""
    import pooch
    import requests

    by_hand = f"Try: the same again, or place the file at {path}."
    downloader = pooch.HTTPDownloader(progressbar=show_progress, timeout=TIMEOUT_S)
    pooch.get_logger().setLevel("WARNING")  # it would print where the file goes
    try:
        pooch.retrieve(url, f"sha256:{sha256}", path.name, path.parent, downloader=downloader)
    except requests.RequestException as error:
        reason = type(error).__name__
        if error.response is not None:
            reason += f" {error.response.status_code}"
            error.response.close()
        raise ConnectionError(f"{path.name}: no download ({reason}). {by_hand}") from error
    except ValueError as error:  # pooch: the hash differs; it kept nothing
        raise DamagedFile(
            f"{path.name}: fingerprint differs (expected {sha256[:8]}…): what {url} sent is not "
            f"the file and was thrown away. {by_hand}"
        ) from error
    path.chmod(0o644)  # pooch lets its owner alone read it; a class may share the folder
    return path
