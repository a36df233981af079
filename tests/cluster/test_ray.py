"""A real Ray cluster of this machine with two workers: what comes out is what one process makes.

It is one test, since tests run side by side and each process would start a cluster of its own.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from safetensors.numpy import load_file
from tests.cluster.pieces import open_refusal
from tests.conftest import write_small_beir

from dialekt.cli import main
from dialekt.cluster.connection import Cluster, import_ray
from dialekt.cluster.mapping import work_on
from dialekt.config import ClusterConfig, Place
from dialekt.errors import ModelError
from dialekt.flow.indexing import open_works
from dialekt.flow.journey import run
from dialekt.flow.project import open_project
from dialekt.flow.records import SilentObserver, StageName
from dialekt.models import vectors
from dialekt.negatives import mining, words
from dialekt.types import Progress

SETTINGS = """
[corpus]
path = "data"
[model]
base = "base"
device = "cpu"
[training]
learning_rate = 0.003
epochs = 2
evaluations = 2
precision = "fp32"
interpolate = false
[evaluation]
general = "off"
[index]
chunk_documents = 30
[cluster]
workers = 2
"""


@pytest.fixture
def alone(tiny_model: Path, tmp_path: Path) -> Path:
    """A project that one process has trained."""
    home = tmp_path / "alone"
    write_small_beir(home / "data")
    shutil.copytree(tiny_model, home / "base")
    (home / "dialekt.toml").write_text(SETTINGS, encoding="utf-8")
    run(open_project(home), until=StageName.TRAINING)
    return home


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several pieces for each worker, although the corpus is small."""
    monkeypatch.setattr(vectors, "PART_TEXTS", 32)
    monkeypatch.setattr(words, "QUERIES_PER_SEARCH", 50)
    monkeypatch.setattr(mining, "QUERIES_PER_BLOCK", 40)


def test_a_cluster_makes_what_one_process_makes(
    small_pieces: None, alone: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Vectors, negatives, weights and index are equal, although a worker is killed; errors come home; Ray is silent."""
    assert main(["mine", "-p", str(alone), "--on", "ray", "-q", "--set", "cluster.address=ray://x"]) == 0, (
        "a finished journey asks for no cluster"
    )
    home = Path(shutil.copytree(alone, tmp_path / "divided"))
    for stage in ("base_vectors", "negatives", "training"):
        shutil.rmtree(home / ".dialekt" / stage)
    with closing(Cluster(ClusterConfig(on=Place.RAY, workers=2))) as cluster:
        assert cluster.division.workers == 2
        capfd.readouterr()
        check_negatives(home, alone)
        check_training(home, alone)
        said = capfd.readouterr()
        assert (said.out.splitlines()[1:], said.err) == (["next: dialekt evaluate"], "")
        check_index(home)
        check_errors()
        said = capfd.readouterr()
    assert ("ray" in said.out.lower(), said.err) == (False, "")


def check_negatives(home: Path, alone: Path) -> None:
    """Every file of vectors and negatives is the same, and is found by the key that one process would look for."""
    killer = Killer()
    records = run(open_project(home, overrides=["cluster.on=ray"]), until=StageName.NEGATIVES, observer=killer)
    assert killer.victim
    for stage in ("base_vectors", "negatives"):
        (one,), (other,) = ((place / ".dialekt" / stage).iterdir() for place in (home, alone))
        assert one.name == other.name
        assert files(one) == files(other)
    assert records[-1].facts["cluster"]["workers"] == 2


def files(folder: Path) -> dict[str, bytes]:
    """The contents of an artefact, without its manifest."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "manifest.json"}


class Killer(SilentObserver):
    """Kills a worker as soon as the first vectors have come."""

    def __init__(self) -> None:
        self.victim = 0

    def progressed(self, stage: str, progress: Progress) -> None:
        """Kill once."""
        if stage == StageName.BASE_VECTORS and progress.done and not self.victim:
            process = next(workers())
            process.kill()
            self.victim = process.pid


def workers() -> Iterator[psutil.Process]:
    """The processes of the pool's actors, of this test's cluster."""
    session = Path(import_ray()._private.worker._global_node.get_session_dir_path()).name
    for process in psutil.process_iter(["cmdline"]):
        if " ".join(process.info["cmdline"] or []).startswith("ray::MapWorker"):
            family = [part for parent in process.parents() for part in parent.cmdline()]
            if any(session in part for part in family):
                yield process


def check_training(home: Path, alone: Path) -> None:
    """Two workers end with the weights of one process, up to rounding."""
    assert main(["train", "--project", str(home), "--on", "ray", "--quiet"]) == 0
    (one,), (other,) = ((place / ".dialekt" / "training").iterdir() for place in (home, alone))
    assert sorted(path.name for path in one.iterdir()) == sorted(path.name for path in other.iterdir())
    found, expected, base = (weights(folder) for folder in (one, other, alone / "base"))
    assert max(float(np.abs(expected[name] - base[name]).max()) for name in base) > 0.01
    for name, weight in expected.items():
        np.testing.assert_allclose(found[name], weight, atol=2e-4, err_msg=name)


def weights(folder: Path) -> dict[str, Any]:
    """The weights of the one model in a folder."""
    return dict(load_file(next(folder.rglob("model.safetensors"))))


def check_index(home: Path) -> None:
    """The index holds the same vectors, and nothing is left beside it."""
    shutil.rmtree(home / ".dialekt" / "base_vectors")  # an index would take them
    rows, names = [], []
    for place in ("local", "ray"):
        setting = f"index.path=index-{place}"
        call = [
            "index",
            "build",
            "--model",
            "base",
            "--on",
            place,
            "--quiet",
            "--no-switch",
            "--set",
            "cluster.workers=1",
        ]
        assert main([*call, "--project", str(home), "--set", setting]) == 0
        with open_works(open_project(home, overrides=[setting])) as works:
            version = works.catalogue.versions()[0]
            rows.append(works.opened.engine(version.name).fetch([f"d{number}" for number in range(80)]))
        names.append({path.name for path in (home / f"index-{place}").iterdir()})
    assert rows[0].ids == rows[1].ids
    assert len(rows[0].ids) == 80
    np.testing.assert_array_equal(rows[0].vectors, rows[1].vectors)
    assert names[0] == names[1]


def check_errors() -> None:
    """What a worker cannot do is raised here as it was raised there."""
    with closing(Cluster(ClusterConfig(on=Place.RAY, workers=1))) as one:
        answers = work_on(one, open_refusal, [2, 7])
        assert next(answers)[1] != os.getpid()
        with pytest.raises(ModelError, match="7 is odd") as caught:
            list(answers)
    assert caught.value.hint == "take an even one"
