"""Anything that ranks documents, on the test queries of a project: every operand becomes a run over the same corpus."""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from dialekt.errors import ConfigError, UsageError
from dialekt.flow.judging import read_runs
from dialekt.flow.operands import Operand, OperandKind
from dialekt.flow.project import Project
from dialekt.flow.records import StageName, StageRecord
from dialekt.store.atomic import PARTIAL_SUFFIX, publish_folder
from dialekt.store.hashing import hash_json
from dialekt.store.lock import exclusive
from dialekt.types import ReportProgress, Role, Split, no_progress

if TYPE_CHECKING:
    from dialekt.evaluation.contest import Contest
    from dialekt.evaluation.systems import Held
    from dialekt.measures.retrieval import Collection
    from dialekt.measures.runs import Run
    from dialekt.models.endpoint import EmbeddingEndpoint
    from dialekt.models.remote import RemoteEncoder

FOLDER_NAME = "compared"
KEY_DIGITS = 16
_UNSAFE = re.compile(r"[^\w@.+-]+")


@dataclass(frozen=True, slots=True)
class Errand:
    """What an endpoint will be asked: `texts` whose vectors are not kept yet, and about how many tokens they have."""

    name: str
    host: str
    texts: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Remote:
    """How endpoints are asked. `key_variables` names the environment variable of each operand's key.

    `confirm` is told of every errand to another machine before it begins, and raises where it should not.
    """

    confirm: Callable[[Errand], None]
    key_variables: Mapping[str, str] = field(default_factory=dict)
    query_prompt: str = ""
    document_prompt: str = ""
    max_characters: int | None = None


@dataclass(frozen=True, slots=True)
class Compared:
    """The result: systems in the order given with where each came from, and what to know before believing it."""

    contest: "Contest"
    documents: int
    sources: Mapping[str, str]
    warnings: tuple[str, ...]


def needed_stage(operands: Sequence[Operand]) -> StageName:
    """Return how far the journey must have come: only systems of the evaluation need a trained model."""
    kinds = {operand.kind for operand in operands}
    return StageName.EVALUATION if OperandKind.SYSTEM in kinds else StageName.PAIRS


def check_operands(project: Project, operands: Sequence[Operand], remote: Remote) -> None:
    """Raise a `DialektError` for an endpoint, key, version or run file that cannot be used, before anything is run."""
    from dialekt.evaluation.external import read_foreign
    from dialekt.registry.versions import load_version

    _check_keys(operands, remote)
    for operand in operands:
        match operand.kind:
            case OperandKind.RUN_FILE:
                read_foreign(Path(operand.source))
            case OperandKind.VERSION:
                load_version(project.config.registry.path, operand.source, check_files=False)
            case OperandKind.ENDPOINT:
                endpoint_of(operand, remote)
                _key(operand.name, remote)
            case OperandKind.SYSTEM | OperandKind.MODEL:
                pass


def compare_operands(
    project: Project,
    records: Sequence[StageRecord],
    operands: Sequence[Operand],
    *,
    remote: Remote,
    save: Path | None = None,
    progress: ReportProgress = no_progress,
) -> Compared:
    """Rank the corpus for the test queries with every operand, compare with the first, and save runs if wanted."""
    from dialekt.evaluation.comparison import Settings
    from dialekt.evaluation.contest import hold_contest
    from dialekt.measures.runs import write_run
    from dialekt.pairs.records import MADE_QUERIES

    ground = Ground(project, {record.stage: record for record in records}, progress)
    with exclusive(ground.kept):
        runs = {operand.name: ground.run(operand, remote) for operand in operands}
    config = project.config.evaluation
    settings = Settings(config.confidence, config.resamples, project.config.project.seed)
    contest = hold_contest(runs, ground.held.judgments, settings)
    if save is not None:
        for name, run in runs.items():
            write_run(save / f"{_UNSAFE.sub('-', name)}.run.gz", run, system=_UNSAFE.sub("-", name))
    if ground.records[StageName.PAIRS].facts["held_out"] == MADE_QUERIES:
        ground.warnings.append("the test queries were made from documents: this says nothing about people's queries")
    if not contest.condensed_meaningful:
        ground.warnings.append(
            "fewer than half of the queries have a judged non-answer: NDCG@10 without unjudged results says little here"
        )
    sources = {operand.name: operand.source for operand in operands}
    return Compared(contest, len(ground.collection.document_ids), sources, tuple(ground.warnings))


