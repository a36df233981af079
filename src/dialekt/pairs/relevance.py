"""Judgments matched with the corpus: which queries can be used, and with which qrels."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dialekt.errors import InputError
from dialekt.pairs.records import GivenQrel, JudgedQuery
from dialekt.types import Split

_STRONGEST_FIRST = (Split.TEST, Split.DEV, Split.TRAIN)


@dataclass(frozen=True, slots=True)
class Judged:
    """Queries in order of id, each with at least one positive in the corpus, and their qrels.

    `given` holds the split of each query if the user named splits; it is empty otherwise.
    """

    queries: tuple[JudgedQuery, ...]
    qrels: tuple[GivenQrel, ...]
    given: dict[str, Split]
    dropped: dict[str, int]
    warnings: tuple[str, ...]

    def positives(self, minimum_grade: float) -> dict[str, list[str]]:
        """Return the ids of the positive documents of each query."""
        found: dict[str, list[str]] = {query.id: [] for query in self.queries}
        for qrel in self.qrels:
            if qrel.grade >= minimum_grade:
                found[qrel.query_id].append(qrel.document_id)
        return found


def match_with_corpus(
    queries: Sequence[JudgedQuery],
    qrels: Sequence[GivenQrel],
    document_ids: Collection[str],
    *,
    minimum_grade: float,
    use_given_splits: bool,
    source: Path | None = None,
) -> Judged:
    """Keep the qrels whose document the corpus has and the queries that have a positive among them.

    With given splits, a query belongs to the strongest split (test, dev, train) that has a positive of it, and keeps
    the qrels of that split only. Raises `InputError` when the corpus lacks more than half of the judged documents.
    """
    known, warnings = _known_documents(qrels, document_ids, source)
    given = _given_splits(known, minimum_grade) if use_given_splits else {}
    counted = Counter(qrels_of_unknown_documents=len(qrels) - len(known))
    kept = _of_own_split(known, given) if use_given_splits else known
    counted["qrels_of_another_split"] = len(known) - len(kept)
    with_positive = {qrel.query_id for qrel in kept if qrel.grade >= minimum_grade}
    usable = sorted((query for query in queries if query.id in with_positive), key=lambda query: query.id)
    judged = {qrel.query_id for qrel in qrels}
    counted["queries_without_judgment"] = sum(query.id not in judged for query in queries)
    counted["queries_without_positive"] = len(queries) - len(usable) - counted["queries_without_judgment"]
    final = _strongest_grades(qrel for qrel in kept if qrel.query_id in with_positive)
    dropped = {reason: count for reason, count in sorted(counted.items()) if count}
    return Judged(tuple(usable), tuple(final), given, dropped, warnings)


def _known_documents(
    qrels: Sequence[GivenQrel], document_ids: Collection[str], source: Path | None
) -> tuple[list[GivenQrel], tuple[str, ...]]:
    judged = {qrel.document_id for qrel in qrels}
    unknown = {document_id for document_id in judged if document_id not in document_ids}
    examples = ", ".join(repr(document_id) for document_id in sorted(unknown)[:5])
    if 2 * len(unknown) > len(judged):
        raise InputError(
            f"{len(unknown)} of {len(judged)} judged document ids are not in the corpus, for example {examples}",
            path=source,
            hint="is corpus.path the corpus of these judgments? ids are compared as text, of whole documents",
        )
    known = [qrel for qrel in qrels if qrel.document_id not in unknown]
    if not unknown:
        return known, ()
    return known, (f"{len(unknown)} judged document ids are not in the corpus, for example {examples}",)


def _given_splits(qrels: Sequence[GivenQrel], minimum_grade: float) -> dict[str, Split]:
    found: dict[str, Split] = {}
    for qrel in qrels:
        if qrel.grade < minimum_grade:
            continue
        split = given_split(qrel)
        found[qrel.query_id] = min(split, found.get(qrel.query_id, split), key=_STRONGEST_FIRST.index)
    return found


def given_split(qrel: GivenQrel) -> Split:
    """Return the split that a judgment names; one that names none may be trained on."""
    return Split(qrel.split) if qrel.split else Split.TRAIN


def _of_own_split(qrels: Sequence[GivenQrel], given: dict[str, Split]) -> list[GivenQrel]:
    return [qrel for qrel in qrels if given.get(qrel.query_id, given_split(qrel)) is given_split(qrel)]


def _strongest_grades(qrels: Iterable[GivenQrel]) -> list[GivenQrel]:
    """Return one qrel per query and document, the one of the highest grade, in order of ids."""
    best: dict[tuple[str, str], GivenQrel] = {}
    for qrel in qrels:
        key = (qrel.query_id, qrel.document_id)
        if key not in best or qrel.grade > best[key].grade:
            best[key] = replace(qrel, split="")
    return [best[key] for key in sorted(best)]
