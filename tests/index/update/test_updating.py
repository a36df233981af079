"""An incremental update from the sample to the last row, with real documents and engines."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.index.texts import add_version, document
from tests.index.update.models import base, stranger, texts, tuned

from dialekt.errors import InputError
from dialekt.index.building import compare, fill
from dialekt.index.opened import OpenIndex
from dialekt.index.records import Embed, SearchSettings
from dialekt.index.update.mixed import MixedEngine, is_mapped, mapped_space
from dialekt.index.update.updating import IncrementalUpdate, PastQueries, Sides, sample_size
from dialekt.types import Role

COUNT = 240
IDS = [f"d{number}" for number in range(COUNT)]
ASKED = texts(80, seed=3)
PAST = PastQueries(ASKED, base(ASKED), tuned(ASKED))
SETTINGS = SearchSettings()


class _Counting:
    """The new model, which counts what it embeds."""

    def __init__(self, model: Embed) -> None:
        self.embedded: list[str] = []
        self._model = model

    def __call__(self, wanted: Sequence[str], role: Role) -> NDArray[np.float32]:
        self.embedded += wanted
        return self._model(wanted, role)


class _Scene:
    """An index with its old version filled, and an update into a new one."""

    def __init__(self, folder: Path, past: PastQueries = PAST, model: Embed = tuned) -> None:
        self.opened = OpenIndex.open(folder, create=True)
        self.opened.documents.write(document(name, text) for name, text in zip(IDS, texts(COUNT), strict=True))
        self.old, self.new = add_version(self.opened).name, add_version(self.opened, space="s1").name
        fill(self.opened, self.old, base)
        self.model = _Counting(model)
        self.update = self.again(past)

    def again(self, past: PastQueries = PAST) -> IncrementalUpdate:
        """Return an update that knows nothing of an earlier one."""
        target = self.opened.engine(self.new)
        sides = Sides(
            source=self.opened.engine(self.old),
            target=target,
            space="s1",
            read=self.opened.documents.read,
            embed=self.model,
            holding=lambda: self.opened.holding(self.new),
            store=target.upsert,
        )
        return IncrementalUpdate(sides, past, seed=0)

    def spaces(self) -> dict[str, str]:
        """Return the space of every row of the new version."""
        rows = self.opened.engine(self.new).scan()
        return {unit: space for part in rows for unit, space in zip(part.ids, part.spaces, strict=True)}


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[_Scene]:
    """A scene that is closed afterwards."""
    made = _Scene(tmp_path / "index")
    yield made
    made.opened.close()


def test_the_first_minute_serves_every_document(scene: _Scene) -> None:
    """After the sample every document has a row, most of them mapped, and only the sample was embedded."""
    learnt = scene.update.learn(IDS[:40])
    assert learnt.gate.passed, learnt.gate.reason
    assert scene.update.load() == COUNT - 40
    spaces = scene.spaces()
    assert set(spaces) == set(IDS)
    assert {unit for unit, space in spaces.items() if space == "s1"} == set(IDS[:40])
    assert set(spaces.values()) == {"s1", mapped_space("s1")}
    assert len(scene.model.embedded) == 40
    assert compare(scene.opened.documents, scene.opened.engine(scene.new)).is_empty


def test_an_update_goes_on_to_the_end(scene: _Scene) -> None:
    """Chunk by chunk in the order of harm the share grows, and at the end the rows are those of a full build."""
    scene.update.learn(IDS[:40])
    scene.update.load()
    probe = scene.update.probe(score=lambda places, _: np.ones(len(places)))
    steps = [scene.update.step(probe)]
    order = scene.update.order()
    assert sorted(order) == sorted(IDS[40:])
    for start in range(0, len(order), 50):
        assert scene.update.refresh(order[start : start + 50]) == len(order[start : start + 50])
        steps.append(scene.update.step(probe))
    assert [step.fresh for step in steps] == [40, 90, 140, 190, 240]
    assert steps[-1].estimated.value == pytest.approx(1)
    assert steps[-1].reaches(0.99)
    assert steps[0].estimated.value < 1
    assert steps[0].true == 1
    assert not any(map(is_mapped, scene.spaces().values()))
    rows = scene.opened.engine(scene.new).fetch(IDS)
    wanted = dict(zip(IDS, tuned(texts(COUNT)), strict=True))
    np.testing.assert_allclose(rows.vectors, [wanted[unit] for unit in rows.ids], atol=1e-5)


def test_the_map_is_learnt_again_from_more(scene: _Scene) -> None:
    """With more new rows the map is better, and those that are still mapped move nearer to where they will be."""
    scene.update.learn(IDS[:15])
    scene.update.load()
    scene.update.refresh(IDS[15:120])
    wanted = tuned(texts(COUNT))[120:]
    before, embedded = _vectors(scene, IDS[120:]), len(scene.model.embedded)
    assert scene.update.relearn()
    after = _vectors(scene, IDS[120:])
    assert np.einsum("ij,ij->i", after, wanted).mean() > np.einsum("ij,ij->i", before, wanted).mean()
    assert len(scene.model.embedded) == embedded
    assert scene.spaces()["d200"] == mapped_space("s1")


def _vectors(scene: _Scene, wanted: Sequence[str]) -> NDArray[np.float32]:
    """Return the new version's vectors of some units, in their order."""
    rows = scene.opened.engine(scene.new).fetch(wanted)
    held = dict(zip(rows.ids, rows.vectors, strict=True))
    return np.stack([held[unit] for unit in wanted])


