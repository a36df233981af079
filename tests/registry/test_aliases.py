"""Promotion is gated and recorded; rollback walks back."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from dialekt.errors import GateError, NotFoundError, StorageError
from dialekt.registry.aliases import judge_version, promote, rollback
from dialekt.registry.champion import read_aliases
from dialekt.registry.records import PromotionKind, Version

RegisterModel = Callable[..., Version]
NOW = "2026-11-20T10:00:00+00:00"
LATER = "2026-11-21T10:00:00+00:00"


def _promote(registry: Path, *names: str) -> None:
    for name in names:
        promote(registry, name, minimum_gain=0.0, now=NOW)


def test_promotion_makes_the_champion(registry: Path, register_model: RegisterModel) -> None:
    """A promotion is written with time, versions and the comparison with the champion before."""
    register_model("a", tuned=0.6)
    register_model("b", tuned=0.7)
    _promote(registry, "v1")
    done = promote(registry, "latest", minimum_gain=0.0, now=LATER)
    assert (done.kind, done.previous, done.version) == (PromotionKind.PROMOTE, "v1", "v2")
    assert done.comparison is not None
    assert (done.comparison.champion_value, done.comparison.value) == (0.6, 0.7)
    aliases = read_aliases(registry)
    assert aliases.champion == "v2"
    assert [entry.at for entry in aliases.history] == [NOW, LATER]
    assert aliases.history[-1] == done


def test_refusal_names_reason_and_way_out(registry: Path, register_model: RegisterModel) -> None:
    """The gate's refusal ends with exit code 3, says why, and changes nothing."""
    register_model(low=-0.01, high=0.03)
    with pytest.raises(GateError, match=r"v1 was not promoted: .* includes 0") as caught:
        promote(registry, "v1", minimum_gain=0.0, now=NOW)
    assert caught.value.exit_code == 3
    assert "can show a difference of 0.021 at best" in caught.value.hint
    assert "--override" in caught.value.hint
    assert read_aliases(registry).history == ()


def test_override_is_recorded(registry: Path, register_model: RegisterModel) -> None:
    """Who overrules the gate gives a reason; the record keeps it with what the gate had said."""
    register_model(low=-0.01, high=0.03, leak_check_passed=False)
    done = promote(registry, "v1", minimum_gain=0.0, override_reason=" pilot with ten users ", now=NOW)
    assert done.reason == "pilot with ten users"
    assert len(done.overridden) == 2
    assert read_aliases(registry).history == (done,)


def test_empty_override_is_none(registry: Path, register_model: RegisterModel) -> None:
    """A blank reason overrules nothing."""
    register_model(compared=False)
    with pytest.raises(GateError, match="there is no evidence"):
        promote(registry, "v1", minimum_gain=0.0, override_reason="  ", now=NOW)


def test_needless_override_overrules_nothing(registry: Path, register_model: RegisterModel) -> None:
    """A reason given for a version that the gate lets through is kept, and nothing counts as overruled."""
    register_model()
    done = promote(registry, "v1", minimum_gain=0.0, override_reason="release 4", now=NOW)
    assert (done.reason, done.overridden) == ("release 4", ())


def test_promoting_the_champion_again(registry: Path, register_model: RegisterModel) -> None:
    """Nothing happens twice."""
    register_model()
    _promote(registry, "v1", "v1", "champion")
    assert len(read_aliases(registry).history) == 1


def test_unknown_version(registry: Path, register_model: RegisterModel) -> None:
    """A version that is not there cannot be promoted."""
    register_model()
    with pytest.raises(NotFoundError, match="there is no version 'v7'"):
        promote(registry, "v7", minimum_gain=0.0, now=NOW)


def test_rollback_walks_back(registry: Path, register_model: RegisterModel) -> None:
    """Every rollback goes one champion further back, past later promotions too; the log only grows."""
    for content in "abcd":
        register_model(content)
    _promote(registry, "v1", "v2", "v3")
    assert rollback(registry, now=LATER).version == "v2"
    _promote(registry, "v4")
    assert [rollback(registry, now=LATER).version for _ in range(2)] == ["v2", "v1"]
    with pytest.raises(NotFoundError, match="no version was promoted before 'v1'"):
        rollback(registry, now=LATER)
    aliases = read_aliases(registry)
    assert aliases.champion == "v1"
    assert len(aliases.history) == 7


def test_rollback_before_any_promotion(registry: Path, register_model: RegisterModel) -> None:
    """Without a champion there is nothing to go back from."""
    register_model()
    with pytest.raises(NotFoundError, match="no version was promoted yet"):
        rollback(registry, now=NOW)


def test_rollback_to_a_damaged_version(registry: Path, register_model: RegisterModel) -> None:
    """A broken model does not become the champion, not even again."""
    damaged = register_model("a")
    register_model("b")
    _promote(registry, "v1", "v2")
    (damaged.model / "model.safetensors").unlink()
    with pytest.raises(StorageError, match=r"v1 is damaged: model\.safetensors is missing"):
        rollback(registry, now=LATER)
    assert read_aliases(registry).champion == "v2"


def test_champion_that_is_gone_stops_nobody(registry: Path, register_model: RegisterModel) -> None:
    """When the champion's folder was removed, the next one is promoted without a comparison."""
    register_model("a")
    register_model("b")
    _promote(registry, "v1")
    shutil.rmtree(registry / "models" / "v1")
    assert promote(registry, "v2", minimum_gain=0.0, now=NOW).comparison is None


def test_verdict_without_promotion(registry: Path, register_model: RegisterModel) -> None:
    """One can ask what the gate would say, and nothing changes."""
    register_model("a", tuned=0.8)
    worse = register_model("b", tuned=0.7)
    _promote(registry, "v1")
    assert not judge_version(registry, worse, minimum_gain=0.0).promotable
    assert read_aliases(registry).champion == "v1"


def test_log_is_plain_json(registry: Path, register_model: RegisterModel) -> None:
    """The file can be read by anyone: the champion and the log."""
    register_model()
    _promote(registry, "v1")
    content = json.loads((registry / "aliases.json").read_text())
    assert content["champion"] == "v1"
    assert content["history"][0]["kind"] == "promote"
