"""`dialekt export`."""

import json
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import StaticEmbedding
from tokenizers import Tokenizer

from dialekt.config import ModelConfig
from dialekt.errors import ModelError
from dialekt.models.contract import apply_config, read_contract
from dialekt.models.export import export_model
from dialekt.registry.deployment import instruct, prepare
from dialekt.registry.records import Runtime

Dialekt = Callable[..., Any]


def exported(model: Path, folder: Path, **settings: Any) -> Path:
    """Export a model with prompts."""
    export_model(model, folder, apply_config(read_contract(model), ModelConfig(**settings)))
    return folder


def test_tei_gets_its_exact_command(dialekt: Dialekt, finished_project: Path, tmp_path: Path) -> None:
    """For TEI the answer is a docker command that mounts the new folder, and JSON holds it too."""
    out = tmp_path / "for tei"
    answer = dialekt("export", "v1", out, "--for", "tei", "--project", finished_project, "--json").json
    words = shlex.split(answer["command"])
    assert words[:2] == ["docker", "run"]
    assert f"{out}:/data:ro" in words
    assert "ghcr.io/huggingface/text-embeddings-inference:cpu-1.9" in words
    assert words[words.index("--model-id") + 1] == "/data"
    assert (out / "model.safetensors").is_file()
    assert answer["runtime"] == "tei"


def test_both_names_of_the_command_are_one(dialekt: Dialekt, finished_project: Path, tmp_path: Path) -> None:
    """`dialekt models export` takes the same options as `dialekt export` and prints the command."""
    out = tmp_path / "out"
    words = dialekt("models", "export", "v1", out, "--for", "vllm", "--project", finished_project).out
    assert f"vllm serve {out} --runner pooling --served-model-name" in words


def test_a_server_is_told_of_prompts_and_dimensions(tiny_model: Path, tmp_path: Path) -> None:
    """A client of another server must put the prompts itself, and may cut vectors only where that was trained."""
    folder = exported(tiny_model, tmp_path / "out", query_prompt="find: ", matryoshka_dimensions=(16,))
    notes = "\n".join(instruct(folder, Runtime.VLLM, name="m").notes)
    assert "'find: ' before every query" in notes
    assert "dimensions that were trained: 32, 16" in notes
    assert '"prompt_name": "query"' in "\n".join(instruct(folder, Runtime.TEI, name="m").notes)
    assert json.loads((folder / "config.json").read_text(encoding="utf-8"))["matryoshka_dimensions"] == [32, 16]


@pytest.mark.parametrize("runtime", [Runtime.TEI, Runtime.VLLM])
def test_what_a_server_would_run_wrongly_is_refused(runtime: Runtime, tiny_model: Path, tmp_path: Path) -> None:
    """A static embedding is refused with the reason and with what runs it."""
    tokenizer = Tokenizer.from_file(str(tiny_model / "tokenizer.json"))
    SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_dim=32)]).save_pretrained(str(tmp_path / "s"))
    with pytest.raises(ModelError, match=r"this model has StaticEmbedding") as caught:
        prepare(tmp_path / "s", runtime)
    assert "dialekt serve" in caught.value.hint


def test_an_unknown_runtime_is_wrong_usage(dialekt: Dialekt, finished_project: Path, tmp_path: Path) -> None:
    """A runtime that is not known is refused before anything is written."""
    out = tmp_path / "out"
    answer = dialekt("export", "v1", out, "--for", "nonsense", "--project", finished_project)
    assert (answer.code, out.exists()) == (2, False)


def test_the_program_beside_the_graph_gives_the_models_vectors(tiny_model: Path, tmp_path: Path) -> None:
    """The exported graph with its program, outside of dialekt, gives what sentence-transformers gives."""
    folder = exported(tiny_model, tmp_path / "out")
    prepare(folder, Runtime.ONNX)
    texts = ["solar panel", "the battery of the solar panel needs power", "x " * 200]
    program, *_ = [word for word in shlex.split(instruct(folder, Runtime.ONNX, name="m").command) if ".py" in word]
    done = subprocess.run([sys.executable, program, *texts], check=True, capture_output=True, text=True)
    found = np.array([json.loads(line) for line in done.stdout.splitlines()])
    expected = SentenceTransformer(str(folder), device="cpu").encode(texts)
    assert np.abs(found - expected).max() < 1e-5
