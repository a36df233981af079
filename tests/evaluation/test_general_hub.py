"""NanoBEIR comes from the Hub, and where there is no Hub the error says what to do."""

from pathlib import Path

import pytest

from dialekt.errors import EndpointError
from dialekt.evaluation.general.hub import read_nanobeir, to_qrels
from dialekt.types import Qrel


def test_a_row_has_one_answer_or_several() -> None:
    """Both shapes of the data set's judgments are read."""
    rows: list[dict[str, object]] = [{"query-id": "1", "corpus-id": "a"}, {"query-id": "2", "corpus-id": ["b", "c"]}]
    assert list(to_qrels("NanoNQ", rows)) == [
        Qrel("NanoNQ/1", "NanoNQ/a"),
        Qrel("NanoNQ/2", "NanoNQ/b"),
        Qrel("NanoNQ/2", "NanoNQ/c"),
    ]


def test_without_a_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Offline and never downloaded: one error with the way out."""
    import datasets.config
    import huggingface_hub.constants

    for library in (datasets.config, huggingface_hub.constants):
        monkeypatch.setattr(library, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path)
    with pytest.raises(EndpointError, match="NanoBEIR-en cannot be read from the Hugging Face Hub") as refused:
        read_nanobeir()
    assert '"builtin"' in refused.value.hint
