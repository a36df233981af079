"""The files by which the server is deployed say what the server understands."""

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from docs.generate import commands

from dialekt.config import ServingConfig, load_config

DEPLOY = Path(__file__).parents[2] / "deploy"
UNIT = (DEPLOY / "dialekt.service").read_text(encoding="utf-8")
DOCKERFILE = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
MANIFESTS: list[dict[str, Any]] = list(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text(encoding="utf-8")))
DRAIN_SECONDS = ServingConfig().drain_seconds


def pod() -> dict[str, Any]:
    """The pod of the deployment."""
    found: dict[str, Any] = MANIFESTS[0]["spec"]["template"]["spec"]
    return found


def container() -> dict[str, Any]:
    """Its one container."""
    (found,) = pod()["containers"]
    assert isinstance(found, dict)
    return found


def unit(name: str) -> str:
    """A value of the systemd unit."""
    (found,) = re.findall(rf"^{name}=(.*)$", UNIT, re.MULTILINE)
    return str(found)


def entry_point() -> list[str]:
    """The words of the image's command."""
    found = re.search(r"^ENTRYPOINT (\[.*\])$", DOCKERFILE, re.MULTILINE)
    assert found is not None
    words: list[str] = yaml.safe_load(found.group(1))
    return words


def calls() -> Iterator[list[str]]:
    """Every way in which a file calls the server."""
    yield shlex.split(unit("ExecStart"))
    yield [*entry_point(), *container()["args"]]


@pytest.mark.parametrize("words", list(calls()), ids=["systemd", "kubernetes"])
def test_the_options_exist(words: list[str]) -> None:
    """Every option of a call is one of `dialekt serve`."""
    (command,) = [command for command in commands() if command.words == "dialekt serve"]
    known = {option for item in command.parameters for option in re.findall(r"--[\w-]+", item.spelling)}
    assert (Path(words[0]).name, words[1]) == ("dialekt", "serve")
    assert {word for word in words if word.startswith("--")} <= known


POD_VARIABLES = " ".join(f"{item['name']}={item['value']}" for item in container()["env"])


@pytest.mark.parametrize("text", [UNIT, DOCKERFILE, POD_VARIABLES], ids=["systemd", "docker", "kubernetes"])
def test_the_variables_are_settings(text: str) -> None:
    """Every DIALEKT_ variable is a setting, and its value one that the setting takes."""
    variables = dict(re.findall(r"(DIALEKT_\w+__\w+)=(\S+)", text))
    assert variables
    load_config(None, environment=variables)


def test_a_drain_has_time_to_end() -> None:
    """systemd and Kubernetes wait longer than the server drains, so that no request is cut off."""
    assert unit("KillSignal") == "SIGTERM"
    assert int(unit("TimeoutStopSec")) > DRAIN_SECONDS + 5
    assert "\nSTOPSIGNAL SIGTERM\n" in DOCKERFILE
    waits = int(container()["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod()["terminationGracePeriodSeconds"] > waits + DRAIN_SECONDS + 5


def test_readiness_and_liveness_are_told_apart() -> None:
    """Requests go where /ready says so; only a server that fails /health is started again."""
    probes = {name: container()[f"{name}Probe"]["httpGet"]["path"] for name in ("readiness", "liveness", "startup")}
    assert probes == {"readiness": "/ready", "liveness": "/health", "startup": "/ready"}
    assert "/health" in DOCKERFILE


def test_the_service_leads_to_the_container() -> None:
    """The ports of service, container, image and command are one."""
    deployment, service = MANIFESTS
    assert service["spec"]["selector"] == deployment["spec"]["template"]["metadata"]["labels"]
    (port,) = container()["ports"]
    assert service["spec"]["ports"][0]["targetPort"] == port["name"]
    words = entry_point()
    assert int(words[words.index("--port") + 1]) == port["containerPort"]
    assert f"EXPOSE {port['containerPort']}" in DOCKERFILE


def test_nobody_is_root() -> None:
    """Image, pod and unit run without root's rights."""
    assert pod()["securityContext"]["runAsNonRoot"] is True
    assert f"USER {pod()['securityContext']['runAsUser']}\n" in DOCKERFILE
    assert unit("DynamicUser") == "yes"
    assert unit("NoNewPrivileges") == "yes"


def test_every_mount_has_a_volume() -> None:
    """What the container mounts is there."""
    assert {item["name"] for item in container()["volumeMounts"]} == {item["name"] for item in pod()["volumes"]}


def test_no_key_stands_in_a_file() -> None:
    """Keys come from a secret or an environment file, never from these files."""
    assert not re.search(r"^(Environment=.*API_KEY|ENV .*API_KEY)", UNIT + DOCKERFILE, re.MULTILINE)
    assert all(item["name"] != "API_KEY" for item in container()["env"])


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="this machine has no systemd-analyze")
def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    """systemd finds no fault in the unit, once its program is there."""
    path = tmp_path / "dialekt.service"
    path.write_text(UNIT.replace("/opt/dialekt/bin/dialekt", sys.executable), encoding="utf-8")
    done = subprocess.run(["systemd-analyze", "verify", str(path)], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
