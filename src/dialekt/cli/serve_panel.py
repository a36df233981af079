"""What `dialekt serve` says when it starts: what is served, by which engine and why, and how to ask."""

import json
import os
import time
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from dialekt.cli.screen import Screen
from dialekt.errors import RequestError
from dialekt.models.engines.records import EngineChoice, EngineTrial, ModelKind
from dialekt.models.engines.servable import Servable

if TYPE_CHECKING:
    from dialekt.serving.index_service import IndexService
    from dialekt.serving.service import Service

EXAMPLES = {
    ModelKind.EMBEDDING: ("embed", {"inputs": "how do I reset my password"}),
    ModelKind.RERANKER: ("rerank", {"query": "reset password", "texts": ["change it in settings", "boil the pasta"]}),
    ModelKind.CLASSIFIER: ("predict", {"inputs": "I like this"}),
}
LOOPBACK = ("127.0.0.1", "::1", "localhost")


class Panel:
    """Lines for a person before and after loading, and the facts for a script; not `drawn` in a log of JSON lines."""

    def __init__(
        self, screen: Screen, service: "Service", *, url: str, keys: int, drawn: bool, index: "IndexService | None"
    ) -> None:
        self._screen = screen
        self._service = service
        self._index = index
        self._url = url
        self._keys = keys
        self._drawn = drawn
        self._started = time.monotonic()

    def announce(self, hostname: str) -> None:
        """Say that models are being loaded, and that an open door is open."""
        self._say(f"{self._url}: loading {escape(self._service.default_name)} …")
        if hostname not in LOOPBACK and not self._keys:
            self._say("[yellow]warning:[/] everybody in the network may ask: no API_KEY and no --api-keys-file")

    async def show(self) -> None:
        """Say what is served, now that requests can come."""
        async with self._service.lease(None) as lease:
            reference, model = lease.reference, lease.model
        self._say(f"[bold green]ready:[/] [bold]{escape(reference)}[/] on {self._url}")
        self._say(f"  model    {_describe(model)}")
        for line in describe_choice(model.choice, precision=model.engine.precision):
            self._say(f"  {escape(line)}")
        self._say(f"  try      {escape(self._example(model.kind))}")
        release = self._release()
        if release:
            self._say(f"  index    {escape(release)}: POST /search, POST /documents")
        self._say(f"  pages    {self._url}/docs  {self._url}/metrics")
        seconds = round(time.monotonic() - self._started, 2)
        name, _, version = reference.partition("@")
        row = {
            "model": name,
            "version": version,
            "engine": model.engine.name.value,
            "precision": model.engine.precision,
            "measured": model.choice.measured,
            "seconds": seconds,
        }
        facts: dict[str, Any] = {"url": self._url, "process_id": os.getpid(), "models": [row], "release": release}
        self._screen.finish(facts)

    def _release(self) -> str:
        """Return the release that searches are answered from, empty where there is none."""
        if self._index is None:
            return ""
        try:
            return self._index.current().name
        except RequestError:
            return ""

    def _example(self, kind: ModelKind) -> str:
        route, body = EXAMPLES[kind]
        key = ' -H "authorization: Bearer $API_KEY"' if self._keys else ""
        return f"curl {self._url}/{route}{key} -H 'content-type: application/json' -d '{json.dumps(body)}'"

    def _say(self, line: str) -> None:
        if self._drawn:
            self._screen.messages.print(line, soft_wrap=True)


def _describe(model: Servable) -> str:
    parts: list[str] = [model.kind.value]
    if model.contract is not None:
        parts.append(f"dimensions {', '.join(map(str, model.contract.matryoshka_dimensions))}")
    if model.labels:
        parts.append(f"labels {escape(', '.join(model.labels[:8]))}")
    return "; ".join([*parts, f"up to {model.max_tokens:,} tokens"])


def describe_choice(choice: EngineChoice, *, precision: str) -> list[str]:
    """Say which engine was taken and why, and what was measured of the others."""
    if not choice.measured:
        warnings = [f"         warning: {trial.refused}" for trial in choice.trials if trial.refused]
        return [f"engine   {choice.engine.value} {precision}, as named", *warnings]
    when = "measured before on this machine" if choice.from_cache else "measured just now"
    first = f"engine   {choice.engine.value} {precision}, the fastest whose vectors are the model's ({when})"
    return [first, *(f"         {_trial(trial)}" for trial in choice.trials)]


def _trial(trial: EngineTrial) -> str:
    parts = [f"{trial.engine.value:<14} {trial.precision:<5}"]
    if trial.queries_per_second:
        parts.append(f"{trial.queries_per_second:,.0f} queries/s, {trial.passages_per_second:,.0f} passages/s")
    if trial.quality_change is not None:
        parts.append(f"NDCG@10 {trial.quality_change:+.4f}")
    if trial.refused:
        parts.append(f"not taken: {trial.refused}")
    return "  ".join(parts)
