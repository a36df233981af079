"""The last two stages: the tuned model becomes a registered version, and all facts become a report."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dialekt import __version__
from dialekt.errors import NotFoundError, StorageError
from dialekt.flow.answers import AnswerSources, Found, read_answers
from dialekt.flow.artefacts import Artefact
from dialekt.flow.clock import now
from dialekt.flow.recipes.records import read_found, search_folders
from dialekt.flow.records import StageName
from dialekt.flow.sides import full_tuning
from dialekt.flow.teaching import adapted_model, training_seed
from dialekt.flow.workbench import Workbench
from dialekt.store.atomic import disk_errors, write_atomic
from dialekt.store.hashing import hash_json
from dialekt.store.manifest import Manifest
from dialekt.types import ReportProgress

if TYPE_CHECKING:
    from dialekt.evaluation.records import EvaluationFacts
    from dialekt.registry.records import AdaptedBy, Evidence, Forgetting, Lineage, Recipe, SystemResult, Threshold
    from dialekt.report.records import ChangeTexts

STAGE_VERSION = 2
PAGES = ("report.html", "report.md")


def register_model(workbench: Workbench, out: Path, *, progress: ReportProgress) -> object:
    """Tuned model and evidence → an immutable version in the registry."""
    from dialekt.models.contract import read_contract
    from dialekt.registry.stage import RegistryInputs
    from dialekt.registry.stage import register_model as register

    inputs = RegistryInputs(
        model=workbench.tuned_model,
        contract=read_contract(workbench.tuned_model),
        lineage=lineage_of(workbench),
        evidence=evidence_of(workbench),
        title=workbench.config.project.name,
        trust_remote_code=workbench.config.model.trust_remote_code,
    )
    created = now()
    facts = register(workbench.config.registry, inputs, created=created, progress=progress)
    write_atomic(out / "version.json", json.dumps({"version": facts.version, "content_id": facts.content_id}))
    return facts


def lineage_of(workbench: Workbench) -> "Lineage":
    """Return everything that is needed to make the model again."""
    from dialekt.registry.records import ArtefactIds, Lineage

    ids = {name: artefact.manifest.id for name, artefact in workbench.artefacts.items()}
    return Lineage(
        base_model=workbench.config.model.base,
        base_model_id=workbench.base_model_id,
        artefacts=ArtefactIds(
            corpus=ids[StageName.CORPUS],
            split=workbench.division.manifest.id,
            pairs=ids[StageName.PAIRS],
            negatives=ids[StageName.NEGATIVES],
            training=ids[StageName.TRAINING],
            evaluation=ids[StageName.EVALUATION],
            adaptation=ids[StageName.ADAPTATION] if adapted_model(workbench) else "",
        ),
        config=workbench.config.model_dump(mode="json"),
        code_version=__version__,
        libraries=workbench.artefacts[StageName.TRAINING].manifest.libraries,
        seed=training_seed(workbench.config),
        recipe=_recipe(workbench),
    )


def _recipe(workbench: Workbench) -> "Recipe":
    from dialekt.registry.records import Recipe, Setting

    corpus, pairs, negatives, training = (
        workbench.artefacts[name].manifest.facts
        for name in (StageName.CORPUS, StageName.PAIRS, StageName.NEGATIVES, StageName.TRAINING)
    )
    settings = workbench.config.training.model_dump(mode="json", exclude_none=True)
    chosen = {name: Setting(value) for name, value in settings.items()}
    derived = {name: Setting(choice["value"], choice["why"]) for name, choice in training["derived"].items()}
    return Recipe(
        queries=pairs["queries"],
        documents=corpus["documents"],
        pairs=pairs["pairs"],
        hard_negatives=negatives["negatives"],
        pairs_by_source=pairs["by_source"],
        settings=chosen | derived,
        adaptation=_adapted_by(workbench),
    )


def _adapted_by(workbench: Workbench) -> "tuple[AdaptedBy, ...]":
    """Return the adaptations that are in the model."""
    from dialekt.registry.records import AdaptedBy
    from dialekt.types import Interval

    artefact = workbench.artefacts.get(StageName.ADAPTATION)
    found = []
    for one in artefact.manifest.facts["methods"] if artefact else ():
        verdict, fitted = one["verdict"], one["fitted"]
        if verdict["kept"]:
            asked = verdict["gain"] is not None
            gain = Interval(verdict["gain"], verdict["low"], verdict["high"]) if asked else None
            found.append(AdaptedBy(one["method"], fitted["passages"], fitted["terms"], gain))
    return tuple(found)


def evidence_of(workbench: Workbench) -> "Evidence":
    """Return what the evaluation found, as the registry remembers it. A leak would have ended the walk before."""
    from dialekt.evaluation.records import facts_from_json
    from dialekt.measures.metrics import NDCG
    from dialekt.registry.records import Evidence, Gain

    facts = facts_from_json(workbench.artefacts[StageName.EVALUATION].manifest.facts)
    found = facts.comparison("tuned", "base", NDCG)
    gain = (
        None
        if found is None
        else Gain(found.metric, found.difference, found.low, found.high, found.p_value, facts.confidence)
    )
    return Evidence(
        split=workbench.held_out_id,
        queries=facts.queries,
        documents=facts.documents,
        systems=_systems(facts),
        gain=gain,
        leak_check_passed=True,
        minimum_detectable_effect=facts.minimum_detectable_effect,
        recommendation=facts.recommendation,
        recommendation_reason=facts.recommendation_reason,
        made_queries=facts.made_queries,
        thresholds=_thresholds(facts),
        forgetting=_forgetting(facts),
    )


def _thresholds(facts: "EvaluationFacts") -> "tuple[Threshold, ...]":
    from dialekt.registry.records import Threshold

    return tuple(
        Threshold(item.system, item.target, item.cosine, item.precision, item.recall, item.empty)
        for item in facts.thresholds
    )


def _forgetting(facts: "EvaluationFacts") -> "Forgetting | None":
    from dialekt.registry.records import Forgetting
    from dialekt.types import Interval

    general = facts.general
    if general is None:
        return None
    change = Interval(general.comparison.difference, general.comparison.low, general.comparison.high)
    return Forgetting(
        source=general.name,
        queries=general.queries,
        documents=general.documents,
        base=general.base,
        tuned=general.tuned,
        change=change,
        limit=general.limit,
        passed=general.passed,
    )


def _systems(facts: "EvaluationFacts") -> "tuple[SystemResult, ...]":
    from dialekt.registry.records import SystemResult
    from dialekt.types import Interval

    return tuple(
        SystemResult(
            result.system,
            result.dimension,
            {name: Interval(cell.value, cell.low, cell.high) for name, cell in result.metrics.items()},
        )
        for result in facts.systems
    )


def missing_version(workbench: Workbench, artefact: Artefact) -> str:
    """Say whether the version that a finished stage registered is still there, with the same content."""
    from dialekt.registry.versions import load_version

    facts = artefact.manifest.facts
    try:
        version = load_version(workbench.config.registry.path, facts["version"], check_files=False)
    except (NotFoundError, StorageError) as error:
        return error.message
    return "" if version.content_id == facts["content_id"] else f"{version.name} is another model now"


def write_report(workbench: Workbench, out: Path, *, progress: ReportProgress) -> object:  # noqa: ARG001 - every stage has this shape
    """Facts of all stages → one HTML page and the same as Markdown."""
    from dialekt.report.page import write_report as write_pages
    from dialekt.report.records import ReportInputs

    manifests = {name.value: artefact.manifest for name, artefact in workbench.artefacts.items()}
    registry, diagnosis = manifests[StageName.REGISTRY], _diagnosis(workbench)
    inputs = ReportInputs(
        project=workbench.config.project.name,
        created=registry.created,
        config=workbench.config.model_dump(mode="json"),
        facts={name: manifest.facts for name, manifest in manifests.items()},
        seconds={name: manifest.seconds for name, manifest in manifests.items()},
        commands=("dialekt run", f"dialekt models promote {registry.facts['version']}"),
        ids={name: manifest.id for name, manifest in manifests.items()},
        versions=manifests[StageName.TRAINING].libraries,
        texts=_change_texts(workbench) if workbench.config.report.texts else {},
        full_tuning=full_tuning(workbench),
        diagnosis=diagnosis.facts if diagnosis else {},
        search=_search(workbench),
    )
    facts = write_pages(inputs, out)
    html, markdown = (f"{workbench.project.report.name}/{name}" for name in PAGES)
    return replace(facts, html=html, markdown=markdown)


def told_beside(workbench: Workbench) -> dict[str, str]:
    """Identify the diagnosis and the search for a recipe that the report speaks of, where there are any."""
    diagnosis, search = _diagnosis(workbench), _search(workbench)
    found = {"diagnosis": diagnosis.id} if diagnosis else {}
    return found | ({"search": hash_json(search)} if search else {})


def _search(workbench: Workbench) -> dict[str, Any]:
    """Return what the youngest search found that kept the recipe of this training, empty where there was none."""
    key = workbench.artefacts[StageName.TRAINING].manifest.key
    searches = map(read_found, search_folders(workbench.project.artefacts))
    return next((found for found in searches if found.get("winner_key") == key), {})


def _diagnosis(workbench: Workbench) -> Manifest | None:
    """Return the newest diagnosis of the same pairs, or of a sample of them, by the same base model."""
    found = workbench.store.latest(StageName.DIAGNOSIS)
    if found is None or found.inputs.get("base model") != workbench.base_model_id:
        return None
    pairs = workbench.artefacts[StageName.PAIRS].manifest.id
    sample = workbench.store.latest(StageName.SAMPLE)
    sampled = sample is not None and sample.inputs[StageName.PAIRS] == pairs
    if sampled and sample is not None and found.inputs.get(StageName.SAMPLE) == sample.id:
        return found
    return found if found.inputs.get(StageName.PAIRS) == pairs else None


def _change_texts(workbench: Workbench) -> "dict[str, ChangeTexts]":
    """Return the texts of the largest wins and losses: only for a user who asked for them."""
    from dialekt.evaluation.records import facts_from_json
    from dialekt.report.records import ChangeTexts

    facts = facts_from_json(workbench.artefacts[StageName.EVALUATION].manifest.facts)
    query_ids = [change.query_id for change in (*facts.wins, *facts.losses)]
    return {
        answers.query_id: ChangeTexts(
            query=answers.query,
            base_document=_first_text(answers.by_system["base"]),
            tuned_document=_first_text(answers.by_system["tuned"]),
        )
        for answers in read_answers(answer_sources(workbench), query_ids)
    }


def answer_sources(workbench: Workbench) -> AnswerSources:
    """Return where the answers to held-out queries are read from."""
    return AnswerSources(
        corpus=workbench.folder(StageName.CORPUS),
        split=workbench.folder(StageName.PAIRS),
        evaluation=workbench.folder(StageName.EVALUATION),
        minimum_grade=workbench.config.pairs.minimum_grade,
    )


def _first_text(found: Sequence[Found]) -> str:
    return f"{found[0].title} {found[0].text}".strip() if found else ""


def place_pages(workbench: Workbench, artefact: Artefact) -> None:
    """Copy the pages to where a person looks for them."""
    with disk_errors(workbench.project.report):
        for name in PAGES:
            target, content = workbench.project.report / name, (artefact.folder / name).read_bytes()
            if not target.is_file() or target.read_bytes() != content:
                write_atomic(target, content)
