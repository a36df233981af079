"""`dialekt serve`, as a process of its own: what it says, whom it answers, and how it ends."""

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from dialekt.cli.serve_panel import describe_choice
from dialekt.cli.serve_sources import open_served
from dialekt.config import EngineName
from dialekt.errors import NotFoundError, UsageError
from dialekt.models.engines.records import EngineChoice, EngineTrial
from dialekt.serving.sources import FolderSource, RegistrySource

Dialekt = Callable[..., Any]
COMMAND = (sys.executable, "-m", "dialekt", "serve", "--port", "0", "--engine", "torch", "--dtype", "fp32", "--json")


@dataclass
class Process:
    """A running server, what it wrote when it was ready, and the file that its log goes to."""

    process: subprocess.Popen[str]
    facts: dict[str, Any]
    log: Path

    @property
    def url(self) -> str:
        """Where it listens."""
        return str(self.facts["url"])

    def lines(self) -> list[dict[str, Any]]:
        """Return the log."""
        return [json.loads(line) for line in self.log.read_text(encoding="utf-8").splitlines()]

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(timeout=20)


@contextmanager
def process(folder: Path, *words: object, **environment: str) -> Iterator[Process]:
    """Start a server in a folder and wait until it is ready."""
    log = folder / "server.log"
    given = {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "DIALEKT_SERVING__CACHE": str(folder / "engines")}
    with (
        log.open("w", encoding="utf-8") as errors,
        subprocess.Popen(
            [*COMMAND, *map(str, words)],
            cwd=folder, env=os.environ | given | environment, stdout=subprocess.PIPE, stderr=errors, text=True,
        ) as started,
    ):  # fmt: skip
        try:
            assert started.stdout is not None
            line = started.stdout.readline()
            assert line, log.read_text(encoding="utf-8")
            yield Process(started, json.loads(line), log)
        finally:
            started.kill()


def ask(url: str, text: str = "solar panel", **headers: str) -> httpx.Response:
    """Ask for the vector of a text."""
    return httpx.post(f"{url}/embed", json={"inputs": text}, headers=headers, timeout=20)


def test_a_folder_is_served_until_sigterm(tiny_model: Path, tmp_path: Path) -> None:
    """A named folder answers under its name. After SIGTERM the server says for a moment that it is not ready, then
    ends with 0; the log holds no text of a request.
    """
    with process(tmp_path, f"tiny={tiny_model}") as server:
        assert server.facts["schema"] == "dialekt.serve/1"
        assert server.facts["models"][0]["model"] == "tiny"
        answer = ask(server.url, "a secret about pumps")
        assert (answer.status_code, len(answer.json()[0])) == (200, 32)
        assert answer.headers["x-dialekt-model"] == "tiny"
        server.process.send_signal(signal.SIGTERM)
        assert (503, "close") in _readiness_until_the_end(server.url)
        assert server.process.wait(timeout=20) == 0
    events = [line["event"] for line in server.lines()]
    assert events[0] == "start"
    assert events[-1] == "stop"
    assert {"load", "ready", "request", "drain"} <= set(events)
    assert "secret" not in server.log.read_text(encoding="utf-8")


def _readiness_until_the_end(url: str) -> list[tuple[int, str | None]]:
    seen: list[tuple[int, str | None]] = []
    while True:
        try:
            answer = httpx.get(f"{url}/ready", timeout=5)
        except httpx.TransportError:
            return seen
        seen.append((answer.status_code, answer.headers.get("connection")))
        time.sleep(0.05)


def test_no_request_fails_when_the_server_is_stopped(tiny_model: Path, tmp_path: Path) -> None:
    """Requests that are being computed when Ctrl-C comes are all answered; the exit code is 0."""
    body = {"inputs": ["solar panel battery " * 20] * 32}
    with process(tmp_path, tiny_model) as server:

        def send(_: int) -> int:
            return httpx.post(f"{server.url}/embed", json=body, timeout=20).status_code

        with ThreadPoolExecutor(8) as pool:
            answers = [pool.submit(send, number) for number in range(16)]
            wait(answers, return_when=FIRST_COMPLETED)
            server.process.send_signal(signal.SIGINT)
            assert [answer.result() for answer in answers] == [200] * 16
        assert server.process.wait(timeout=20) == 0


