"""Releases of a project's index: the first, the next, the refused, the one before."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from dialekt.errors import ConfigError, GateError, ModelError, NotFoundError, StorageError, UsageError
from dialekt.flow import indexing
from dialekt.flow.indexing import Estimate, IndexWorks, open_works
from dialekt.flow.project import open_project
from dialekt.flow.release_gate import Side, gate_queries
from dialekt.flow.releasing import Wishes, build, check_recall, drop, migrate, roll_back, verify
from dialekt.index.records import SearchSettings, State
from dialekt.index.searching import Searcher
from dialekt.index.tuning import Tuned
from dialekt.types import Document

BASE = Wishes("base")
TUNED = Wishes("v1")


@contextmanager
def works_of(project: Path, *overrides: str) -> Iterator[IndexWorks]:
    """Open a project's index."""
    with open_works(open_project(project, overrides=overrides), create=True) as works:
        yield works


def add_document(project: Path, name: str, text: str) -> None:
    """Add a document to the project's corpus."""
    with (project / "data" / "corpus.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps({"_id": name, "title": "", "text": text}) + "\n")


def test_the_first_build_goes_live_without_embedding_again(project_copy: Path) -> None:
    """The journey has encoded all documents; the release passes its checks and is live."""
    with works_of(project_copy) as works:
        facts = build(works, BASE)
        assert (facts.fill.units, facts.fill.embedded, facts.fill.reused) == (80, 0, 80)
        assert [check.name for check in facts.checks if check.passed] == ["rows", "vectors", "recall", "quality"]
        assert works.catalogue.live() == "r1"
        assert facts.version.spec.engine.value == "exact"


def test_a_second_build_brings_in_what_changed(project_copy: Path) -> None:
    """New documents are embedded, nothing else; the release stays the same."""
    with works_of(project_copy) as works:
        build(works, BASE)
        add_document(project_copy, "new", "water pump pressure")
        facts = build(works, Wishes())
        assert (facts.fill.embedded, facts.switch, facts.release.name) == (1, None, "r1")
        assert len(works.opened.engine("i1").fetch(["new"])) == 1


def test_a_migration_shows_the_gain_and_can_be_rolled_back(project_copy: Path) -> None:
    """The tuned model's release is better on held-out queries; the old one comes back with later writes."""
    with works_of(project_copy) as works:
        build(works, BASE)
        facts = migrate(works, TUNED)
        quality = facts.checks[-1]
        assert quality.facts["difference"] > 0.1
        assert works.catalogue.live() == "r2"
        works.opened.documents.write([Document("late", "solar roof panel")])
        assert roll_back(works).release == "r1"
        assert len(works.opened.engine("i1").fetch(["late"])) == 1
        assert works.catalogue.release("r2").facts["checks"]["quality"]["passed"]


def test_a_worse_release_does_not_go_live(project_copy: Path) -> None:
    """The gate says by how much; a reason overrules it and is kept; the files and checks are as they were."""
    with works_of(project_copy) as works:
        build(works, TUNED)
        with pytest.raises(GateError, match="quality: NDCG@10"):
            migrate(works, BASE)
        assert works.catalogue.live() == "r1"
        assert works.catalogue.release("r2").state is State.BUILDING
        facts = migrate(works, Wishes("base", override="we want it back"))
        assert facts.switch is not None
        assert (facts.switch.reason, facts.switch.overridden) == ("we want it back", ("quality",))


def test_an_unfinished_release_is_gone_on_with_or_dropped(project_copy: Path) -> None:
    """Another migration is refused until then."""
    with works_of(project_copy) as works:
        build(works, TUNED)
        with pytest.raises(GateError, match="did not go live"):
            migrate(works, BASE)
    other_kind = works_of(project_copy, "index.first_stage_quantization=int8")
    with other_kind as works, pytest.raises(UsageError, match="is unfinished"):
        migrate(works, TUNED)
    with works_of(project_copy) as works:
        assert drop(works, "r2") == "i2"
        assert [release.name for release in works.catalogue.releases()] == ["r1"]


def test_ready_but_not_live_is_switched_to_by_the_next_migration(project_copy: Path) -> None:
    """What was filled is not filled again."""
    with works_of(project_copy) as works:
        build(works, BASE)
        facts = migrate(works, Wishes("v1", switch=False))
        assert (facts.switch, works.catalogue.live()) == (None, "r1")
        facts = migrate(works, TUNED)
        assert (facts.fill.kept, works.catalogue.live()) == (80, "r2")


def test_the_estimate_comes_before_anything_is_done(project_copy: Path) -> None:
    """It counts what is to be embedded, and what is stored and will be."""
    seen: list[Estimate] = []
    with works_of(project_copy) as works:
        build(works, Wishes("base", announce=seen.append))
        shutil.rmtree(project_copy / ".dialekt" / "tuned_vectors")
        migrate(works, Wishes("v1", announce=seen.append))
    assert [(one.units, one.to_embed) for one in seen] == [(80, 0), (80, 80)]
    assert seen[1].stored_bytes > 0
    assert seen[1].seconds > 0


def test_a_disk_without_room_is_said_before_anything_is_written(
    project_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says how much is needed; the live release is as it was."""
    with works_of(project_copy) as works:
        build(works, BASE)
        monkeypatch.setattr(indexing, "ROW_OVERHEAD", 1e12)
        with pytest.raises(StorageError, match="are free: nothing changed"):
            migrate(works, TUNED)
        assert works.catalogue.live() == "r1"
        assert works.opened.engine("i2").count() == 0


def test_a_migration_needs_something_live(project_copy: Path) -> None:
    """A build makes the first release, and refuses to be a migration."""
    with works_of(project_copy) as works:
        with pytest.raises(NotFoundError, match="no release is live yet"):
            migrate(works, TUNED)
        build(works, BASE)
        with pytest.raises(UsageError, match="of another model or kind"):
            build(works, TUNED)


def test_an_unknown_model_is_told_of_with_what_to_type(project_copy: Path) -> None:
    """So is a project without a champion."""
    with works_of(project_copy) as works:
        with pytest.raises(NotFoundError, match="no version 'v9'"):
            build(works, Wishes("v9"))
        with pytest.raises(NotFoundError, match="no version was promoted yet") as raised:
            build(works, Wishes())
        assert "--model base" in raised.value.hint


def test_first_stage_dimensions_must_have_been_trained(project_copy: Path) -> None:
    """The error names those that were."""
    short = works_of(project_copy, "index.first_stage_dimensions=20")
    with short as works, pytest.raises(ConfigError, match="was not trained for that"):
        build(works, BASE)


def test_an_index_of_another_model_is_found_out(project_copy: Path) -> None:
    """A base model that changed after the release was made answers none of its searches."""
    with works_of(project_copy) as works:
        build(works, BASE)
        assert all(check.passed for check in verify(works, works.catalogue.release("live")))
    config = project_copy / "base" / "config.json"
    config.write_text(config.read_text(encoding="utf-8").replace("{", '{"comment": "changed", ', 1), encoding="utf-8")
    with works_of(project_copy) as works, pytest.raises(ModelError, match="with another model than"):
        verify(works, works.catalogue.release("live"))


def test_damaged_rows_are_found_and_repaired(project_copy: Path) -> None:
    """`verify` finds a lost row; the next build puts it back."""
    with works_of(project_copy) as works:
        build(works, BASE)
        works.opened.engine("i1").delete(["d7"])
        checks = verify(works, works.catalogue.release("live"))
        assert [check.passed for check in checks] == [False, True]
        build(works, Wishes())
        assert verify(works, works.catalogue.release("live"))[0].passed


def test_documents_alone_can_be_indexed(tiny_model: Path, tmp_path: Path) -> None:
    """A project without judgments, logs or made queries has an index all the same."""
    (tmp_path / "pages").mkdir()
    for number, text in enumerate(("solar panel on the roof", "pump and valve", "invoice and payment")):
        (tmp_path / "pages" / f"{number}.md").write_text(text, encoding="utf-8")
    shutil.copytree(tiny_model, tmp_path / "base")
    settings = '[corpus]\npath = "pages"\n\n[model]\nbase = "base"\n'
    (tmp_path / "dialekt.toml").write_text(settings, encoding="utf-8")
    with works_of(tmp_path) as works:
        facts = build(works, BASE)
        assert (facts.fill.units, works.catalogue.live()) == (3, "r1")
        assert facts.checks[-1].passed


def test_changed_prompts_are_another_model(project_copy: Path) -> None:
    """A prompt that was changed since is found out: the vectors of two prompts never meet in one version."""
    with works_of(project_copy) as works:
        build(works, BASE)
    with works_of(project_copy, 'model.document_prompt="passage: "') as works:
        live = works.catalogue.release("live")
        with pytest.raises(ModelError, match="with another model than"):
            verify(works, live)
        with pytest.raises(UsageError, match="of another model or kind"):
            build(works, BASE)


def test_a_live_release_that_cannot_be_compared_with_is_said_first(project_copy: Path) -> None:
    """Before anything is embedded; with a reason the new release goes live without the comparison."""
    with works_of(project_copy) as works:
        build(works, BASE)
    with works_of(project_copy, 'model.document_prompt="passage: "') as works:
        with pytest.raises(GateError, match="cannot be compared with the live one"):
            migrate(works, BASE)
        assert [version.name for version in works.catalogue.versions()] == ["i1"]
        assert migrate(works, Wishes("base", override="the prompt was wrong")).switch is not None


def test_an_index_that_grew_keeps_its_engine(project_copy: Path) -> None:
    """What `auto` would choose today is for the next migration, not for bringing documents up to date."""
    with works_of(project_copy) as works:
        build(works, BASE)
    with works_of(project_copy, "index.exact_rows=10") as works:
        assert build(works, Wishes()).version.spec.engine.value == "exact"


def test_an_emptied_index_can_be_brought_up_to_date(tiny_model: Path, tmp_path: Path) -> None:
    """Without a document there is nothing to measure recall with, and nothing to refuse."""
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "one.md").write_text("solar panel", encoding="utf-8")
    shutil.copytree(tiny_model, tmp_path / "base")
    (tmp_path / "dialekt.toml").write_text('[corpus]\npath = "pages"\n\n[model]\nbase = "base"\n', encoding="utf-8")
    with works_of(tmp_path) as works:
        build(works, BASE)
        works.opened.documents.write([], deleted=list(works.opened.documents.document_ids()))
        assert build(works, Wishes(read_corpus=False)).fill.removed == 1
    with works_of(tmp_path, 'model.document_prompt="passage: "') as works:
        facts = migrate(works, Wishes("base", override="an empty index", read_corpus=False))
        assert (facts.fill.units, facts.switch is not None) == (0, True)


def test_a_first_stage_that_misses_results_may_pass_by_what_people_judged(project_copy: Path) -> None:
    """Recall below the target is no fault where NDCG@10 is that of exact search; without judgments it is one."""
    missed = Tuned(SearchSettings(), recall=0.5, milliseconds=1.0, tried=(), warning="recall@10 is 0.500")
    with works_of(project_copy) as works:
        release = build(works, BASE).release
        embed = works.embed(works.model_of(release))
        searcher = Searcher(works.opened.documents, works.opened.engine(release.index), release.settings)
        judged = gate_queries(works.project, works.opened.documents)
        found = check_recall(missed, Side(searcher, embed), judged, target=0.99)
        assert found.passed
        assert found.facts["ndcg_share"] == pytest.approx(1)
        bare = replace(judged, judgments=None)
        assert not check_recall(missed, Side(searcher, embed), bare, target=0.99).passed
