"""The process of one job: papermill executes the notebook; it ends with the runner that began it.

    python -m cnncourse.child < settings.json-line

The settings are one line of JSON on standard input, which then stays open: its end means that the
runner is gone, and with it the reason to go on.
"""

import json
import os
import shutil
import sys
import tempfile
import threading
from typing import NoReturn

from cnncourse.family import TOKEN, adopt_orphans, end, family

# What papermill's imports would try and a notebook in a folder does not need: the grammar of web
# addresses that jsonschema compiles (1.1 s of CPU a job) and a door to HDFS (0.2 s).
UNNEEDED = ("rfc3987_syntax", "pyarrow")
LEAVING = threading.Event()  # the runner is gone


def end_with_runner() -> None:
    """Wait for the end of standard input, then leave."""
    os.read(0, 1)  # nothing more is ever sent
    LEAVING.set()
    leave()


def leave() -> NoReturn:
    """The runner is gone: end all that came of this process, its temporary folder, and itself."""
    try:
        end(family(os.getpid(), os.environ.get(TOKEN, "")))
        if TOKEN in os.environ:  # the folder is this job's own
            shutil.rmtree(tempfile.gettempdir(), ignore_errors=True)
    finally:
        os._exit(1)


def main() -> None:
    """Read the settings, then execute in.ipynb into out.ipynb of the current folder.

    What cells print goes to the file stdout, too, at once: a notebook is saved between cells only.
    """
    line = b""
    while not line.endswith(b"\n"):  # byte by byte: nothing is left in a buffer for the watcher
        byte = os.read(0, 1)
        if not byte:
            leave()
        line += byte
    settings = json.loads(line)
    adopt_orphans()
    for name in UNNEEDED:
        sys.modules[name] = None  # type: ignore[assignment]  # as where it is not installed
    import papermill

    threading.Thread(target=end_with_runner, daemon=True).start()
    with open("stdout", "w", encoding="utf-8") as printed:
        try:
            papermill.execute_notebook(
                "in.ipynb",  # relative: papermill would fill in braces of a folder's name
                "out.ipynb",
                settings["parameters"],
                cwd=settings["folder"],
                stdout_file=printed,
                progress_bar={"mininterval": 0, "ncols": 60},
            )
        finally:
            end(family(os.getpid(), ""))  # whom it adopted would be nobody's after it
            if LEAVING.is_set():
                threading.Event().wait()  # the other thread ends this process when it has done all


if __name__ == "__main__":
    main()
    sys.stderr.flush()
    os._exit(0)  # all is on the disk and the kernel ended: taking Python down costs half a second
