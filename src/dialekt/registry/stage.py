"""A trained model and its evidence → a registered version: exported, checked, described, immutable."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from dialekt.config import RegistryConfig
from dialekt.models.contract import EncodingContract
from dialekt.models.export import ExportFacts, export_model, servers_can_load
from dialekt.models.parity import check_parity
from dialekt.registry.aliases import judge_version
from dialekt.registry.card import CardFacts, write_card
from dialekt.registry.records import STAGE_VERSION, Evidence, Lineage, Parity
from dialekt.registry.versions import Registration, admit, content_id, find_registered, workspace
from dialekt.store.manifest import hash_files
from dialekt.types import Progress, ReportProgress, no_progress

__all__ = ["STAGE_VERSION", "RegistryFacts", "RegistryInputs", "register_model"]

_STEPS = ("export the model", "compare its vectors", "write its card", "register it")


@dataclass(frozen=True, slots=True)
class RegistryInputs:
    """A trained model with its contract, how it was made, and what was measured. `license` is a Hub identifier."""

    model: Path
    contract: EncodingContract
    lineage: Lineage
    evidence: Evidence
    title: str = "A tuned embedding model"
    license: str = "unknown"
    trust_remote_code: bool = False


@dataclass(frozen=True, slots=True)
class RegistryFacts:
    """What was registered, and what the promotion gate would say about it."""

    version: str
    content_id: str
    already_registered: bool
    parity_passed: bool
    parity_min_cosine: float
    parity_max_abs_difference: float
    servers_can_load: bool
    size_bytes: int
    promotable: bool
    promotable_reason: str


def register_model(
    config: RegistryConfig, inputs: RegistryInputs, *, created: str, progress: ReportProgress = no_progress
) -> RegistryFacts:
    """Export a model, compare it with the trained one, write its card, and register all of it as the next version.

    The version of the same training and evaluation is returned as it is, when there is one and its files are intact.
    Raises `ModelError` when the model cannot be exported, `StorageError` when it cannot be written.
    """
    known = find_registered(config.path, inputs.lineage)
    if known is not None:
        return _facts(config, Registration(known, already_registered=True))
    with workspace(config.path) as partial:
        registration = _build(config.path, partial, inputs, created=created, progress=progress)
    return _facts(config, registration)


def _build(
    registry: Path, partial: Path, inputs: RegistryInputs, *, created: str, progress: ReportProgress
) -> Registration:
    model = partial / "model"
    progress(_step(0))
    export = export_model(inputs.model, model, inputs.contract, trust_remote_code=inputs.trust_remote_code)
    progress(_step(1))
    parity = _parity(inputs.model, model, trust_remote_code=inputs.trust_remote_code)
    evidence = dataclasses.replace(inputs.evidence, parity=parity)
    progress(_step(2))
    write_card(model, _card(inputs, export, evidence, identity=content_id(hash_files(model)), created=created))
    progress(_step(3))
    registration = admit(registry, partial, inputs.lineage, evidence, created=created)
    progress(_step(len(_STEPS)))
    return registration


def _step(done: int) -> Progress:
    return Progress("register", done, len(_STEPS), note=_STEPS[done] if done < len(_STEPS) else "")


def _parity(original: Path, exported: Path, *, trust_remote_code: bool) -> Parity:
    facts = check_parity(original, exported, trust_remote_code=trust_remote_code)
    return Parity(facts.texts, facts.min_cosine, facts.max_abs_difference, facts.passed, facts.fault)


def _card(inputs: RegistryInputs, export: ExportFacts, evidence: Evidence, *, identity: str, created: str) -> CardFacts:
    return CardFacts(
        title=inputs.title,
        license=inputs.license,
        contract=inputs.contract,
        export=export,
        lineage=inputs.lineage,
        evidence=evidence,
        content_id=identity,
        created=created,
    )


def _facts(config: RegistryConfig, registration: Registration) -> RegistryFacts:
    version = registration.version
    parity = version.evidence.parity
    verdict = judge_version(config.path, version, minimum_gain=config.minimum_gain)
    return RegistryFacts(
        version=version.name,
        content_id=version.content_id,
        already_registered=registration.already_registered,
        parity_passed=parity.passed if parity else False,
        parity_min_cosine=parity.min_cosine if parity else -1.0,
        parity_max_abs_difference=parity.max_abs_difference if parity else 2.0,
        servers_can_load=servers_can_load(version.model),
        size_bytes=sum(path.stat().st_size for path in version.model.rglob("*") if path.is_file()),
        promotable=verdict.promotable,
        promotable_reason="; ".join(verdict.reasons),
    )
