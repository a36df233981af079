"""Questions by the wording of sentences."""

import pytest

from dialekt.synthesis.questions import question_of_title, questions_of


@pytest.mark.parametrize(
    ("sentence", "questions"),
    [
        ("A solar inverter is a device for current.", ["what is solar inverter"]),
        ("Overheating is caused by dust in the fan.", ["what causes Overheating"]),
        ("Iron deficiency is treated with supplements.", ["how is Iron deficiency treated"]),
        ("Early symptoms of lead poisoning are mild.", ["what are the symptoms of lead poisoning"]),
        ("Replace the worn seal of the pump.", ["how to replace the worn seal of the pump"]),
        (
            "The tool is used to merge several branches at once.",
            ["what is tool", "how to merge several branches at once"],
        ),
        ("Is lupus inherited?", ["Is lupus inherited?"]),
        ("This is a common mistake.", []),
        ("It can lead to a higher risk of stroke.", []),
        ("The wind blew over the hills.", []),
    ],
)
def test_wording_makes_questions(sentence: str, questions: list[str]) -> None:
    """Definitions, causes, aspects, instructions and purposes make questions; other sentences none."""
    assert list(questions_of(sentence)) == questions


@pytest.mark.parametrize(
    ("title", "question"),
    [
        ("Junk Code", "what is Junk Code"),
        ("Hide Artifacts", "how to hide Artifacts"),
        ("How to weld", None),
        ("", None),
        ("a very long title that says everything", None),
    ],
)
def test_short_titles_make_a_question(title: str, question: str | None) -> None:
    """A long title, or one that asks by itself, makes none."""
    assert question_of_title(title) == question
