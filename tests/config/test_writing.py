"""Settings put into a file that somebody wrote: the rest of it stays as it is."""

import tomllib

import pytest

from dialekt.config import TrainingConfig
from dialekt.config.writing import change_settings, section_lines
from dialekt.errors import ConfigError

MINE = """\
# our search
[corpus]
path = "docs"   # [training] is below

# how we train
  [training] # slowly
learning_rate = 2e-5  # found in May
# # temperature = 0.05
# temperature = 0.05
# epochs =    (unset)
objectives = "listwise" # "quoted # here"

# how we measure
[evaluation]
confidence = 0.9
"""


def test_only_the_changed_keys_change() -> None:
    """A value is replaced with its comment kept, a commented default is answered below, the rest is the same bytes."""
    changed = change_settings(
        MINE, "training", {"learning_rate": 1.2e-4, "temperature": 0.03, "epochs": 3.0, "batch_size": 32}
    )
    assert set(MINE.splitlines()) - set(changed.splitlines()) == {"learning_rate = 2e-5  # found in May"}
    assert "learning_rate = 0.00012  # found in May" in changed.splitlines()
    assert "# temperature = 0.05\ntemperature = 0.03\n# epochs =    (unset)\nepochs = 3.0\nobjectives" in changed
    assert 'here"\nbatch_size = 32\n\n# how we measure\n[evaluation]' in changed


def test_a_text_is_replaced_with_its_comment_kept() -> None:
    """Quotes around a value and signs in a comment are no trouble."""
    changed = change_settings(MINE, "training", {"objectives": "margin_mse"})
    assert 'objectives = "margin_mse"  # "quoted # here"' in changed


@pytest.mark.parametrize("text", ["", '[corpus]\npath = "docs"', '[corpus]\npath = "docs"\n'])
def test_a_missing_section_is_made(text: str) -> None:
    """A file without the section gets it at its end."""
    changed = change_settings(text, "training", {"epochs": 2.0})
    assert tomllib.loads(changed)["training"] == {"epochs": 2.0}
    assert changed.startswith(text)


def test_line_ends_stay() -> None:
    """A file written on Windows stays one."""
    changed = change_settings("[training]\r\nepochs = 1\r\n", "training", {"epochs": 2.0})
    assert changed == "[training]\r\nepochs = 2.0\r\n"


@pytest.mark.parametrize(
    "text",
    [
        "training = {epochs = 1}\n",
        "training.epochs = 1\n",
        '[training]\nepochs = """\n1"""\n',
        '["training"]\nepochs = 1\n',
    ],
)
def test_a_layout_that_is_not_understood_is_refused(text: str) -> None:
    """Rather than guess, the error says what to write by hand."""
    with pytest.raises(ConfigError, match="cannot be changed line by line") as error:
        change_settings(text, "training", {"epochs": 2.0})
    assert "epochs = 2.0" in error.value.hint


def test_a_section_explains_every_setting() -> None:
    """The chosen settings are active, all others are comments with their meaning."""
    lines = list(section_lines("training", TrainingConfig, {"epochs": 2.0}))
    assert tomllib.loads("\n".join(lines)) == {"training": {"epochs": 2.0}}
    assert all(any(f"{key} =" in line for line in lines) for key in TrainingConfig.model_fields)
