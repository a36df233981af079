"""Versions are whole, immutable, and the same model is the same version."""

import dataclasses
import json
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dialekt.errors import NotFoundError, StorageError
from dialekt.registry import versions
from dialekt.registry.aliases import promote
from dialekt.registry.records import Evidence, Lineage, Threshold, Version
from dialekt.registry.versions import (
    copy_model,
    find_registered,
    list_versions,
    load_version,
    register,
    verify,
    workspace,
)
from dialekt.store.lock import exclusive
from dialekt.types import Interval

NOW = "2026-11-20T10:00:00+00:00"
REGISTER = """
import errno, json, os, signal, sys
from pathlib import Path
from dialekt.errors import DialektError
from dialekt.registry.records import ArtefactIds, Evidence, Lineage
from dialekt.registry.versions import register

registry, model, hook = sys.argv[1:]

def kill_before_rename(event, arguments):
    if event == "os.rename" and str(arguments[0]).endswith(".next.partial"):
        os.kill(os.getpid(), signal.SIGKILL)

def fill_disk(event, arguments):
    if event == "shutil.copyfile" and str(arguments[0]).endswith("model.safetensors"):
        raise OSError(errno.ENOSPC, "No space left on device")

hooks = {"kill": kill_before_rename, "full": fill_disk}
if hook in hooks:
    sys.addaudithook(hooks[hook])
lineage = Lineage("base", "id", ArtefactIds("", "", "", "", "t", Path(model).name), {}, "0", {}, 1)
evidence = Evidence("split", 0, 0, (), None, leak_check_passed=True)
try:
    print(register(Path(registry), Path(model), lineage, evidence, created="now").name)
except DialektError as error:
    sys.exit(f"{error.message} | {error.hint}")
"""


def _register_elsewhere(registry: Path, model: Path, hook: str = "") -> "subprocess.Popen[str]":
    """Register a model in a process of its own, which `hook` kills or whose disk it fills."""
    command = [sys.executable, "-c", REGISTER, str(registry), str(model), hook]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _names(registry: Path) -> list[str]:
    return [version.name for version in list_versions(registry)]


def test_versions_count_up(registry: Path, register_model: Callable[..., Version]) -> None:
    """Each new model becomes the next version, also past nine."""
    for number in range(11):
        register_model(f"weights {number}")
    assert _names(registry) == [f"v{number}" for number in range(1, 12)]


def test_record_reads_back(
    registry: Path,
    make_model: Callable[..., Path],
    make_lineage: Callable[..., Lineage],
    make_evidence: Callable[..., Evidence],
) -> None:
    """A version remembers its lineage and evidence exactly."""
    precision, recall = Interval(0.8, 0.7, 0.9), Interval(0.5, 0.4, 0.6)
    thresholds = (Threshold("base", 0.8, None, None, None, None), Threshold("tuned", 0.8, 0.7, precision, recall, 0.1))
    evidence = dataclasses.replace(make_evidence(), thresholds=thresholds)
    registered = register(registry, make_model(), make_lineage(), evidence, created=NOW)
    loaded = load_version(registry, "v1")
    assert loaded == registered
    assert loaded.lineage == make_lineage()
    assert loaded.evidence == evidence
    assert loaded.created == NOW
    assert (loaded.model / "model.safetensors").read_text() == "weights"


def test_registering_again_returns_the_version(registry: Path, register_model: Callable[..., Version]) -> None:
    """The same model with the same evaluation is registered once; nothing new is written."""
    first = register_model()
    assert register_model() == first
    assert _names(registry) == ["v1"]


def test_new_evaluation_is_a_new_version(
    registry: Path,
    make_model: Callable[..., Path],
    make_lineage: Callable[..., Lineage],
    make_evidence: Callable[..., Evidence],
) -> None:
    """The same model with other evidence is another version of the same content."""
    for evaluation in ("evaluation-1", "evaluation-2"):
        lineage = make_lineage(evaluation=evaluation)
        register(registry, make_model(), lineage, make_evidence(), created=NOW)
    first, second = list_versions(registry)
    assert first.content_id == second.content_id


def test_card_is_no_part_of_the_content(
    make_model: Callable[..., Path], register_model: Callable[..., Version]
) -> None:
    """The content id is the model's, whatever its card says; the card's hash is kept all the same."""
    first = register_model()
    (make_model() / "README.md").write_text("another card")
    assert register_model() == first
    assert "README.md" in first.files


def test_damaged_version_is_not_taken_for_the_same(registry: Path, register_model: Callable[..., Version]) -> None:
    """Registering a model again heals what was damaged: a new version, not the broken one."""
    damaged = register_model()
    _rewrite(damaged.model / "model.safetensors", "other weights")
    assert register_model().name == "v2"


