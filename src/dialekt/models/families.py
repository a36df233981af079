"""Prompts that a family of models was trained with but does not declare in its folder."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

_WEB_SEARCH = "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery: "


@dataclass(frozen=True, slots=True)
class PromptFamily:
    """Models whose name matches `pattern` expect these prompts, as their authors' cards say."""

    name: str
    pattern: re.Pattern[str]
    query_prompt: str
    document_prompt: str


# The first match counts. A new family is one more row.
FAMILIES = (
    PromptFamily("E5 instruct", re.compile(r"\be5-.*instruct"), _WEB_SEARCH, ""),
    PromptFamily("E5", re.compile(r"\be5-(small|base|large)"), "query: ", "passage: "),
    PromptFamily(
        "BGE English",
        re.compile(r"\bbge-(small|base|large)-en"),
        "Represent this sentence for searching relevant passages: ",
        "",
    ),
    PromptFamily(
        "mxbai", re.compile(r"\bmxbai-embed"), "Represent this sentence for searching relevant passages: ", ""
    ),
    PromptFamily("Nomic", re.compile(r"\bnomic-embed-text"), "search_query: ", "search_document: "),
)


def find_family(names: Iterable[str]) -> PromptFamily | None:
    """Return the first family that one of a model's names belongs to."""
    for name in names:
        for family in FAMILIES:
            if family.pattern.search(name.lower()):
                return family
    return None
