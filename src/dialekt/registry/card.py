"""The model card: what the model is, how it was made and how well it does. Counts, never texts."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, StrictUndefined, Template

from dialekt.models.contract import EncodingContract
from dialekt.models.endpoint import is_endpoint, parse_endpoint
from dialekt.models.export import ExportFacts
from dialekt.registry.records import AdaptedBy, Evidence, Lineage, SystemResult, Threshold
from dialekt.registry.versions import CARD_NAME
from dialekt.store.atomic import write_atomic

TEMPLATE_NAME = "card.md.jinja"
PACKAGED_MODELS = {"all-MiniLM-L6-v2": "sentence-transformers/all-MiniLM-L6-v2"}
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_SYSTEM_NAMES = {
    "bm25": "BM25",
    "base": "base model",
    "tuned": "**this model**",
    "hybrid_base": "BM25 + base model",
    "hybrid_tuned": "BM25 + **this model**",
}
_GENERAL_QUERIES = {
    "builtin": "on the docstrings of Python's standard library",
    "nanobeir": "of NanoBEIR",
    "folder": "of a collection that its maker chose",
}


@dataclass(frozen=True, slots=True)
class CardFacts:
    """Everything that a card is written from: records of counts and settings, which hold no query or document."""

    title: str
    license: str
    contract: EncodingContract
    export: ExportFacts
    lineage: Lineage
    evidence: Evidence
    content_id: str
    created: str


def write_card(folder: Path, facts: CardFacts) -> None:
    """Write the card of a model into its folder."""
    write_atomic(folder / CARD_NAME, render_card(facts))


def render_card(facts: CardFacts) -> str:
    """Return the card as Markdown with the front matter that the Hugging Face Hub reads."""
    evidence = facts.evidence
    metrics = list(dict.fromkeys(name for row in evidence.systems for name in row.metrics))
    return _template().render(
        facts=facts,
        contract=facts.contract,
        queries_only=bool(facts.contract.document_model) and not facts.export.moves_documents,
        recipe=facts.lineage.recipe,
        adaptation=[_adaptation_row(one) for one in facts.lineage.recipe.adaptation],
        evidence=evidence,
        hub_base=hub_name(facts.lineage.base_model),
        base=_base_name(facts.lineage.base_model),
        metrics=metrics,
        rows=_rows(evidence.systems, metrics),
        thresholds=[_threshold_row(threshold) for threshold in evidence.thresholds],
        forgetting=evidence.forgetting,
        general_queries=evidence.forgetting and _GENERAL_QUERIES[evidence.forgetting.source],
        recommendation=_SYSTEM_NAMES.get(evidence.recommendation, evidence.recommendation),
        confidence=evidence.gain.confidence if evidence.gain else 0.95,
        smaller=[size for size in facts.contract.matryoshka_dimensions if size < facts.contract.dimension],
    )


def hub_name(model: str) -> str:
    """Return a model's name on the Hub, empty for a local folder: its path is nobody's business."""
    name = PACKAGED_MODELS.get(model, model)
    return name if _HUB_NAME.fullmatch(name) and not Path(name).exists() else ""


def _base_name(model: str) -> str:
    if is_endpoint(model):
        endpoint = parse_endpoint(model)
        return endpoint.model or endpoint.host
    return hub_name(model) or Path(model).name


def _rows(systems: Sequence[SystemResult], metrics: Sequence[str]) -> list[list[str]]:
    """Return the result table: a name, then a value with its interval per metric."""
    table = []
    for row in systems:
        cells = [row.metrics.get(name) for name in metrics]
        shown = [f"{cell.value:.3f} ({cell.low:.3f} to {cell.high:.3f})" if cell else "" for cell in cells]
        table.append([_system_name(row), *shown])
    return table


def _threshold_row(threshold: Threshold) -> list[str]:
    """Return a row of the table of thresholds: system, cosine, precision, recall, queries without a result."""
    name = _SYSTEM_NAMES.get(threshold.system, threshold.system)
    if threshold.cosine is None:
        return [name, f"none reaches {threshold.target:.0%}", "", "", ""]
    shares = [
        f"{share.value:.0%} ({share.low:.0%} to {share.high:.0%})" if share else ""
        for share in (threshold.precision, threshold.recall)
    ]
    return [name, f"{threshold.cosine:.3f}", *shares, "" if threshold.empty is None else f"{threshold.empty:.0%}"]


def _adaptation_row(one: AdaptedBy) -> list[str]:
    """Return a row of the table of adaptations: method, passages, new tokens, gain."""
    gain = f"{one.gain.value:+.3f} ({one.gain.low:+.3f} to {one.gain.high:+.3f})" if one.gain else "not measured"
    return [one.method, f"{one.passages:,}", f"{one.terms:,}" if one.terms else "", gain]


def _system_name(row: SystemResult) -> str:
    system, cut, _ = row.system.partition("@")
    name = _SYSTEM_NAMES.get(system, system)
    return f"{name}, first {row.dimension} dimensions" if cut and row.dimension else name


def _as_cell(value: object) -> str:
    """Return a value as one cell of a Markdown table."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return " ".join(text.replace("|", "\\|").split())


def _as_yaml(value: str) -> str:
    """Return a string as YAML: every JSON string is one."""
    return json.dumps(value, ensure_ascii=False)


@cache
def _template() -> Template:
    environment = Environment(  # noqa: S701 - the card is Markdown, not HTML; nothing in it comes from a stranger
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    environment.filters |= {"cell": _as_cell, "yaml": _as_yaml}
    source = files("dialekt.registry").joinpath(TEMPLATE_NAME).read_text(encoding="utf-8")
    return environment.from_string(source)
