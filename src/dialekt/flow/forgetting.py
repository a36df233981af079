"""The guard against forgetting: general queries, asked of the base, of mixtures under choice and of the tuned model."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from platform import python_version_tuple
from typing import TYPE_CHECKING, Any

from dialekt.config import Config, CorpusConfig, CorpusFormat
from dialekt.errors import InputError
from dialekt.evaluation.general.records import GeneralMaterial, GeneralSetFacts, GeneralSource
from dialekt.flow import adapting
from dialekt.flow.records import StageName
from dialekt.flow.workbench import Workbench
from dialekt.types import Document, Progress, Qrel, Query, ReportProgress, Role, Split

if TYPE_CHECKING:
    from dialekt.evaluation.general.measure import GeneralScores
    from dialekt.training.records import EncodeFunction, GeneralGuard

OFF = "off"
MOST_DOCUMENTS = 2_000
DOCSTRINGS_PER_QUERY = 4


def is_on(config: Config) -> bool:
    """Whether the project asks general queries."""
    return config.evaluation.general != OFF


def source_of(config: Config) -> GeneralSource:
    """Return where the general queries come from: whatever is no known name is a folder."""
    name = config.evaluation.general
    known = {source.value for source in GeneralSource if source is not GeneralSource.FOLDER}
    return GeneralSource(name) if name in known else GeneralSource.FOLDER


def set_settings(config: Config) -> dict[str, Any]:
    """Return what decides which general queries are asked; of a folder only its files count, not its place."""
    return {"evaluation.general": source_of(config), "evaluation.general_queries": config.evaluation.general_queries}


def chooses(config: Config) -> bool:
    """Whether general queries help to choose a mixture, which is all that training asks them for."""
    return is_on(config) and config.training.interpolate


def limit_settings(config: Config) -> dict[str, Any]:
    """Return what training depends on: nothing where general queries choose no mixture."""
    return {"evaluation.max_general_loss": config.evaluation.max_general_loss} if chooses(config) else {}


def outside(workbench: Workbench) -> dict[str, str]:
    """Identify the texts: by the files of a folder, or by the version of Python that brought its docstrings."""
    match source_of(workbench.config):
        case GeneralSource.BUILTIN:
            return {"python": ".".join(python_version_tuple()[:2])}
        case GeneralSource.NANOBEIR:
            return {}
        case GeneralSource.FOLDER:
            return {f"file {name}": digest for name, digest in workbench.source(_folder(workbench)).items()}


def make_general(workbench: Workbench, out: Path, *, progress: ReportProgress) -> object:
    """Texts of the general world → a set of general queries and the base model's vectors of it."""
    from dialekt.evaluation.general import measure, sets
    from dialekt.models import vectors

    config, source = workbench.config, source_of(workbench.config)
    progress(Progress("reading general texts", 0))
    own = sets.read_project_texts(workbench.folder(StageName.CORPUS), workbench.folder(StageName.PAIRS))
    drawn, dropped = sets.draw(
        _read(workbench, source, progress),
        own,
        queries=config.evaluation.general_queries,
        documents=_most_documents(config),
    )
    sets.write_set(drawn, out)
    encoded = vectors.run(workbench.base_encoder, vectors.VectorsInputs(corpus=out, split=out), out, progress=progress)
    choosing = sum(query.split is Split.DEV for query in drawn.queries)
    return GeneralSetFacts(
        source=source,
        queries=len(drawn.queries) - choosing,
        choosing_queries=choosing,
        documents=encoded.documents,
        dropped=dropped,
        base_ndcg=float(measure.score_base(measure.read_set(out)).mean()),
        tokens=encoded.tokens,
        tokens_per_second=encoded.tokens_per_second,
    )


def _most_documents(config: Config) -> int:
    """Return the size of the pool; docstrings are near each other, so that few others do beside the answers."""
    scaled = DOCSTRINGS_PER_QUERY * config.evaluation.general_queries
    return min(scaled, MOST_DOCUMENTS) if source_of(config) is GeneralSource.BUILTIN else MOST_DOCUMENTS


