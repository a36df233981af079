"""Which way of training a project takes, and what adapters are given: vectors that the journey has made already."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, assert_never

import numpy as np
from numpy.typing import NDArray

from dialekt.config import TRAINED_HERE, Config, TrainingConfig, TrainingMethod
from dialekt.errors import ConfigError
from dialekt.flow.records import StageName
from dialekt.flow.workbench import Workbench
from dialekt.models.adapter_names import is_adapter_folder
from dialekt.models.endpoint import is_endpoint
from dialekt.types import ReportProgress, Role

if TYPE_CHECKING:
    from dialekt.evaluation.dev import DevSet
    from dialekt.evaluation.general.measure import GeneralSet
    from dialekt.models.adapter_folder import Maps
    from dialekt.models.vectors import Move
    from dialekt.training.records import EncodeFunction, TrainingFacts, TrainingInputs


def method_of(config: Config) -> TrainingMethod:
    """Return how the project trains. Raises `ConfigError` where it cannot train so."""
    base, given = config.model.base, config.training.method
    out_of_reach = is_endpoint(base) or is_adapter_folder(Path(base))
    if given is None:
        return TrainingMethod.ADAPTER if out_of_reach else TrainingMethod.FULL
    if given is not TrainingMethod.ADAPTER and out_of_reach:
        raise ConfigError(
            f"training.method = {given.value!r} changes weights, and those of {base!r} are out of reach",
            hint='unset it, or set training.method = "adapter", or name a model whose weights you have',
        )
    return given


def is_adapter(config: Config) -> bool:
    """Whether the project trains an adapter."""
    return method_of(config) is TrainingMethod.ADAPTER


def method_settings(config: Config) -> dict[str, Any]:
    """Return what decides how an adapter is trained, nothing for full tuning.

    Raises `ConfigError` for settings that do nothing.
    """
    from dialekt.training.adapting_recipe import check_settings

    _check_endpoint_settings(config)
    given = config.adapter.model_dump(mode="json")
    if not is_adapter(config):
        if idle := [name for name, value in given.items() if value is not None]:
            raise ConfigError(
                f"adapter.{idle[0]} = {given[idle[0]]!r}, but no adapter is trained",
                hint='set training.method = "adapter", or unset it',
            )
        own = method_of(config)
        return {} if own is TrainingMethod.FULL else {"training.method": own.value}
    check_settings(config.training, config.adapter)
    if config.teacher.model == TRAINED_HERE and is_endpoint(config.model.base):
        raise ConfigError(
            f"teacher.model = {TRAINED_HERE!r} starts from the base model's weights, and they are out of reach",
            hint="name a cross-encoder, such as cross-encoder/ms-marco-MiniLM-L6-v2",
        )
    values = {f"adapter.{name}": value for name, value in given.items()}
    return {"training.method": TrainingMethod.ADAPTER.value} | values


def _check_endpoint_settings(config: Config) -> None:
    """Raise `ConfigError` for settings of an endpoint where there is none."""
    from dialekt.models.endpoint_key import base_host

    for name in ("api_key_variable", "max_characters"):
        value = getattr(config.model, name)
        if value is not None and not base_host(config.model.base):
            raise ConfigError(
                f"model.{name} = {value!r}, but model.base = {config.model.base!r} is no endpoint",
                hint="unset it, or name an endpoint: openai:https://host/v1#model, tei:http://host",
            )


def train_by_method(
    workbench: Workbench,
    config: TrainingConfig,
    inputs: "TrainingInputs",
    dev_sets: "Sequence[DevSet]",
    out: Path,
    *,
    barred: frozenset[str] = frozenset(),
    progress: ReportProgress,
) -> "TrainingFacts":
    """Train as the project does. `dev_sets` are those that `inputs` scores; `barred` are no random negatives."""
    match method_of(workbench.config):
        case TrainingMethod.FULL | TrainingMethod.LORA:
            from dialekt.training import stage

            return stage.run(config, inputs, out, progress=progress)
        case TrainingMethod.ADAPTER:
            return _train_adapter(workbench, config, inputs, dev_sets, out, barred=barred, progress=progress)
        case unreachable:
            assert_never(unreachable)


def tuned_maps(workbench: Workbench) -> "dict[Role, Move]":
    """Return the maps of the tuned adapter by side."""
    return _by_role(_read_maps(workbench.tuned_model))


def tuned_encode(workbench: Workbench, general: "GeneralSet") -> "EncodeFunction":
    """Return what encodes the texts of a general set with the tuned model; an adapter moves vectors that are there."""
    if not is_adapter(workbench.config):
        return workbench.load(str(workbench.tuned_model)).encode
    known = _KnownVectors(workbench)
    known.add_general(general)
    return _moved(known, _by_role(_read_maps(workbench.tuned_model)))


def encode_of(workbench: Workbench, model: Path, *, dev_sets: "Sequence[DevSet]") -> "EncodeFunction":
    """Return what encodes the texts of dev sets with a model that the project has trained."""
    if not is_adapter(workbench.config):
        return workbench.load(str(model)).encode
    known = _KnownVectors(workbench)
    known.add_dev(dev_sets)
    return _moved(known, _by_role(_read_maps(model)))


class _KnownVectors:
    """The base model's vectors of texts that the journey has encoded; others are encoded once."""

    def __init__(self, workbench: Workbench):
        self._workbench = workbench
        self._known: dict[tuple[Role, str], NDArray[np.float32]] = {}

    def add_dev(self, dev_sets: "Sequence[DevSet]") -> None:
        """Learn the vectors of dev queries and of their pools of documents."""
        from dialekt.evaluation.dev import pool_vectors
        from dialekt.models.vectors import load_vectors

        folder = self._workbench.folder(StageName.BASE_VECTORS)
        vectors = load_vectors(folder)
        rows = {name: row for row, name in enumerate(vectors.query_ids)}
        for dev_set in dev_sets:
            places = [rows[name] for name in dev_set.query_ids]
            self._add(Role.QUERY, dev_set.query_texts, vectors.query_vectors[places])
            self._add(Role.DOCUMENT, dev_set.document_texts, pool_vectors(dev_set, folder))

    def add_general(self, general: "GeneralSet") -> None:
        """Learn the vectors of general queries and documents."""
        self._add(Role.QUERY, general.query_texts, general.base_queries)
        self._add(Role.DOCUMENT, general.document_texts, general.base_documents)

    def __call__(self, texts: Sequence[str], role: Role) -> NDArray[np.float32]:
        """Return the base model's vectors of texts (texts, dimension)."""
        missing = list(dict.fromkeys(text for text in texts if (role, text) not in self._known))
        if missing or not texts:
            self._add(role, missing, self._workbench.base_encoder.encode(missing, role))
        width = self._workbench.base_encoder.dimension
        return np.array([self._known[role, text] for text in texts], dtype=np.float32).reshape(len(texts), width)

    def _add(self, role: Role, texts: Sequence[str], vectors: NDArray[np.float32]) -> None:
        self._known |= {(role, text): vector for text, vector in zip(texts, np.asarray(vectors), strict=True)}


