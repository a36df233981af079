"""What is typed becomes an operand of one kind, under one name."""

from pathlib import Path

import pytest

from dialekt.errors import UsageError
from dialekt.flow.operands import Operand, OperandKind, parse_operands


def test_each_kind_is_told_apart(tmp_path: Path) -> None:
    """Names that dialekt gives, files, folders, Hub names and addresses."""
    (tmp_path / "ours.run.gz").write_bytes(b"")
    (tmp_path / "my-model").mkdir()
    typed = ["tuned@128", "v3", "ours.run.gz", "my-model", "BAAI/bge-small-en-v1.5", "tei:http://h:1"]
    found = parse_operands([*typed, "openai:http://h/v1#m"], tmp_path)
    assert [operand.kind for operand in found] == [
        OperandKind.SYSTEM,
        OperandKind.VERSION,
        OperandKind.RUN_FILE,
        OperandKind.MODEL,
        OperandKind.MODEL,
        OperandKind.ENDPOINT,
        OperandKind.ENDPOINT,
    ]
    assert [operand.name for operand in found] == [
        "tuned@128", "v3", "ours", "my-model", "bge-small-en-v1.5", "h:1", "m",
    ]  # fmt: skip
    assert found[2].source == str(tmp_path / "ours.run.gz")


def test_a_name_may_be_given(tmp_path: Path) -> None:
    """The sign of equality in an address or a file's name is no name."""
    (tmp_path / "a=b.run").write_bytes(b"")
    found = parse_operands(["before=v1", "tei:http://h?x=1", "a=b.run"], tmp_path)
    assert found[0] == Operand("before", OperandKind.VERSION, "v1")
    assert [operand.kind for operand in found[1:]] == [OperandKind.ENDPOINT, OperandKind.RUN_FILE]


def test_a_name_of_dialekt_beats_a_folder(tmp_path: Path) -> None:
    """A folder that is called as a system is meant by ./base only."""
    (tmp_path / "base").mkdir()
    found = parse_operands(["base", "mine=./base"], tmp_path)
    assert [operand.kind for operand in found] == [OperandKind.SYSTEM, OperandKind.MODEL]


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["base"], "nothing to compare with"),
        (["base", "base"], "two operands are called 'base'"),
        (["base", "nothing.run"], "'nothing.run' is nothing that can be compared"),
    ],
)
def test_what_cannot_be_compared_is_said(tmp_path: Path, typed: list[str], said: str) -> None:
    """Before anything is read."""
    with pytest.raises(UsageError, match=said):
        parse_operands(typed, tmp_path)
