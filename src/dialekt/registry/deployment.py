"""An exported model folder → what is needed to run it elsewhere: Text Embeddings Inference, vLLM, onnxruntime."""

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

from jinja2 import Environment, PackageLoader, StrictUndefined

from dialekt.config import ModelConfig
from dialekt.errors import ModelError
from dialekt.models.contract import DOCUMENT_ENCODER, EncodingContract, read_contract
from dialekt.models.engines.graph import export_graph
from dialekt.models.export import servers_can_load
from dialekt.models.folders import read_json, read_modules
from dialekt.models.loading import load_model
from dialekt.registry.records import Runtime
from dialekt.store.atomic import disk_errors

GRAPH_NAME = "onnx/model.onnx"
PROGRAM_NAME = "onnx/encode.py"
TEI_IMAGE = "ghcr.io/huggingface/text-embeddings-inference:cpu-1.9"


@dataclass(frozen=True, slots=True)
class Instructions:
    """The command that runs an exported folder, and what its user must know."""

    command: str
    notes: tuple[str, ...]


def prepare(folder: Path, runtime: Runtime, *, trust_remote_code: bool = False) -> None:
    """Add to an exported folder, and to the encoder of documents inside it, what a runtime needs beyond it.

    Raises `ModelError` when the runtime cannot load such a model, or would compute other vectors.
    """
    if read_contract(folder).document_model:
        prepare(folder / DOCUMENT_ENCODER, runtime, trust_remote_code=trust_remote_code)
    match runtime:
        case Runtime.TEI | Runtime.VLLM:
            if not servers_can_load(folder):
                raise ModelError(_refusal(folder), hint="dialekt serve runs it, and so does sentence-transformers")
        case Runtime.ONNX:
            config = ModelConfig(device="cpu", trust_remote_code=trust_remote_code)
            model, contract = load_model(str(folder), config)
            with disk_errors(folder):
                (folder / GRAPH_NAME).parent.mkdir(exist_ok=True)
                export_graph(model, folder / GRAPH_NAME)
                (folder / PROGRAM_NAME).write_text(_program(folder, contract), encoding="utf-8")
        case _:
            assert_never(runtime)


def instruct(folder: Path, runtime: Runtime, *, name: str) -> Instructions:
    """Say how to run an exported folder; `name` is what the server will call the model."""
    contract = read_contract(folder)
    instructions = _instruct(folder, runtime, contract, name=name)
    if not contract.document_model:
        return instructions
    sides = f"this runs the encoder of queries; documents must be encoded by the other one: {folder / DOCUMENT_ENCODER}"
    return Instructions(instructions.command, (sides, *instructions.notes))


def _instruct(folder: Path, runtime: Runtime, contract: EncodingContract, *, name: str) -> Instructions:
    match runtime:
        case Runtime.TEI:
            return Instructions(_tei_command(folder, name), _tei_notes(contract))
        case Runtime.VLLM:
            words = ["vllm", "serve", str(folder), "--runner", "pooling", "--served-model-name", name]
            return Instructions(shlex.join(words), _vllm_notes(contract))
        case Runtime.ONNX:
            command = shlex.join(["python", str(folder / PROGRAM_NAME), "a text", "another one"])
            return Instructions(command, ("needs: pip install onnxruntime tokenizers", *_prompt_notes(contract)))
        case _:
            assert_never(runtime)


def _refusal(folder: Path) -> str:
    kinds = ", ".join(part.kind for part in read_modules(folder))
    return (
        "TEI and vLLM run one transformer, then mean, cls or last-token pooling, then dense layers; this model has "
        f"{kinds} with {read_contract(folder).pooling} pooling, and they would refuse it or compute other vectors"
    )


def _tei_command(folder: Path, name: str) -> str:
    words = ["docker", "run", "--rm", "-p", "8080:80", "-v", f"{folder}:/data:ro", TEI_IMAGE]
    return shlex.join([*words, "--model-id", "/data", "--served-model-name", name, "--auto-truncate"])


def _tei_notes(contract: EncodingContract) -> tuple[str, ...]:
    notes = ["on an NVIDIA GPU: add --gpus all, and the image whose tag fits the card"]
    if contract.query_prompt or contract.document_prompt:
        notes.append('prompts: send "prompt_name": "query" or "document" with each request to /embed')
    return (*notes, *_dimension_notes(contract))


def _vllm_notes(contract: EncodingContract) -> tuple[str, ...]:
    return (*_prompt_notes(contract), *_dimension_notes(contract))


def _prompt_notes(contract: EncodingContract) -> tuple[str, ...]:
    prompts = (("query", contract.query_prompt), ("document", contract.document_prompt))
    said = [f"{prompt!r} before every {role}" for role, prompt in prompts if prompt]
    return (f"prompts: put {' and '.join(said)} yourself",) if said else ()


def _dimension_notes(contract: EncodingContract) -> tuple[str, ...]:
    dimensions = ", ".join(str(dimension) for dimension in contract.matryoshka_dimensions)
    return (f"dimensions that were trained: {dimensions}",)


def _program(folder: Path, contract: EncodingContract) -> str:
    """Return a program that encodes texts with the graph and nothing of dialekt."""
    settings = read_json(folder / "tokenizer_config.json")
    padding = settings.get("pad_token")
    templates = Environment(  # noqa: S701 - a Python program, no web page
        loader=PackageLoader("dialekt.registry", "."), undefined=StrictUndefined, keep_trailing_newline=True
    )
    return templates.get_template("encode.py.jinja").render(
        contract=contract,
        pad_token=padding["content"] if isinstance(padding, dict) else padding or "[PAD]",
        pad_side=settings.get("padding_side", "right"),
    )
