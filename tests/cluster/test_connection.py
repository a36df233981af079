"""Getting to a cluster, and not getting there."""

import pickle
import sys
from pathlib import Path

import pytest

from dialekt.cluster.connection import Cluster
from dialekt.cluster.sharing import require_shared
from dialekt.config import ClusterConfig
from dialekt.errors import ClusterError, ConfigError, DialektError, InputError, MissingExtraError


def test_without_ray_one_line_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra that is missing is named with the command that installs it."""
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(
        MissingExtraError, match=r"cluster\.on = 'ray' needs the optional dependency set 'ray'"
    ) as caught:
        _ = Cluster(ClusterConfig()).division
    assert caught.value.hint == "pip install 'dialekt[ray]'"


def test_work_is_not_divided_from_outside() -> None:
    """An address of Ray's client is refused with what to do instead."""
    with pytest.raises(ConfigError, match="from outside the cluster") as caught:
        _ = Cluster(ClusterConfig(address="ray://head:10001")).division
    assert "ray job submit" in caught.value.hint


@pytest.mark.parametrize(
    "error",
    [MissingExtraError("ray", needed_for="this"), InputError("no", hint="why", path="a/b", line=3)],
    ids=lambda error: type(error).__name__,
)
def test_errors_come_home_from_workers(error: DialektError) -> None:
    """Pickled and read again, an error has its kind, its message, its hint and its place."""
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert vars(again) == vars(error)
    assert str(again) == str(error)


def test_a_machine_without_the_project_says_so(tmp_path: Path) -> None:
    """A path that a worker does not see is named; the name of a model on the Hub is no path."""
    require_shared(tmp_path)
    require_shared(Path("owner/model"))
    with pytest.raises(ClusterError, match=r"does not see .*missing"):
        require_shared(tmp_path / "missing")
