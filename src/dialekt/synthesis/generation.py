"""Runs the generators that were asked for, one after the other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import assert_never

from dialekt.config import Generator, QueryKind, SynthesisConfig
from dialekt.synthesis.asking import Asker
from dialekt.synthesis.language import Vocabulary
from dialekt.synthesis.llm_queries import (
    drafts_of_instructions,
    drafts_of_queries,
    instruction_requests,
    query_requests,
)
from dialekt.synthesis.local import generate_locally
from dialekt.synthesis.material import Material
from dialekt.synthesis.records import Draft
from dialekt.synthesis.round_trip import RoundTrip
from dialekt.types import Document, ReportProgress, no_progress


@dataclass(frozen=True, slots=True)
class Workshop:
    """What generators work with. `asker` is there when an LLM is used, `retrieval` when neighbours are needed."""

    config: SynthesisConfig
    material: Material
    counts: Mapping[str, int]
    seed: int
    asker: Asker | None
    retrieval: RoundTrip | None
    progress: ReportProgress = no_progress

    def make(self) -> list[Draft]:
        """Return the drafts of every generator, in the order of the configuration."""
        drafts: list[Draft] = []
        for generator in self.config.generators:
            drafts += self._make_with(generator, self.counts[generator.value])
        return drafts

    def _make_with(self, generator: Generator, count: int) -> list[Draft]:
        match generator:
            case Generator.LOCAL:
                return self._locally(count)
            case Generator.LLM:
                return [*self._by_llm(count), *(self._with_instructions() if self.config.instructions else [])]
            case Generator.DOC2QUERY:
                return self._by_seq2seq(count)
            case _:
                assert_never(generator)

    def _locally(self, count: int) -> list[Draft]:
        vocabulary = Vocabulary.of(
            [document.content for document in self.material.documents], language=self.material.language
        )
        return generate_locally(
            self.material.asked, vocabulary, per_document=count, seed=self.seed, progress=self.progress
        )

    def _by_llm(self, count: int) -> list[Draft]:
        assert self.asker is not None
        requests = query_requests(
            self.config, self.material.asked, count=count, train=self.material.train, seed=self.seed
        )
        return drafts_of_queries(self.config, requests, self.asker.ask(requests, "ask the LLM for queries"), count)

    def _with_instructions(self) -> list[Draft]:
        assert self.asker is not None
        neighbours = self._neighbours(self.material.asked)
        requests = instruction_requests(self.config, self.material.asked, neighbours)
        answers = self.asker.ask(requests, "ask the LLM for instructions")
        return drafts_of_instructions(self.config, requests, answers, neighbours)

    def _neighbours(self, documents: Sequence[Document]) -> dict[str, Document]:
        assert self.retrieval is not None
        by_id = {document.id: document for document in self.material.documents}
        found = self.retrieval.neighbours([document.id for document in documents], 1)
        return {document_id: by_id[nearest[0]] for document_id, nearest in found.items() if nearest}

    def _by_seq2seq(self, count: int) -> list[Draft]:
        from dialekt.models.seq2seq import Seq2Seq

        assert self.config.doc2query_model is not None
        model = Seq2Seq.load(self.config.doc2query_model)
        texts = [document.content for document in self.material.asked]
        written = model.write(texts, count=count, seed=self.seed, progress=self.progress)
        return [
            Draft(text, document.id, QueryKind.QUESTION, Generator.DOC2QUERY)
            for document, made in zip(self.material.asked, written, strict=True)
            for text in dict.fromkeys(made)
        ]