def test_a_killed_server_starts_again_on_its_port(tiny_model: Path, tmp_path: Path) -> None:
    """After kill -9 the same port can be served again at once."""
    with process(tmp_path, tiny_model) as first, httpx.Client(base_url=first.url, timeout=20) as client:
        assert client.get("/ready").status_code == 200
        first.end(signal.SIGKILL)
        port = first.url.rpartition(":")[2]
        with process(tmp_path, tiny_model, "--port", port) as second:
            assert second.url == first.url
            assert ask(second.url).status_code == 200


def test_a_registry_is_served_by_its_champion(dialekt: Dialekt, project_copy: Path) -> None:
    """A project's server answers with the champion; every version and the base can be asked for by name."""
    assert dialekt("models", "promote", "v1", "--project", project_copy).code == 0
    with process(project_copy) as server:
        name = server.facts["models"][0]["model"]
        assert server.facts["models"][0]["version"] == "v1"
        assert ask(server.url).headers["x-dialekt-model"] == f"{name}@v1"
        body = {"input": "solar panel", "model": f"{name}@base"}
        answer = httpx.post(f"{server.url}/v1/embeddings", json=body, timeout=20)
        assert answer.headers["x-dialekt-model"] == f"{name}@base"
        assert server.end() == 0


def test_a_server_that_is_still_loading_ends_at_once(tmp_path: Path) -> None:
    """SIGTERM while engines are built and measured, which takes a minute, ends the process within seconds."""
    log = tmp_path / "server.log"
    given = {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "DIALEKT_SERVING__CACHE": str(tmp_path / "engines")}
    words = [*COMMAND[: COMMAND.index("--engine")], "all-MiniLM-L6-v2"]
    with (
        log.open("w", encoding="utf-8") as errors,
        subprocess.Popen(words, cwd=tmp_path, env=os.environ | given, stderr=errors) as started,
    ):
        while "start" not in log.read_text(encoding="utf-8"):
            assert started.poll() is None
            time.sleep(0.1)
        time.sleep(2.0)
        started.send_signal(signal.SIGTERM)
        assert started.wait(timeout=12) == 0