def _read(workbench: Workbench, source: GeneralSource, progress: ReportProgress) -> GeneralMaterial:
    match source:
        case GeneralSource.BUILTIN:
            return _read_docstrings()
        case GeneralSource.NANOBEIR:
            from dialekt.evaluation.general.hub import read_nanobeir

            return read_nanobeir(progress=progress)
        case GeneralSource.FOLDER:
            return _read_beir(_folder(workbench))


def _read_docstrings() -> GeneralMaterial:
    from dialekt.corpus.standard_library import standard_library_pairs

    pairs = standard_library_pairs()
    return GeneralMaterial(
        [Document(pair.name, pair.body) for pair in pairs],
        [Query(pair.name, pair.summary) for pair in pairs],
        [Qrel(pair.name, pair.name) for pair in pairs],
    )


def _folder(workbench: Workbench) -> Path:
    folder = Path(workbench.config.evaluation.general)
    if not folder.is_dir():
        raise InputError(
            f"evaluation.general = {workbench.config.evaluation.general!r} is no folder",
            hint='give the folder of a BEIR collection, "builtin", "nanobeir" or "off"',
        )
    return folder


@dataclass(frozen=True, slots=True)
class _FolderDocuments:
    """The documents of a BEIR folder, read anew each time, since they may be more than memory holds."""

    folder: Path

    def __iter__(self) -> Iterator[Document]:
        from dialekt.corpus.layout import find_layout
        from dialekt.corpus.readers import read_table

        config = CorpusConfig(format=CorpusFormat.BEIR)
        for table in find_layout(self.folder, config, inline=False).tables:
            for found in read_table(table, config):
                yield Document(found.id, found.text, found.title)


def _read_beir(folder: Path) -> GeneralMaterial:
    from dialekt.pairs.formats import beir
    from dialekt.pairs.formats.builder import JudgmentsBuilder, Source

    builder = JudgmentsBuilder()
    beir.read(Source(folder), builder)
    return GeneralMaterial(
        _FolderDocuments(folder),
        [Query(query.id, query.text) for query in builder.queries.values()],
        [Qrel(qrel.query_id, qrel.document_id, qrel.grade) for qrel in builder.known_qrels()],
    )


def guard(workbench: Workbench, *, frozen: bool) -> "GeneralGuard | None":
    """Return how training asks general queries, those that are there to choose by; None where they choose nothing.

    `frozen` says that documents keep the vectors of the base model.
    """
    folder = workbench.folder_if_any(StageName.GENERAL)
    if folder is None or not chooses(workbench.config):
        return None
    from dialekt.evaluation.general import measure
    from dialekt.training.records import GeneralGuard

    general = measure.read_set(folder, split=Split.DEV)

    def score(encode: "EncodeFunction") -> float:
        documents = general.base_documents if frozen else encode(general.document_texts, Role.DOCUMENT)
        return float(measure.score(general, encode(general.query_texts, Role.QUERY), documents).mean())

    return GeneralGuard(
        score=score,
        texts=general.texts,
        base_ndcg=float(measure.score_base(general).mean()),
        max_loss=workbench.config.evaluation.max_general_loss,
    )


def score_tuned(workbench: Workbench, *, frozen: bool, progress: ReportProgress) -> "GeneralScores | None":
    """Ask the tuned model the general queries that chose nothing; None where the guard is off.

    `frozen` says that documents keep the vectors of the base model.
    """
    folder = workbench.folder_if_any(StageName.GENERAL)
    if folder is None:
        return None
    from dialekt.evaluation.general import measure

    progress(Progress("asking general queries", 0))
    general = measure.read_set(folder, split=Split.TEST)
    encode = adapting.tuned_encode(workbench, general)
    documents = general.base_documents if frozen else encode(general.document_texts, Role.DOCUMENT)
    queries = encode(general.query_texts, Role.QUERY)
    return measure.GeneralScores(
        name=source_of(workbench.config),
        documents=len(general.document_texts),
        base=measure.score_base(general),
        tuned=measure.score(general, queries, documents),
    )