def test_files_are_read_only(register_model: Callable[..., Version]) -> None:
    """Nobody may write into a registered file."""
    version = register_model()
    modes = [path.stat().st_mode for path in version.folder.rglob("*") if path.is_file()]
    assert modes
    assert not any(mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH) for mode in modes)


def _rewrite(path: Path, content: str) -> None:
    path.chmod(0o644)
    path.write_text(content)


def test_verify_names_every_fault(register_model: Callable[..., Version]) -> None:
    """A file that is missing, changed or added is named."""
    version = register_model()
    assert verify(version) == ()
    (version.model / "1_Pooling" / "config.json").unlink()
    _rewrite(version.model / "model.safetensors", "x")
    (version.model / "adapter.json").write_text("{}")
    assert verify(version) == (
        "1_Pooling/config.json is missing",
        "adapter.json was added",
        "model.safetensors has changed",
    )


def test_damaged_version_is_not_loaded(registry: Path, register_model: Callable[..., Version]) -> None:
    """Loading checks the files; looking at the record alone does not."""
    _rewrite(register_model().model / "model.safetensors", "x")
    with pytest.raises(StorageError, match=r"v1 is damaged: model\.safetensors has changed"):
        load_version(registry, "v1")
    assert load_version(registry, "v1", check_files=False).name == "v1"


def test_latest_and_champion_are_names(registry: Path, register_model: Callable[..., Version]) -> None:
    """`latest` is the newest version, `champion` the promoted one."""
    register_model("a")
    register_model("b")
    promote(registry, "v1", minimum_gain=0, now=NOW)
    assert load_version(registry, "latest").name == "v2"
    assert load_version(registry, "champion").name == "v1"


def test_unknown_name_suggests_the_nearest(registry: Path, register_model: Callable[..., Version]) -> None:
    """A name that is not there is answered with the one that was probably meant."""
    register_model()
    with pytest.raises(NotFoundError, match="there is no version 'champoin'") as caught:
        load_version(registry, "champoin")
    assert "did you mean 'champion'?" in caught.value.hint
    with pytest.raises(NotFoundError, match=r"there is no version '\.\./v1'"):
        load_version(registry, "../v1")


def test_empty_registry_has_no_version(registry: Path) -> None:
    """Nothing registered and nothing promoted are told apart, with what to do about each."""
    assert list_versions(registry) == []
    with pytest.raises(NotFoundError, match="no model is registered yet"):
        load_version(registry, "latest")


def test_champion_before_any_promotion(registry: Path, register_model: Callable[..., Version]) -> None:
    """Before the first promotion there is no champion."""
    register_model()
    with pytest.raises(NotFoundError, match="no version was promoted yet"):
        load_version(registry, "champion")


def test_champion_whose_folder_is_gone(registry: Path, register_model: Callable[..., Version]) -> None:
    """A champion that somebody removed is said to be gone, not unknown."""
    register_model("a")
    register_model("b")
    promote(registry, "v2", minimum_gain=0, now=NOW)
    shutil.rmtree(registry / "models" / "v2")
    with pytest.raises(NotFoundError, match="champion 'v2' is not in the registry any more"):
        load_version(registry, "champion")


def test_names_are_never_used_again(registry: Path, register_model: Callable[..., Version]) -> None:
    """A removed version's name stays with it as long as the log speaks of it."""
    register_model("a")
    promote(registry, "v1", minimum_gain=0, now=NOW)
    shutil.rmtree(registry / "models" / "v1")
    assert register_model("b").name == "v2"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: text[:-40], "the record is damaged: the file: Invalid JSON"),
        (lambda text: text.replace('"leak_check_passed": true', '"leak_check_passed": []'), "evidence.leak_check"),
        (lambda text: text.replace('"schema": 1', '"schema": 2'), "schema 2, expected 1"),
    ],
)
def test_damaged_record_is_named(
    registry: Path, register_model: Callable[..., Version], damage: Callable[[str], str], message: str
) -> None:
    """A record that cannot be read is an error with its path; it does not keep new versions out."""
    record = register_model("a").folder / "version.json"
    _rewrite(record, damage(record.read_text()))
    with pytest.raises(StorageError, match=message) as caught:
        list_versions(registry)
    assert caught.value.path == record
    assert register_model("b").name == "v2"


def test_version_without_record(registry: Path) -> None:
    """A version folder without its record is an error, not a version."""
    (registry / "models" / "v1").mkdir(parents=True)
    with pytest.raises(StorageError, match="the version has no record"):
        list_versions(registry)