def test_a_missing_dependency_names_its_extra(dialekt: Dialekt, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the server's libraries the command says what to install."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    answer = dialekt("serve", "--port", "0")
    assert answer.code == 1
    assert "pip install 'dialekt[serve]'" in answer.err


def test_without_a_champion_the_way_out_is_named(dialekt: Dialekt, project_copy: Path) -> None:
    """A registry without a promoted version is an error that names promote and the two other choices."""
    answer = dialekt("serve", "--project", project_copy, "--port", "0")
    assert answer.code == 1
    assert "no version was promoted yet" in answer.err
    for way in ("dialekt models promote v1", "--version latest", "--version base"):
        assert way in answer.err


def test_nothing_to_serve_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a project and without a name there is nothing to serve."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NotFoundError, match="there is no model to serve"):
        open_served(None)


def test_a_model_that_cannot_be_loaded_ends_the_command(dialekt: Dialekt, tmp_path: Path) -> None:
    """A folder without a model is one error, and the port is given back."""
    (tmp_path / "empty").mkdir()
    answer = dialekt("serve", tmp_path / "empty", "--port", "0", "--engine", "torch")
    assert answer.code == 1
    assert answer.err.count("error:") == 1


def test_flags_become_settings(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings that a command names reach the server's configuration, and a wrong one names the setting."""
    monkeypatch.chdir(tmp_path)
    served = open_served(None, overrides=[f'serving.models=["one={tiny_model}", "all-MiniLM-L6-v2"]'])
    assert [source.name for source in served.sources] == ["one", "all-MiniLM-L6-v2"]
    assert all(isinstance(source, FolderSource) for source in served.sources)
    with pytest.raises(UsageError, match="names one model, and there are several"):
        open_served(
            None, overrides=['serving.models=["all-MiniLM-L6-v2", "other"]', 'serving.served_model_name="both"']
        )


def test_a_wrong_flag_names_its_setting(dialekt: Dialekt, tiny_model: Path) -> None:
    """A value that no setting takes is an error of the configuration."""
    answer = dialekt("serve", tiny_model, "--engine", "steam", "--port", "0")
    assert answer.code == 1
    assert "serving.engine = 'steam'" in answer.err
    assert "--ssl-certfile" in dialekt("serve", tiny_model, "--ssl-keyfile", "k.pem", "--port", "0").err


def test_a_project_is_served_under_its_name(project_copy: Path) -> None:
    """A registry is served under the project's name, or the one that is given."""
    (source,) = open_served(project_copy, overrides=["serving.version=latest"]).sources
    assert isinstance(source, RegistrySource)
    assert source.registry == project_copy / "registry"
    named = open_served(project_copy, overrides=["serving.version=base", "serving.served_model_name=mine"]).sources
    assert named[0].name == "mine"


def test_engines_are_compared_on_the_projects_own_texts(project_copy: Path) -> None:
    """A project that was run gives its texts and its dev queries; one that was not gives none."""
    (source,) = open_served(project_copy, overrides=["serving.version=latest"]).sources
    assert isinstance(source, RegistrySource)
    material = source.material()
    assert material is not None
    assert len(material.documents) == 80
    assert material.gate is not None
    shutil.rmtree(project_copy / ".dialekt")
    (source,) = open_served(project_copy, overrides=["serving.version=latest"]).sources
    assert isinstance(source, RegistrySource)
    assert source.material() is None


def test_environment_variables_of_tei_are_heeded(tiny_model: Path, tmp_path: Path) -> None:
    """A container that is set up for TEI by its environment works: model, limits, truncation, keys.

    Neither log nor output holds a key.
    """
    given = {"MODEL_ID": str(tiny_model), "MAX_CLIENT_BATCH_SIZE": "2", "AUTO_TRUNCATE": "false", "DTYPE": "float32"}
    with process(tmp_path, API_KEY="first-key,second-key", **given) as server:
        assert ask(server.url).status_code == 401
        assert ask(server.url, authorization="Bearer first-key").status_code == 200
        key = {"authorization": "Bearer second-key"}
        info = httpx.get(f"{server.url}/info", headers=key, timeout=20).json()
        assert (info["max_client_batch_size"], info["auto_truncate"]) == (2, False)
        assert httpx.post(f"{server.url}/embed", json={"inputs": ["a"] * 3}, headers=key, timeout=20).status_code == 422
        assert server.end() == 0
    said = server.log.read_text(encoding="utf-8") + json.dumps(server.facts)
    assert "-key" not in said


MEASURED = EngineChoice(
    EngineName.OPENVINO,
    measured=True,
    trials=(
        EngineTrial(EngineName.TORCH, "bf16", 1650.4, 310.0, 0.9999),
        EngineTrial(EngineName.ONNX_INT8, "int8", refused="no dev queries to prove its quality"),
        EngineTrial(EngineName.OPENVINO, "bf16", 2150.0, 402.0, 0.9998, -0.0003),
    ),
)


def test_a_choice_of_engine_is_explained() -> None:
    """Every engine that was tried has a line with its speed, or with why it was not taken."""
    lines = describe_choice(MEASURED, precision="bf16")
    assert lines[0].startswith("engine   openvino bf16, the fastest")
    assert "1,650 queries/s, 310 passages/s" in lines[1]
    assert "not taken: no dev queries" in lines[2]
    assert "NDCG@10 -0.0003" in lines[3]


def test_a_named_engine_below_the_bound_comes_with_a_warning() -> None:
    """Where a person named the engine, what is wrong with it is said."""
    trial = EngineTrial(EngineName.ONNX_INT8, "int8", refused="a vector's cosine is 0.96")
    lines = describe_choice(EngineChoice(EngineName.ONNX_INT8, measured=False, trials=(trial,)), precision="int8")
    assert lines == ["engine   onnx-int8 int8, as named", "         warning: a vector's cosine is 0.96"]
