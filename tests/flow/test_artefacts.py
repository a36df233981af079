"""Artefacts on disk: looked up, verified, made, published."""

import json
from pathlib import Path

import pytest

from dialekt.errors import StorageError
from dialekt.flow.artefacts import ArtefactStore, Recipe
from dialekt.flow.records import StageName
from dialekt.store.manifest import write_manifest


def _recipe(*, settings: dict[str, object] | None = None, source: str = "a") -> Recipe:
    return Recipe(StageName.PAIRS, 1, settings or {"pairs.minimum_grade": 1.0}, {"split": source})


def _write(folder: Path) -> dict[str, int]:
    (folder / "pairs.parquet").write_text("content", encoding="utf-8")
    return {"pairs": 1}


def test_a_made_artefact_is_found_by_its_key(tmp_path: Path) -> None:
    """What was made is found again with its facts, under another recipe it is not."""
    store = ArtefactStore(tmp_path)
    made = store.make(_recipe(), _write, seed=13)
    found = store.look_up(_recipe()).artefact
    assert found == made
    assert found is not None
    assert found.manifest.facts == {"pairs": 1}
    assert store.look_up(_recipe(source="b")).artefact is None


def test_the_key_does_not_depend_on_the_order_of_settings() -> None:
    """Equal settings in another order are the same recipe."""
    assert _recipe(settings={"a": 1, "b": 2}).key == _recipe(settings={"b": 2, "a": 1}).key


def test_the_reason_names_what_changed(tmp_path: Path) -> None:
    """A stage that must run again says which setting or input is new."""
    store = ArtefactStore(tmp_path)
    assert store.look_up(_recipe()).reason == "first run"
    store.make(_recipe(), _write, seed=13)
    changed = store.look_up(_recipe(settings={"pairs.minimum_grade": 2.0}, source="b"))
    assert changed.reason == "pairs.minimum_grade changed from 1.0 to 2.0, split changed"


@pytest.mark.parametrize("damage", ["change", "remove", "manifest"])
def test_a_damaged_artefact_is_not_used(tmp_path: Path, damage: str) -> None:
    """A changed or missing file or a broken manifest is said, and the artefact is made anew."""
    store = ArtefactStore(tmp_path)
    folder = store.make(_recipe(), _write, seed=13).folder
    match damage:
        case "change":
            (folder / "pairs.parquet").write_text("Content", encoding="utf-8")
        case "remove":
            (folder / "pairs.parquet").unlink()
        case "manifest":
            (folder / "manifest.json").write_text("{", encoding="utf-8")
    lookup = store.look_up(_recipe())
    assert lookup.artefact is None
    assert lookup.reason.startswith("damaged: ")
    store.make(_recipe(), _write, seed=13)
    assert store.look_up(_recipe()).artefact is not None


def test_a_stopped_stage_finds_its_partial_files_again(tmp_path: Path) -> None:
    """A stage that was stopped is resumed in the same folder, and nothing of it is published before it is whole."""
    store = ArtefactStore(tmp_path)

    def stop(folder: Path) -> object:
        (folder / "half").write_text("work", encoding="utf-8")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.make(_recipe(), stop, seed=13)
    lookup = store.look_up(_recipe())
    assert (lookup.artefact, lookup.resumable) == (None, True)

    def go_on(folder: Path) -> dict[str, str]:
        return {"found": (folder / "half").read_text(encoding="utf-8")}

    assert store.make(_recipe(), go_on, seed=13).manifest.facts == {"found": "work"}
    assert not list(tmp_path.rglob("*.partial"))


def test_a_finished_folder_whose_rename_was_killed_is_published_as_it_is(tmp_path: Path) -> None:
    """Killed between manifest and rename, the work is not done again."""
    store = ArtefactStore(tmp_path)
    made = store.make(_recipe(), _write, seed=13)
    partial = made.folder.with_name(made.folder.name + ".partial")
    made.folder.rename(partial)
    write_manifest(partial, made.manifest)

    def never(_: Path) -> object:
        raise AssertionError("the work was done before")

    assert store.make(_recipe(), never, seed=13) == made


def test_partial_folders_of_other_recipes_do_not_pile_up(tmp_path: Path) -> None:
    """When a stage ends, what older recipes of it left unfinished is removed; other stages keep theirs."""
    store = ArtefactStore(tmp_path)
    stale, other = tmp_path / "pairs" / "0123.partial", tmp_path / "training" / "4567.partial"
    stale.mkdir(parents=True)
    other.mkdir(parents=True)
    store.make(_recipe(), _write, seed=13)
    assert not stale.exists()
    assert other.exists()


def test_a_full_disk_is_one_clear_error_and_leaves_nothing_published(tmp_path: Path) -> None:
    """The system's 'no space left' becomes a StorageError; nothing appears under the final name."""
    store = ArtefactStore(tmp_path)

    def fill(_: Path) -> object:
        with Path("/dev/full").open("w", encoding="utf-8") as full:
            full.write("x" * 100_000)
        return {}

    with pytest.raises(StorageError, match="the disk is full") as caught:
        store.make(_recipe(), fill, seed=13)
    assert "free some space" in caught.value.hint
    assert not store.folder(_recipe()).exists()


def test_the_manifest_says_how_the_artefact_was_made(tmp_path: Path) -> None:
    """Settings, inputs, file hashes, library versions, seed and time are all there, as JSON."""
    folder = ArtefactStore(tmp_path).make(_recipe(), _write, seed=7).folder
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["config"] == {"pairs.minimum_grade": 1.0}
    assert manifest["inputs"] == {"split": "a"}
    assert manifest["files"].keys() == {"pairs.parquet"}
    assert {"python", "dialekt", "torch"} <= manifest["libraries"].keys()
    assert manifest["seed"] == 7
