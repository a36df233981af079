"""Prompts and pooling that a family of models was trained with but does not declare in its folder.

What a folder declares always comes first (`config_sentence_transformers.json`, its pooling module): these rows are for
models whose prompts stand on their card only, and for copies that lost the files.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

_TASK = "Given a web search query, retrieve relevant passages that answer the query"
_SENTENCE = "Represent this sentence for searching relevant passages: "
_SENTENCE_CHINESE = "为这个句子生成表示以用于检索相关文章："  # noqa: RUF001 - the full-width colon is part of it


@dataclass(frozen=True, slots=True)
class PromptFamily:
    """Models whose name matches `pattern` expect these prompts, as their authors' cards say.

    `pooling` is that of a folder without a pooling module, such as a copy of the bare transformer.
    """

    name: str
    pattern: re.Pattern[str]
    query_prompt: str
    document_prompt: str
    pooling: str = "mean"


# The first match counts. A new family is one more row.
FAMILIES = (
    PromptFamily("E5 Mistral", re.compile(r"\be5-mistral"), f"Instruct: {_TASK}\nQuery: ", "", "lasttoken"),
    PromptFamily("E5 instruct", re.compile(r"\be5-.*instruct"), f"Instruct: {_TASK}\nQuery: ", ""),
    PromptFamily("E5", re.compile(r"\be5-(small|base|large)"), "query: ", "passage: "),
    PromptFamily("BGE English", re.compile(r"\bbge-(small|base|large)-en"), _SENTENCE, "", "cls"),
    PromptFamily("BGE without instruction", re.compile(r"\bbge-(small|base|large)-zh-noinstruct"), "", "", "cls"),
    PromptFamily("BGE Chinese", re.compile(r"\bbge-(small|base|large)-zh"), _SENTENCE_CHINESE, "", "cls"),
    PromptFamily("BGE-M3", re.compile(r"\bbge-m3"), "", "", "cls"),
    PromptFamily("GTE multilingual", re.compile(r"\bgte-multilingual-base"), "", "", "cls"),
    PromptFamily("mxbai German", re.compile(r"\bmxbai-embed-de-large"), "query: ", "passage: "),
    PromptFamily("mxbai", re.compile(r"\bmxbai-embed-(2d-)?large"), _SENTENCE, "", "cls"),
    PromptFamily("Nomic", re.compile(r"\bnomic-embed-text"), "search_query: ", "search_document: "),
    PromptFamily("Arctic Embed 2", re.compile(r"\barctic-embed-[ml]-v2"), "query: ", "", "cls"),
    PromptFamily("Arctic Embed", re.compile(r"\barctic-embed-(xs|s|m|l)\b"), _SENTENCE, "", "cls"),
    PromptFamily("Qwen3 Embedding", re.compile(r"\bqwen3-embedding"), f"Instruct: {_TASK}\nQuery:", "", "lasttoken"),
    PromptFamily(
        "EmbeddingGemma", re.compile(r"\bembeddinggemma"), "task: search result | query: ", "title: none | text: "
    ),
    PromptFamily(
        "Jina v3",
        re.compile(r"\bjina-embeddings-v3"),
        "Represent the query for retrieving evidence documents: ",
        "Represent the document for retrieval: ",
    ),
    PromptFamily("Ruri v3", re.compile(r"\bruri-v3"), "検索クエリ: ", "検索文書: "),
)


def find_family(names: Iterable[str]) -> PromptFamily | None:
    """Return the first family that one of a model's names belongs to."""
    for name in names:
        for family in FAMILIES:
            if family.pattern.search(name.lower()):
                return family
    return None
