"""The files by which a Ray cluster is deployed say what the command understands, and agree with each other."""

import re
import shlex
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml
from docs.generate import commands

from dialekt.config import ClusterConfig, Place, load_config

REPOSITORY = Path(__file__).parents[2]
DOCKERFILE = (REPOSITORY / "deploy" / "Dockerfile.ray").read_text(encoding="utf-8")
CLUSTER, JOB = yaml.safe_load_all((REPOSITORY / "deploy" / "kuberay.yaml").read_text(encoding="utf-8"))


def templates() -> list[dict[str, Any]]:
    """The pods of head and workers."""
    spec = CLUSTER["spec"]
    groups = [spec["headGroupSpec"], *spec["workerGroupSpecs"]]
    return [group["template"]["spec"] for group in groups]


def entry_point() -> list[str]:
    """The words of the job's command."""
    return shlex.split(JOB["spec"]["entrypoint"])


def settings() -> ClusterConfig:
    """The section that the job's command sets."""
    words = entry_point()
    overrides = [word for before, word in pairwise(words) if before == "--set"]
    return load_config(None, overrides=[*overrides, f"cluster.on={words[words.index('--on') + 1]}"]).cluster


def test_the_options_exist() -> None:
    """Every option of the job's call is one of the command."""
    words = entry_point()
    (command,) = [command for command in commands() if command.words == " ".join(words[:2])]
    known = {option for item in command.parameters for option in re.findall(r"--[\w-]+", item.spelling)}
    assert {word for word in words if word.startswith("--")} <= known


def test_the_workers_fit() -> None:
    """As many workers as the job asks for can be started, and one fits into a pod."""
    (group,) = CLUSTER["spec"]["workerGroupSpecs"]
    asked = settings()
    assert asked.on is Place.RAY
    assert asked.workers is not None
    assert asked.workers <= group["maxReplicas"]
    (container,) = group["template"]["spec"]["containers"]
    limits = container["resources"]["limits"]
    assert asked.cpus_per_worker <= float(limits["cpu"])
    assert asked.gpus_per_worker == float(limits["nvidia.com/gpu"])


def test_the_job_finds_its_cluster() -> None:
    """The job runs on the cluster of the same file, which runs no worker on its head."""
    assert JOB["spec"]["clusterSelector"] == {"ray.io/cluster": CLUSTER["metadata"]["name"]}
    assert CLUSTER["spec"]["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"


def test_all_machines_see_the_project() -> None:
    """Head and workers mount one claim at one path, the one that the command names, and have what they mount."""
    words = entry_point()
    folder = words[words.index("--project") + 1]
    for pod in templates():
        (container,) = pod["containers"]
        mounts = {item["name"]: item["mountPath"] for item in container["volumeMounts"]}
        volumes = {item["name"]: item for item in pod["volumes"]}
        assert mounts.keys() == volumes.keys()
        (claimed,) = [name for name, volume in volumes.items() if "persistentVolumeClaim" in volume]
        assert mounts[claimed] == folder
        assert volumes[claimed]["persistentVolumeClaim"] == {"claimName": "dialekt-project"}


def test_ray_has_one_version() -> None:
    """The image, the cluster and the pinned requirements name the same Ray."""
    (pinned,) = re.findall(r"^ray==(.+)$", (REPOSITORY / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)
    assert CLUSTER["spec"]["rayVersion"] == pinned
    assert f"FROM rayproject/ray:{pinned}-py311-gpu\n" in DOCKERFILE


def test_nobody_is_root() -> None:
    """No pod runs with root's rights, and workers have no account of the cluster's."""
    head, worker = templates()
    assert all(pod["securityContext"]["runAsNonRoot"] for pod in (head, worker))
    assert worker["automountServiceAccountToken"] is False
