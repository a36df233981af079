"""How far the corpus is from general language: single words, never texts."""

from collections.abc import Sequence

from dialekt.diagnosis.records import DisputedTerm, LanguageFacts, Term
from dialekt.report import formats
from dialekt.report.blocks import Block, Cell, Column, KeyValues, Row, Section, Table, TablePair

SHOWN = 15
NEIGHBORS = 6
ENGLISH = "en"


def language_section(language: LanguageFacts) -> Section:
    """Return the distances from general language and the words that show them."""
    tables = [
        _term_table(caption, terms, last=last)
        for caption, terms, last in (
            ("Frequent words in many pieces", language.fragmented, "Pieces"),
            ("Words that general language lacks", language.unknown, "Pieces"),
            ("Acronyms and codes", language.codes, "Pieces"),
        )
        if terms
    ]
    blocks: list[Block] = [_values(language)]
    if language.disputed:
        blocks.append(_disputed_table(language.disputed))
    blocks += [TablePair(tuple(tables[start : start + 2])) for start in range(0, len(tables), 2)]
    return Section("language", "Language", _lead(language), tuple(blocks))


def _lead(language: LanguageFacts) -> str:
    fertility = (
        f"The base model's tokenizer needs {language.fertility:.2f} tokens for a word of these documents, "
        f"{language.english_fertility:.2f} for a word of general English."
    )
    if not language.language:
        return f"{fertility} No general word list fits the language, so nothing counts as unknown."
    if not language.english:
        return f"{fertility} The documents are not English but {language.language!r}: its word list is used."
    return f"{fertility} Of all running words {formats.percent(language.unknown_share, digits=1)} are unknown to it."


def _values(language: LanguageFacts) -> KeyValues:
    agreement, chance = formats.percent(language.agreement), formats.percent(language.chance_agreement)
    shared = f"{agreement} of the neighbours (by chance {chance})"
    pairs = (
        ("Documents looked at", formats.count(language.documents)),
        ("Words", f"{formats.count(language.words)}, {formats.count(language.distinct_words)} different"),
        ("Tokens per word", f"{language.fertility:.2f} (general English {language.english_fertility:.2f})"),
        ("Unknown words", formats.percent(language.unknown_share, digits=1)),
        ("Acronyms and codes", formats.percent(language.code_share, digits=1)),
        ("Model and corpus agree on", shared if language.terms_compared else "too few frequent terms to compare"),
    )
    return KeyValues("In numbers", pairs)


def _term_table(caption: str, terms: Sequence[Term], *, last: str) -> Table:
    columns = (
        Column("Word"),
        Column("Count", numeric=True),
        Column("Documents", numeric=True),
        Column(last, numeric=True),
    )
    rows = tuple(
        Row(
            (
                Cell(term.term, code=True),
                Cell(formats.count(term.count)),
                Cell(formats.count(term.documents)),
                Cell(formats.count(term.pieces)),
            )
        )
        for term in terms[:SHOWN]
    )
    return Table(caption, columns, rows)


def _disputed_table(disputed: Sequence[DisputedTerm]) -> Table:
    columns = (
        Column("Word"),
        Column("Documents", numeric=True),
        Column("Agreement", numeric=True),
        Column("Near it in the base model", wide=True),
        Column("Near it in the documents", wide=True),
    )
    rows = tuple(
        Row(
            (
                Cell(one.term, code=True),
                Cell(formats.count(one.documents)),
                Cell(formats.percent(one.agreement)),
                Cell(", ".join(one.model_neighbors[:NEIGHBORS])),
                Cell(", ".join(one.corpus_neighbors[:NEIGHBORS])),
            )
        )
        for one in disputed[:SHOWN]
    )
    note = "The base model puts these words beside others than the documents do: they may mean something else here."
    return Table("Words that the model may misunderstand", columns, rows, note=note)
