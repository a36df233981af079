"""The gates: which made queries are fit to train on. Each rejected one is counted under the first gate that bars it."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from dialekt.config import QueryKind, SynthesisConfig
from dialekt.store.similarity_join import near_twins
from dialekt.store.words import normalised_tokens
from dialekt.synthesis.language import is_unspaced, words
from dialekt.synthesis.realism import Lengths
from dialekt.synthesis.records import Draft, Gate
from dialekt.synthesis.round_trip import RoundTrip
from dialekt.types import Document

MAX_WORDS = 60
MAX_INSTRUCTION_WORDS = 120
COPIED_WORDS = 12  # so many words in a row as in the document are a piece of it, not a search
COPIED_CHARACTERS = 30  # the same, where every character counts as a word


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the gates compare with: documents by id, dev and test texts, lengths of real queries, the round trip."""

    documents: Mapping[str, Document]
    held_out: Mapping[str, str]
    lengths: Lengths | None = None
    round_trip: RoundTrip | None = None


@dataclass(slots=True)
class Verdicts:
    """What passed so far, and who was rejected at which gate."""

    passing: list[Draft]
    rejected: list[tuple[Gate, Draft]] = field(default_factory=list)

    def apply(self, gate: Gate, barred: Callable[[Sequence[Draft]], Sequence[bool]]) -> None:
        """Ask one gate about all that still pass."""
        verdicts = barred(self.passing)
        self.rejected += [(gate, draft) for draft, out in zip(self.passing, verdicts, strict=True) if out]
        self.passing = [draft for draft, out in zip(self.passing, verdicts, strict=True) if not out]

    def counts(self) -> dict[str, int]:
        """Return how many were rejected at each gate, gates without any included."""
        found = Counter(gate for gate, _ in self.rejected)
        return {gate.value: found[gate] for gate in Gate}


def pass_gates(config: SynthesisConfig, drafts: Sequence[Draft], around: Surroundings) -> Verdicts:
    """Send drafts through every gate but the judge's, the cheap ones first."""
    verdicts = Verdicts(list(drafts))
    similarity = config.near_duplicate_similarity
    verdicts.apply(Gate.EMPTY, lambda found: [not words(draft.text) for draft in found])
    verdicts.apply(Gate.TOO_LONG, lambda found: [_is_too_long(draft) for draft in found])
    verdicts.apply(Gate.COPY, lambda found: _copies(found, around.documents, similarity))
    verdicts.apply(Gate.AMBIGUOUS, lambda found: _ambiguous(found, around.documents))
    verdicts.apply(Gate.NEAR_DUPLICATE, lambda found: _near_duplicates(found, similarity))
    if around.held_out:
        verdicts.apply(Gate.HELD_OUT, lambda found: _held_out(found, around.held_out, similarity))
    if lengths := around.lengths:
        verdicts.apply(Gate.UNREALISTIC, lambda found: [not lengths.fits(draft.text) for draft in found])
    if round_trip := around.round_trip:
        verdicts.apply(Gate.ROUND_TRIP, round_trip.barred)
    return verdicts


def _is_too_long(draft: Draft) -> bool:
    return len(words(draft.text)) > MAX_WORDS or len(words(draft.full_text)) > MAX_INSTRUCTION_WORDS


def _copies(drafts: Sequence[Draft], documents: Mapping[str, Document], similarity: float) -> list[bool]:
    """Say which drafts are nearly their whole document, or a long piece of its text; a title may be a title."""
    tokens: dict[str, frozenset[str]] = {}
    running: dict[str, str] = {}
    verdicts = []
    for draft in drafts:
        document = documents[draft.document_id]
        if draft.document_id not in tokens:
            tokens[document.id] = normalised_tokens(document.content)
            running[document.id] = _running(document.text)
        query = normalised_tokens(draft.text)
        whole = len(query & tokens[document.id]) >= similarity * len(query | tokens[document.id])
        piece = draft.kind is not QueryKind.TITLE and _is_long(words(draft.text))
        verdicts.append(whole or (piece and _running(draft.text) in running[document.id]))
    return verdicts


def _is_long(found: Sequence[str]) -> bool:
    return len(found) >= (COPIED_CHARACTERS if is_unspaced(found) else COPIED_WORDS)


def _running(text: str) -> str:
    return f" {' '.join(word.casefold() for word in words(text))} "


def _ambiguous(drafts: Sequence[Draft], documents: Mapping[str, Document]) -> list[bool]:
    """Say which drafts have the words of a draft of another document; chunks of one count as one."""
    owners: defaultdict[frozenset[str], set[str]] = defaultdict(set)
    tokens = [normalised_tokens(draft.full_text) for draft in drafts]
    for draft, found in zip(drafts, tokens, strict=True):
        document = documents[draft.document_id]
        owners[found].add(document.parent_id or document.id)
    return [len(owners[found]) > 1 for found in tokens]


def _near_duplicates(drafts: Sequence[Draft], similarity: float) -> list[bool]:
    """Say which drafts are nearly an earlier one that stays: what was made first wins."""
    texts = {str(number): draft.full_text for number, draft in enumerate(drafts)}
    earlier: defaultdict[int, list[int]] = defaultdict(list)
    for one, other in near_twins(texts, texts, similarity):
        if int(other) < int(one):
            earlier[int(one)].append(int(other))
    verdicts = [False] * len(drafts)
    for number in sorted(earlier):
        verdicts[number] = any(not verdicts[other] for other in earlier[number])
    return verdicts


def _held_out(drafts: Sequence[Draft], held_out: Mapping[str, str], similarity: float) -> list[bool]:
    texts = {str(number): draft.text for number, draft in enumerate(drafts)}
    barred = {int(made) for made, _ in near_twins(texts, held_out, similarity)}
    texts = {str(number): draft.full_text for number, draft in enumerate(drafts) if draft.instruction}
    barred |= {int(made) for made, _ in near_twins(texts, held_out, similarity)}
    return [number in barred for number in range(len(drafts))]
