"""What every test shares: a seed, a cache of its own, and no network."""

import os
import socket
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

# Lessons that compare times: whatever runs beside them would be measured, too.
MEASURE_TIMES = ("03_how_it_is_computed.ipynb", "12_efficientnet.ipynb")
REAL_DATA = os.environ.get("CNNCOURSE_DATA")

settings.register_profile("course", deadline=None, derandomize=True, database=None)
settings.load_profile("course")


def pytest_configure(config):
    """One thread a worker, in all that it begins: as many workers as cores would wait on others."""
    if config.getoption("numprocesses", None):
        os.environ["OMP_NUM_THREADS"] = "1"


def pytest_collection_modifyitems(config, items):
    # The file that takes longest comes first: else a core waits for it at the end.
    items.sort(key=lambda item: item.path.name != "test_notebooks.py")
    for item in items:
        if item.path.name in MEASURE_TIMES and item.path.suffix == ".ipynb":
            item.add_marker(pytest.mark.alone)
    if "full" in config.getoption("markexpr"):
        return
    for item in items:
        if item.get_closest_marker("full"):
            item.add_marker(pytest.mark.skip(reason="takes long: `make full` runs it"))


def pytest_collection_finish():
    """One thread: networks this small are four times slower where two threads wait on others."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


def pytest_terminal_summary(terminalreporter):
    """What tests counted and measured, from whichever process they ran in."""
    reports = [report for found in terminalreporter.stats.values() for report in found]
    said = {
        (report.nodeid, sentence): None
        for report in reports
        for name, sentence in getattr(report, "user_properties", ())
        if name == "told"
    }
    if said:
        terminalreporter.section("counted and measured")
    for _, sentence in said:
        terminalreporter.write_line(sentence)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def tell(request):
    """`tell(sentence)`: a figure for the end of the report; a print would stay in its process."""
    return lambda sentence: request.node.user_properties.append(("told", sentence))


@pytest.fixture
def refused():
    """`with refused(sentence):` holds where ValueError says exactly that."""

    @contextmanager
    def refused(sentence, error=ValueError):
        with pytest.raises(error) as caught:
            yield caught
        assert str(caught.value) == sentence

    return refused


@pytest.fixture
def real_data():
    """Folder that CNNCOURSE_DATA named when the tests were started; it has MNIST/raw."""
    if not REAL_DATA:
        pytest.skip("needs the real MNIST: set CNNCOURSE_DATA to a folder that has MNIST/raw")
    return Path(REAL_DATA)


@pytest.fixture(scope="session")
def session_cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def own_places(monkeypatch, session_cache):
    """One cache a session, so that the embedded sample is parsed once; no data of the machine's."""
    monkeypatch.setenv("CNNCOURSE_CACHE", str(session_cache))
    monkeypatch.delenv("CNNCOURSE_DATA", raising=False)
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def is_near(host: object) -> bool:
    return host in (None, "", "localhost", "::1") or str(host).startswith("127.")


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """Refuse every socket but loopback's; the list of what was refused."""
    refused = []

    def guarded(connect):
        def guard(self, address):
            if self.family in (socket.AF_INET, socket.AF_INET6) and not is_near(address[0]):
                refused.append(address)
                raise ConnectionRefusedError(f"the tests use no network, and this asked {address}")
            return connect(self, address)

        return guard

    def getaddrinfo(host, *args, **kwargs):
        if not is_near(host):
            refused.append(host)
            raise socket.gaierror(f"the tests use no network, and this asked for {host}")
        return look_up(host, *args, **kwargs)

    look_up = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(socket.socket, "connect", guarded(socket.socket.connect))
    monkeypatch.setattr(socket.socket, "connect_ex", guarded(socket.socket.connect_ex))
    return refused