def test_a_killed_update_goes_on_without_embedding_twice(scene: _Scene) -> None:
    """What is new in the target stays: neither the sample nor refreshed rows are embedded or mapped over again."""
    scene.update.learn(IDS[:40])
    scene.update.load()
    scene.update.refresh(IDS[40:60])
    before = scene.spaces()
    embedded = len(scene.model.embedded)
    again = scene.again()
    again.learn(IDS[:40])
    assert again.load() == COUNT - 60
    assert len(scene.model.embedded) == embedded
    assert scene.spaces() == before


def test_writes_that_come_meanwhile_win(scene: _Scene) -> None:
    """Deleted documents are not brought back and changed ones not overwritten, by mapping or by embedding."""
    scene.update.learn(IDS[:40])
    scene.update.load()
    scene.opened.documents.write([document("d100", "quite another text")], deleted=["d101"])
    assert scene.update.refresh(["d100", "d101", "d102"]) == 1
    assert is_mapped(scene.spaces()["d100"])
    scene.opened.apply(scene.new, scene.model)
    assert scene.spaces()["d100"] == "s1"
    assert "d101" not in scene.spaces()
    scene.update.load()
    assert "d101" not in scene.spaces()
    assert scene.spaces()["d100"] == "s1"


def test_what_is_searched_for_becomes_new(scene: _Scene) -> None:
    """A search embeds its mapped shortlist, answers as the new model does, and finds them new the next time."""
    scene.update.learn(IDS[:40])
    scene.update.load()
    mixed = MixedEngine(
        scene.opened.engine(scene.new), scene.update.learnt.calibration, freshen=scene.update.freshen, shortlist=60
    )
    found = mixed.search(PAST.new[:1], 10, settings=SETTINGS)[0]
    scores = PAST.new[:1] @ tuned(texts(COUNT)).T
    assert found.ids[:5] == tuple(IDS[place] for place in np.argsort(-scores[0])[:5])
    fresh = [unit for unit, space in scene.spaces().items() if space == "s1"]
    assert len(fresh) > 40
    embedded = len(scene.model.embedded)
    mixed.search(PAST.new[:1], 10, settings=SETTINGS)
    assert len(scene.model.embedded) - embedded < 10  # some that new scores bring into the shortlist


def test_the_probe_keeps_what_it_embeds_aside(scene: _Scene) -> None:
    """Watching changes nothing of what is watched; a shortlist is told for a target."""
    scene.update.learn(IDS[:40])
    scene.update.load()
    before = scene.spaces()
    probe = scene.update.probe()
    step = scene.update.step(probe)
    assert step.true is None
    assert step.share == pytest.approx(40 / COUNT)
    assert 10 <= probe.shortlist(0.9) <= probe.shortlist(0.999) <= 100
    assert scene.spaces() == before


def test_a_map_between_strangers_is_not_used(tmp_path: Path) -> None:
    """Where the gate does not pass, nothing is mapped and the reason is told."""
    past = PastQueries(ASKED, base(ASKED), stranger(ASKED))
    scene = _Scene(tmp_path / "index", past, stranger)
    assert not scene.update.learn(IDS[:40]).gate.passed
    with pytest.raises(InputError, match="the map is not to be used"):
        scene.update.load()
    scene.opened.close()


def test_the_sample_is_two_in_a_hundred_within_bounds() -> None:
    """Small corpora give enough to judge by, large ones no more than is learnt from."""
    assert [sample_size(units) for units in (50, 1_000, 100_000, 10_000_000)] == [50, 200, 2_000, 3_000]


def test_an_update_needs_its_map_first(scene: _Scene) -> None:
    """The error says what to call."""
    with pytest.raises(InputError, match="not learnt yet"):
        scene.update.load()


def test_without_past_queries_there_is_no_gate_to_pass(tmp_path: Path) -> None:
    """Nothing was asked: the map is learnt, judged by nothing, and not used."""
    nothing = np.empty((0, 32), np.float32)
    scene = _Scene(tmp_path / "index", PastQueries((), nothing, nothing))
    assert not scene.update.learn(IDS[:40]).gate.passed
    scene.opened.close()
