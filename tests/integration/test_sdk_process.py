"""The client as a process has it: forks, exits, imports, variables."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import httpx2
import pytest
from tests.fakes.fake_server import FakeServer

# from Python 3.12 on each fork of a process with threads is warned of; these tests are about just that
WARNINGS = ("-W", "error", "-W", "ignore:This process:DeprecationWarning")
PREAMBLE = """
import os, sys, time, threading
from coreconfig import CoreConfig, AsyncCoreConfig

def until(is_so, within=10):
    deadline = time.monotonic() + within
    while not is_so():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)
"""


def run(script: str, fake: FakeServer, **variables: str) -> str:
    """Run a program of its own; what it printed."""
    environment = {**os.environ, "FAKE_URL": fake.url, "CORECONFIG_URL": fake.url, **variables}
    done = subprocess.run(
        [sys.executable, *WARNINGS, "-c", PREAMBLE + textwrap.dedent(script)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def test_five_lines_and_variables_are_a_program() -> None:
    """What a newcomer types first; the process ends by itself and says goodbye."""
    with FakeServer({"greeting": "hello"}) as fake:
        script = """
        config = CoreConfig(cache_dir=None).start()
        print(config.get("greeting"), config["greeting"])
        """
        out = run(script, fake, CORECONFIG_SERVICE="shop", CORECONFIG_ENVIRONMENT="dev")
        assert out == "hello hello\n"
        fake.until(lambda: fake.connections == 0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_a_forked_child_reads_at_once_and_gets_a_link_and_an_instance_of_its_own() -> None:
    """A web server that loads the program once and forks its workers."""
    with FakeServer({"a": 1}) as fake:
        script = """
        config = CoreConfig("shop", "dev", cache_dir=None)
        config.start()
        mine = config.get_diagnostics().instance
        told = []
        config.watch("a", told.append)
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            assert threading.active_count() == 1
            first = config.get("a")
            assert first == 1
            until(lambda: config.availability == "CURRENT")
            assert config.get_diagnostics().instance != mine
            os.write(write, b"x")
            until(lambda: config.get("a") == 2)
            until(lambda: told)
            config.close()
            os._exit(0)
        os.read(read, 1)
        sys.stdout.write("ready\\n"); sys.stdout.flush()
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 0, status
        until(lambda: config.get("a") == 2)
        config.close()
        """
        environment = {**os.environ, "CORECONFIG_URL": fake.url}
        program = subprocess.Popen(
            [sys.executable, "-c", PREAMBLE + textwrap.dedent(script)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert program.stdout is not None
        assert program.stdout.readline() == "ready\n", program.communicate()[1]
        fake.change({"a": 2}, [("a", "SET", 2)])
        _, errors = program.communicate(timeout=60)
        assert program.returncode == 0, errors
        instances = {hello["instance"] for hello in fake.said("hello")}
        assert len(instances) == 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_forking_while_the_client_is_busy_never_blocks_the_child() -> None:
    """Whatever lock the parent's threads hold at that moment."""
    with FakeServer({"a": 1, "o": {"b": [1]}}) as fake:
        script = """
        config = CoreConfig("shop", "dev", cache_dir=None).start()
        stop = threading.Event()
        def busy():
            while not stop.is_set():
                watch = config.watch("**", print); watch.cancel(); config.get_diagnostics(); config.get("o")
        threads = [threading.Thread(target=busy) for _ in range(3)]
        for thread in threads: thread.start()
        for _ in range(20):
            child = os.fork()
            if child == 0:
                assert config.get("a") == 1
                assert config["o"] == {"b": [1]}
                config.watch("a", print)
                config.health_check()
                os._exit(0)
            _, status = os.waitpid(child, 0)
            assert os.waitstatus_to_exitcode(status) == 0
        stop.set()
        for thread in threads: thread.join()
        config.close()
        """
        run(script, fake)


def test_the_network_is_imported_by_those_who_use_it_only() -> None:
    """Importing the package, and reading defaults, loads neither library."""
    script = """
        import coreconfig
        loaded = set(sys.modules) - before
        assert not {"asyncio", "msgspec", "websockets", "httpx2", "json"} & loaded, loaded
    """
    program = "import sys; before = set(sys.modules)\n" + textwrap.dedent(script)
    subprocess.run([sys.executable, "-I", "-c", program], check=True, timeout=60)
    program = (
        "import sys; from coreconfig import CoreConfig\n"
        "config = CoreConfig('shop', 'dev', defaults={'a': 1}, cache_dir=None)\n"
        "assert config.get('a') == 1\n"
        "assert not {'websockets', 'httpx2'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-I", "-c", program], check=True, timeout=60)


def test_allowed_variables_are_filled_in_and_never_get_to_disk(tmp_path: Path) -> None:
    """A reference stays a reference everywhere but in the memory of the process."""
    with FakeServer({"url": "db://${env:APP_HOST}/x", "no": "${env:HOME}"}) as fake:
        script = f"""
        with CoreConfig("shop", "dev", cache_dir={str(tmp_path)!r}, env_allow=["APP_*"]) as config:
            print(config.get("url"), config.get("no"), config.health_check().problems[0].code)
        """
        out = run(script, fake, APP_HOST="host-of-db")
        assert out == "db://host-of-db/x ${env:HOME} env_not_allowed\n"
        (file,) = tmp_path.glob("*/current")
        assert "host-of-db" not in file.read_text()


def test_a_program_that_forgets_to_close_ends_all_the_same() -> None:
    """Also with watches, with an asynchronous client, and while the server is away."""
    with FakeServer({"a": 1}) as fake:
        script = """
        import asyncio, logging
        logging.getLogger("coreconfig").setLevel("ERROR")  # one is away, which is said
        config = CoreConfig("shop", "dev", cache_dir=None).start()
        config.watch("a", print)
        away = CoreConfig("shop", "dev", url="http://127.0.0.1:9", required=False, cache_dir=None).start()
        async def main():
            global other
            other = await AsyncCoreConfig("shop", "dev", cache_dir=None).start()
        asyncio.run(main())
        """
        run(script, fake)
        fake.until(lambda: fake.connections == 0)
        assert httpx2.get(fake.url).status_code == 404
