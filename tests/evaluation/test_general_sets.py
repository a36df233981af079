"""General query sets: the same on every machine, without the project's own texts, small enough to be asked often."""

import weakref
from collections.abc import Iterator
from itertools import chain

import pytest
from tests.world import World

from dialekt.errors import InputError
from dialekt.evaluation.general import sets
from dialekt.evaluation.general.records import GeneralMaterial
from dialekt.evaluation.general.sets import ProjectTexts, draw, read_project_texts
from dialekt.types import Document, Qrel, Query, Split


class Tracked(Document):
    """A document of which it can be seen whether it is still held."""

    __hash__ = object.__hash__


NOTHING = ProjectTexts(frozenset(), frozenset())


@pytest.fixture
def material() -> GeneralMaterial:
    """Two hundred documents, each with one query; a second judgment says that it is no answer to the next one."""
    numbers = range(200)
    return GeneralMaterial(
        [Document(f"d{number}", f"about {number} of everything, the fact word{number}") for number in numbers],
        [Query(f"q{number}", f"which word{number}") for number in numbers],
        [
            qrel
            for number in numbers
            for qrel in (Qrel(f"q{number}", f"d{number}"), Qrel(f"q{number}", f"d{(number + 1) % 200}", 0.0))
        ],
    )


def test_half_to_choose_by_and_half_to_measure_by(material: GeneralMaterial) -> None:
    """As many queries choose the mixture as are asked in the end, and none does both."""
    drawn, dropped = draw(material, NOTHING, queries=30, documents=100)
    splits = [query.split for query in drawn.queries]
    assert (splits.count(Split.DEV), splits.count(Split.TEST), len(splits)) == (30, 30, 60)
    assert len({query.id for query in drawn.queries}) == 60
    assert dropped == {"documents_of_the_project": 0, "queries_of_the_project": 0}


def test_the_pool_holds_all_answers(material: GeneralMaterial) -> None:
    """The pool is as large as asked and holds every answer; judged non-answers are no judgments here."""
    drawn, _ = draw(material, NOTHING, queries=30, documents=100)
    names = {document.id for document in drawn.documents}
    assert len(names) == 100
    assert {qrel.document_id for qrel in drawn.qrels} <= names
    assert {qrel.query_id: qrel.document_id for qrel in drawn.qrels} == {
        query.id: query.id.replace("q", "d") for query in drawn.queries
    }


def test_the_pool_holds_hard_candidates_first() -> None:
    """Documents that BM25 finds come before others."""
    numbers = range(60)
    twins = [Document(f"t{number}", f"a twin of word{number}") for number in numbers]
    others = [Document(f"o{number}", "something else") for number in range(500)]
    material = GeneralMaterial(
        [*others, *twins, *(Document(f"d{number}", f"the fact word{number}") for number in numbers)],
        [Query(f"q{number}", f"word{number}") for number in numbers],
        [Qrel(f"q{number}", f"d{number}") for number in numbers],
    )
    drawn, _ = draw(material, NOTHING, queries=30, documents=125)
    names = {document.id for document in drawn.documents}
    assert {document.id for document in twins} <= names


def test_the_order_of_the_texts_changes_nothing(material: GeneralMaterial) -> None:
    """Queries are drawn by hash, so that other machines and orders give the same."""
    turned = GeneralMaterial(list(material.documents)[::-1], material.queries[::-1], material.qrels[::-1])
    first, second = (draw(one, NOTHING, queries=30, documents=100)[0] for one in (material, turned))
    assert list(first.queries) == list(second.queries)
    assert {document.id for document in first.documents} == {document.id for document in second.documents}


def test_what_the_project_holds_is_left_out(material: GeneralMaterial, world: World) -> None:
    """Documents and queries of the project, whatever their case and spaces, are not general."""
    corpus, split = world.folder("corpus"), world.folder("split")
    same_document = Document("d0", f"  {world.documents[0].content.upper()} ")
    same_query = Query("q1", world.queries[0].text.replace(" ", "\n"))
    mixed = GeneralMaterial(
        [same_document, *list(material.documents)[1:]],
        [material.queries[0], same_query, *material.queries[2:]],
        material.qrels,
    )
    drawn, dropped = draw(mixed, read_project_texts(corpus, split), queries=200, documents=1_000)
    assert dropped == {"documents_of_the_project": 1, "queries_of_the_project": 1}
    assert not {"q0", "q1"} & {query.id for query in drawn.queries}
    assert "d0" not in {document.id for document in drawn.documents}


def test_too_few_queries(material: GeneralMaterial) -> None:
    """A set that can show nothing is refused with what it lacks and the way out, whatever number was asked for."""
    few = GeneralMaterial(material.documents, material.queries[:39], material.qrels[:58])
    with pytest.raises(
        InputError, match=r"only 29 of 39 general queries have an answer .*, at least 40 are"
    ) as refused:
        draw(few, NOTHING, queries=30, documents=100)
    assert '"off"' in refused.value.hint
    assert len(draw(material, NOTHING, queries=5, documents=100)[0].queries) == 10


def test_a_large_collection_is_not_held_in_memory(material: GeneralMaterial, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a stream, the answers of the drawn queries and others up to a bound are kept; a small one is kept whole."""
    alive: weakref.WeakSet[Tracked] = weakref.WeakSet()
    most_alive = 0

    class Stream:
        def __iter__(self) -> Iterator[Document]:
            nonlocal most_alive
            numbers = chain(range(200), range(1_000, 6_000))
            for number in numbers:
                document = Tracked(f"d{number}", f"about everything, the fact word{number}")
                alive.add(document)
                most_alive = max(most_alive, len(alive))
                yield document

    monkeypatch.setattr(sets, "MOST_READ", 300)
    streamed = GeneralMaterial(Stream(), material.queries, material.qrels)
    drawn, _ = draw(streamed, NOTHING, queries=30, documents=250)
    documents = list(drawn.documents)
    assert len(documents) == 250
    assert {qrel.document_id for qrel in drawn.qrels} <= {document.id for document in documents}
    assert len(drawn.qrels) == 60
    assert most_alive <= 300 + 60 + 5
    whole, _ = draw(material, NOTHING, queries=30, documents=1_000)
    assert list(whole.documents) == list(material.documents)