class Ground:
    """What all operands share: the corpus, the held-out queries, and where vectors of other models are kept."""

    def __init__(self, project: Project, records: Mapping[StageName, StageRecord], progress: ReportProgress):
        self.project = project
        self.records = records
        self.progress = progress
        self.warnings: list[str] = []
        self.depth = project.config.evaluation.depth
        self.kept = project.artefacts / FOLDER_NAME

    @cached_property
    def collection(self) -> "Collection":
        """The corpus."""
        from dialekt.measures.retrieval import read_collection

        return read_collection(self.records[StageName.CORPUS].folder)

    @cached_property
    def held(self) -> "Held":
        """The held-out queries with their judgments and labels."""
        from dialekt.evaluation.held import read_held

        config = self.project.config
        return read_held(
            self.records[StageName.PAIRS].folder,
            labels=config.evaluation.labels,
            minimum_grade=config.pairs.minimum_grade,
        )

    @property
    def query_ids(self) -> tuple[str, ...]:
        """The test queries, in the order of every run."""
        return tuple(query.id for query in self.held.test)

    @property
    def division(self) -> str:
        """The id of what decided which queries are held out."""
        return (self.records.get(StageName.SPLIT) or self.records[StageName.PAIRS]).id

    def run(self, operand: Operand, remote: Remote) -> "Run":
        """Return an operand's ranking of the corpus for the test queries."""
        match operand.kind:
            case OperandKind.SYSTEM:
                evaluation = self.records[StageName.EVALUATION].folder
                return read_runs(evaluation, [operand.source], self.held)[operand.source]
            case OperandKind.RUN_FILE:
                return self._external(operand)
            case OperandKind.VERSION:
                from dialekt.registry.versions import load_version

                version = load_version(self.project.config.registry.path, operand.source, check_files=False)
                if version.lineage.artefacts.split != self.division:
                    self.warnings.append(
                        f"{operand.name} was trained with another split: test queries may have been in its training"
                    )
                return self._of_model(str(version.model))
            case OperandKind.MODEL:
                return self._of_model(operand.source)
            case OperandKind.ENDPOINT:
                return self._of_endpoint(operand, remote)

    def _external(self, operand: Operand) -> "Run":
        from dialekt.evaluation.external import read_external

        found = read_external(Path(operand.source), self.query_ids, self.collection.document_ids, depth=self.depth)
        if found.missing_queries:
            self.warnings.append(f"{operand.name}: {found.missing_queries:,} test queries have no result and count 0")
        if found.other_queries:
            self.warnings.append(
                f"{operand.name}: {found.other_queries:,} queries are no test queries and are left out"
            )
        if found.unknown_documents:
            self.warnings.append(
                f"{operand.name}: {found.unknown_documents:,} documents are not in the corpus; they keep their ranks"
            )
        return found.run

    def _of_model(self, name: str) -> "Run":
        """Rank with a model; its vectors are kept beside the artefacts, as long as corpus, queries and model stay."""
        from dialekt.measures.retrieval import dense_run, require_same_corpus
        from dialekt.models import vectors
        from dialekt.models.base import describe_model, fetch_model
        from dialekt.models.encoders import load_encoder, plain_config

        config = plain_config(self.project.config.model)
        fetch_model(name, trust_remote_code=config.trust_remote_code)
        model = describe_model(name, trust_remote_code=config.trust_remote_code)
        corpus, pairs = self.records[StageName.CORPUS], self.records[StageName.PAIRS]
        folder = self.kept / hash_json([model, corpus.id, pairs.id, vectors.STAGE_VERSION])[:KEY_DIGITS]
        if not folder.is_dir():
            partial = folder.with_name(folder.name + PARTIAL_SUFFIX)
            inputs = vectors.VectorsInputs(corpus.folder, pairs.folder, splits=(Split.TEST,))
            encoder = load_encoder(name, config, cache=self.project.endpoint_vectors)
            vectors.run(encoder, inputs, partial, progress=self.progress)
            publish_folder(partial, folder)
        loaded = vectors.load_vectors(folder)
        require_same_corpus(self.collection, loaded, folder)
        return dense_run(self.collection, loaded, self.held.test, depth=self.depth)

    def _of_endpoint(self, operand: Operand, remote: Remote) -> "Run":
        from dialekt.measures.retrieval import dense_run
        from dialekt.models.remote import RemoteEncoder
        from dialekt.models.vectors import Vectors

        endpoint = endpoint_of(operand, remote)
        queries, documents = [query.text for query in self.held.test], self.collection.texts
        encoder = RemoteEncoder(endpoint, self.project.endpoint_vectors, key=_key(operand.name, remote))
        try:
            _ask_first(encoder, operand.name, remote, {Role.QUERY: queries, Role.DOCUMENT: documents})
            vectors = Vectors(
                document_ids=list(self.collection.unit_ids),
                document_vectors=encoder.embed(documents, Role.DOCUMENT, progress=self.progress),
                query_ids=list(self.query_ids),
                query_vectors=encoder.embed(queries, Role.QUERY, progress=self.progress),
            )
        finally:
            encoder.close()
        return dense_run(self.collection, vectors, self.held.test, depth=self.depth)


def endpoint_of(operand: Operand, remote: Remote) -> "EmbeddingEndpoint":
    """Return the endpoint that an operand names, with the prompts and the limit of the command."""
    from dialekt.models.endpoint import parse_endpoint

    return replace(
        parse_endpoint(operand.source),
        query_prompt=remote.query_prompt,
        document_prompt=remote.document_prompt,
        max_characters=remote.max_characters,
    )


def _check_keys(operands: Sequence[Operand], remote: Remote) -> None:
    """Raise `UsageError` for a key that no endpoint is to get, before anything is asked."""
    endpoints = [operand.name for operand in operands if operand.kind is OperandKind.ENDPOINT]
    for name in remote.key_variables:
        if name not in endpoints:
            raise UsageError(
                f"there is no endpoint {name!r} to send a key to", hint=f"one of: {', '.join(endpoints) or 'none'}"
            )


def _key(name: str, remote: Remote) -> str:
    variable = remote.key_variables.get(name)
    if variable is None:
        return ""
    key = os.environ.get(variable, "")
    if not key:
        raise ConfigError(f"the environment variable {variable} is not set", hint=f"export {variable}=…")
    return key


def _ask_first(encoder: "RemoteEncoder", name: str, remote: Remote, texts: Mapping[Role, Sequence[str]]) -> None:
    """Tell of an errand before texts leave this machine, and of nothing where all vectors are kept already."""
    from dialekt.models.endpoint import estimate_tokens

    missing = [text for role, given in texts.items() for text in encoder.missing(given, role)]
    if missing and not encoder.endpoint.is_local:
        remote.confirm(Errand(name, encoder.endpoint.host, len(missing), estimate_tokens(missing)))
