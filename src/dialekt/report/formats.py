"""Numbers as a reader wants them: one place, so that HTML and Markdown always agree."""

import re
from datetime import UTC, datetime

MINUS = "\N{MINUS SIGN}"
DASH = "\N{EN DASH}"
ABSENT = "\N{EM DASH}"
FIXED = "\N{NO-BREAK SPACE}"
BYTES_PER_COMPONENT = 4  # float32

SYSTEM_LABELS = {
    "bm25": "BM25",
    "base": "Base model",
    "hybrid_base": "Hybrid (BM25 + base)",
    "tuned": "Tuned model",
    "hybrid_tuned": "Hybrid (BM25 + tuned)",
    "reranked": "Base model, reranked",
    "rrf_base": "Plain rank fusion, base",
    "rrf_tuned": "Plain rank fusion, tuned",
}
SYSTEM_PHRASES = {
    "bm25": "BM25",
    "base": "the base model",
    "hybrid_base": "the base hybrid",
    "tuned": "the tuned model",
    "hybrid_tuned": "the tuned hybrid",
    "rrf_base": "plain rank fusion with the base model",
    "rrf_tuned": "plain rank fusion with the tuned model",
}
STAGE_LABELS = {
    "judgments": "Judgments",
    "corpus": "Corpus",
    "logs": "Search logs",
    "split": "Split",
    "synthesis": "Made queries",
    "pairs": "Pairs",
    "base_vectors": "Base vectors",
    "negatives": "Negatives",
    "teacher": "Teacher",
    "teacher_vectors": "Vectors of the larger model",
    "general": "General queries",
    "training": "Training",
    "tuned_vectors": "Tuned vectors",
    "evaluation": "Evaluation",
    "registry": "Registry",
}


def system_label(system: str) -> str:
    """Name a system at the head of a table row: `tuned@128` → `Tuned model, 128 dimensions`."""
    name, at, dimension = system.partition("@")
    label = SYSTEM_LABELS.get(name, name)
    return f"{label}, {dimension} dimensions" if at else label


def system_phrase(system: str) -> str:
    """Name a system within a sentence: `hybrid_tuned` → `the tuned hybrid`."""
    name, at, dimension = system.partition("@")
    phrase = SYSTEM_PHRASES.get(name, name)
    return f"{phrase} at {dimension} dimensions" if at else phrase


def stage_label(stage: str) -> str:
    """Name a stage; one that this version does not know keeps its own name, made readable."""
    return STAGE_LABELS.get(stage) or humanise(stage)


def humanise(name: str) -> str:
    """Turn a field's name into words: `near_duplicates` → `Near duplicates`."""
    words = name.replace("_", " ").replace("-", " ").strip()
    return capitalised(words)


def score(value: float | None) -> str:
    """Format a metric or a cosine with three decimals."""
    if value is None:
        return ABSENT
    text = f"{value:.3f}"
    return text.replace("-", MINUS) if float(text) else "0.000"


def signed(value: float | None) -> str:
    """Format a difference with three decimals and its sign."""
    if value is None:
        return ABSENT
    text = f"{value:+.3f}"
    return text.replace("-", MINUS) if float(text) else "0.000"


def score_range(low: float, high: float) -> str:
    """Format the interval of a metric: `0.481–0.527`."""
    return f"{score(low)}{DASH}{score(high)}"


def signed_range(low: float, high: float) -> str:
    """Format the interval of a difference: `+0.071 to +0.097`."""
    return f"{signed(low)} to {signed(high)}"


def capitalised(text: str) -> str:
    """Return the text with a capital at its beginning, and all else as it is."""
    return text[:1].upper() + text[1:]


def typeset(text: str) -> str:
    """Return a sentence with real minus signs before numbers: `-0.003` → `−0.003`."""
    return re.sub(r"(?<![\w.])-(?=\d)", MINUS, text)


def sentence(text: str) -> str:
    """Return a reason as a sentence: it begins with a capital, ends with a full stop, and has real minus signs."""
    shown = capitalised(typeset(text))
    return shown + ("" if shown.endswith((".", "!", "?")) else ".")


def p_value(value: float | None) -> str:
    """Format a p-value for a table cell."""
    if value is None:
        return ABSENT
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def p_phrase(value: float | None) -> str:
    """Format a p-value for a sentence, in one piece: `p < 0.001` or `p = 0.034`."""
    text = p_value(value)
    return (f"p {text}" if text.startswith("<") else f"p = {text}").replace(" ", FIXED)


def count(value: float | None) -> str:
    """Format a count with thousands separators."""
    return ABSENT if value is None else f"{round(value):,}"


def percent(value: float | None, *, digits: int = 0) -> str:
    """Format a share in [0, 1] as a percentage."""
    return ABSENT if value is None else f"{value * 100:.{digits}f}%"


def compact(value: float | None) -> str:
    """Format a number of any size with up to four significant digits, as it can be typed: `2e-05`."""
    return ABSENT if value is None else f"{value:.4g}"


def duration(seconds: float | None) -> str:
    """Format a duration: `0.4 s`, `42 s`, `3 min 42 s`, `1 h 05 min`."""
    if seconds is None:
        return ABSENT
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    minutes, rest = divmod(whole, 60)
    hours, minutes_left = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes_left:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def moment(text: str) -> str:
    """Format an ISO 8601 time as `14 June 2025, 09:41 UTC`; any other text stays as it is."""
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return text
    zone = ""
    if when.tzinfo:
        when, zone = when.astimezone(UTC), " UTC"
    time = f", {when:%H:%M}{zone}" if ":" in text else ""
    return f"{when.day} {when:%B %Y}{time}"


def storage(dimension: int) -> str:
    """Format what a million float32 vectors of this dimension take: 384 → `1.54 GB`."""
    size_bytes = dimension * BYTES_PER_COMPONENT * 1_000_000
    return f"{size_bytes / 1e9:.2f} GB" if size_bytes >= 1e9 else f"{size_bytes / 1e6:.0f} MB"


def value_text(value: object) -> str:
    """Format a setting or a derived value of any type."""
    match value:
        case None:
            return ABSENT
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case float():
            return compact(value)
        case list() | tuple():
            return ", ".join(str(item) for item in value) or "none"
        case _:
            return str(value)