def test_model_folder_without_files(
    registry: Path, tmp_path: Path, make_lineage: Callable[..., Lineage], make_evidence: Callable[..., Evidence]
) -> None:
    """An empty folder is no model, and leaves nothing behind."""
    with pytest.raises(StorageError, match="there is no model in this folder"):
        register(registry, tmp_path / "nothing", make_lineage(), make_evidence(), created=NOW)
    assert list((registry / "models").iterdir()) == []


def test_links_are_followed(tmp_path: Path, make_model: Callable[..., Path]) -> None:
    """A model that links into a cache is copied with what the links point to."""
    blob = tmp_path / "blob"
    blob.write_text("real weights")
    model = make_model()
    (model / "model.safetensors").unlink()
    (model / "model.safetensors").symlink_to(blob)
    copy_model(model, tmp_path / "copy")
    blob.unlink()
    assert (tmp_path / "copy" / "model.safetensors").read_text() == "real weights"


def test_found_by_training_and_evaluation(
    registry: Path, register_model: Callable[..., Version], make_lineage: Callable[..., Lineage]
) -> None:
    """The version of a training and its evaluation is found again, unless its files are damaged."""
    version = register_model("a")
    assert find_registered(registry, version.lineage) == version
    assert find_registered(registry, make_lineage(training="another")) is None
    (version.model / "README.md").unlink()
    assert find_registered(registry, version.lineage) is None


def test_kill_before_the_rename_leaves_nothing(registry: Path, make_model: Callable[..., Path]) -> None:
    """A register killed between write and rename has registered nothing; the next one sweeps up and starts at v1."""
    model = make_model()
    killed = _register_elsewhere(registry, model, "kill")
    assert killed.wait(timeout=30) == -signal.SIGKILL
    killed.communicate()
    assert (registry / "models" / ".next.partial" / "version.json").is_file()
    assert list_versions(registry) == []
    again = _register_elsewhere(registry, model)
    assert again.communicate(timeout=30)[0].strip() == "v1"
    assert [path.name for path in (registry / "models").iterdir()] == ["v1"]
    assert verify(load_version(registry, "v1")) == ()


def test_full_disk_leaves_nothing(registry: Path, make_model: Callable[..., Path]) -> None:
    """A disk that fills up while the model is copied is one clear error, and nothing stays behind."""
    full = _register_elsewhere(registry, make_model(), "full")
    _, error = full.communicate(timeout=30)
    assert full.returncode == 1
    assert "the disk is full; nothing was changed | free some space" in error
    assert list((registry / "models").iterdir()) == []


def test_two_registers_at_once(registry: Path, make_model: Callable[..., Path]) -> None:
    """Registers in several processes wait for each other: every model gets a version, the same model the same one."""
    models = [make_model("a"), make_model("b"), make_model("a")]
    running = [_register_elsewhere(registry, model) for model in models]
    names = [process.communicate(timeout=30)[0].strip() for process in running]
    assert sorted(set(names)) == ["v1", "v2"]
    assert names[0] == names[2]
    assert _names(registry) == ["v1", "v2"]
    assert all(not verify(version) for version in list_versions(registry))


def test_busy_registry(registry: Path, register_model: Callable[..., Version], monkeypatch: pytest.MonkeyPatch) -> None:
    """A registry that stays locked is an error that says so, after a while of waiting."""
    monkeypatch.setattr(versions, "LOCK_TIMEOUT_SECONDS", 0.05)
    with exclusive(registry), pytest.raises(StorageError, match="another dialekt command is at work"):
        register_model()


def test_failure_in_the_workspace_is_swept_up(registry: Path) -> None:
    """Whatever ends the building of a version, its unfinished folder goes."""
    with pytest.raises(FileNotFoundError, match="weights"), workspace(registry) as partial:
        shutil.copyfile(registry / "weights", partial / "weights")
    assert list((registry / "models").iterdir()) == []


def test_file_in_the_place_of_the_registry(registry: Path, register_model: Callable[..., Version]) -> None:
    """A registry path that is a file is an error that says so."""
    registry.write_text("not a folder")
    with pytest.raises(StorageError, match="a file is where a folder belongs"):
        register_model()


def test_record_holds_no_path_of_the_machine(register_model: Callable[..., Version]) -> None:
    """Where a version lies is not part of its record, so that a registry can be moved."""
    version = register_model()
    record = json.loads((version.folder / "version.json").read_text())
    assert "folder" not in record
    moved = version.folder.parent.parent.rename(version.folder.parent.parent.with_name("moved"))
    assert load_version(moved, "v1") == dataclasses.replace(version, folder=moved / "models" / "v1")