def _train_adapter(
    workbench: Workbench,
    config: TrainingConfig,
    inputs: "TrainingInputs",
    dev_sets: "Sequence[DevSet]",
    out: Path,
    *,
    barred: frozenset[str],
    progress: ReportProgress,
) -> "TrainingFacts":
    from dialekt.training import adapting

    known = _KnownVectors(workbench)
    known.add_dev(dev_sets)
    if inputs.general is not None:
        from dialekt.evaluation.general.measure import read_set

        known.add_general(read_set(workbench.folder(StageName.GENERAL)))
    contract = workbench.base_encoder.contract

    def save(maps: "Maps", folder: Path) -> None:
        from dialekt.models.adapter_folder import save_adapter
        from dialekt.models.encoders import base_folder

        with base_folder(workbench.config.model, workbench.base_encoder, beside=folder) as base:
            save_adapter(folder, maps, contract, base, documents_id=contract.document_model or workbench.base_model_id)

    own = adapting.AdaptingInputs(
        training=inputs,
        contract=contract,
        vectors=workbench.folder(StageName.BASE_VECTORS),
        encode=known,
        barred=barred | _held_out(workbench),
        save=save,
    )
    return adapting.run(config, workbench.config.adapter, own, out, progress=progress)


def _held_out(workbench: Workbench) -> frozenset[str]:
    """Return the units of documents that only held-out queries know: nobody's negatives."""
    from dialekt.measures.retrieval import read_collection, rows_by_name
    from dialekt.pairs.records import HeldOutDocument
    from dialekt.store.tables import read_records

    collection = read_collection(workbench.folder(StageName.CORPUS))
    units = rows_by_name(collection)
    path = workbench.folder(StageName.PAIRS) / "held_out_documents.parquet"
    names = [one.document_id for one in read_records(path, HeldOutDocument)]
    return frozenset(collection.unit_ids[row] for name in names for row in units.get(name, []))


def _read_maps(model: Path) -> "Maps":
    from dialekt.models.adapter_folder import read_maps

    return read_maps(model)


def _by_role(maps: "Maps") -> "dict[Role, Move]":
    return {Role.QUERY: maps.queries.apply, Role.DOCUMENT: maps.documents.apply if maps.documents else np.asarray}


def _moved(base: "EncodeFunction", maps: "Mapping[Role, Move]") -> "EncodeFunction":
    return lambda texts, role: maps[role](base(texts, role))
