"""The engines of one embedding model: built when asked for, from graphs in the cache."""

import copy
import functools
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

from sentence_transformers import SentenceTransformer

from dialekt.config import EngineName, ModelConfig, Precision
from dialekt.errors import MissingExtraError, ModelError
from dialekt.models.contract import EncodingContract
from dialekt.models.engines.building import ONNX_FILE, OPENVINO_FILE, BuildOrder, build_apart
from dialekt.models.engines.bulk import run_rows
from dialekt.models.engines.cache import EngineCache, library_versions, machine_key
from dialekt.models.engines.choice import CalibrationMaterial, QualityGate, SizedEngine, Trials
from dialekt.models.engines.graph import refusal
from dialekt.models.engines.onnx_engine import OnnxEngine
from dialekt.models.engines.openvino_engine import OpenVinoEngine
from dialekt.models.engines.records import Engine, ModelInput, TokenizeOptions, TokenRow
from dialekt.models.engines.tokenizer import RequestTokenizer
from dialekt.models.engines.torch_engine import TorchEngine
from dialekt.models.machine import fastest_precision
from dialekt.models.padding import PadStyle
from dialekt.models.parity import NEUTRAL_SENTENCES
from dialekt.store.hashing import hash_json

_COMPARED_TEXTS = 64  # of the queries, and of the documents
_CALIBRATION_TEXTS = 256
_BUILDERS = ("onnx", "onnxscript", "onnxruntime")  # every graph begins as an ONNX graph that onnxruntime has checked


@dataclass(frozen=True, slots=True, eq=False)
class Workshop:
    """A model in fp32 with all that its engines are made from. `name` and `config` are what it was loaded with."""

    name: str
    config: ModelConfig
    model: SentenceTransformer
    contract: EncodingContract
    tokenizer: RequestTokenizer
    dtype: Precision | None
    cache: EngineCache
    material: CalibrationMaterial | None

    def candidates(self) -> tuple[EngineName, ...]:
        """Return the engines to try; a GPU has torch alone."""
        if self.model.device.type != "cpu":
            return (EngineName.TORCH,)
        return tuple(name for name in EngineName if name is not EngineName.AUTO)

    def engine(self, name: EngineName) -> SizedEngine:
        """Build an engine. Raises `ModelError`, `MissingExtraError`, `StorageError`."""
        match name:
            case EngineName.TORCH:
                return self._torch()
            case EngineName.ONNX:
                return OnnxEngine(self._fp32_graph(name), name=name, precision="fp32", style=self._style())
            case EngineName.ONNX_INT8:
                return OnnxEngine(self._int8_graph(name), name=name, precision="int8", style=self._style())
            case EngineName.OPENVINO:
                _require("openvino", ("openvino",), engine=name)
                return self._openvino(self._fp32_graph(name), name)
            case EngineName.OPENVINO_INT8:
                _require("openvino", ("openvino", "nncf"), engine=name)
                return self._openvino(self._int8_graph(name), name)
            case EngineName.AUTO:
                raise ModelError("the engine 'auto' is a choice, not an engine")
            case _:
                assert_never(name)

    def last_engine(self, name: EngineName) -> SizedEngine:
        """Build an engine that nothing is compared with: torch rounds the model itself, not a copy in memory."""
        return TorchEngine.of(self.model, precision=self.dtype) if name is EngineName.TORCH else self.engine(name)

    def trials(self) -> Trials:
        """Return what engines are compared on: the domain's texts, or neutral ones."""
        rows = self._rows(_COMPARED_TEXTS)
        reference = TorchEngine(self.model, precision=Precision.FP32)
        return Trials(
            build=self.engine,
            rows=rows,
            reference=run_rows(reference, rows),
            gate=self._gate(reference),
            max_tokens=self.contract.max_tokens,
        )

    def _gate(self, reference: Engine) -> QualityGate | None:
        """Return the gate, which scores the model in fp32 when it is first asked: only int8 asks."""
        factory = self.material.gate if self.material else None
        if factory is None:
            return None
        made = functools.cache(lambda: factory(reference, self.tokenizer, self.contract))

        def gate(engine: Engine) -> float:
            return made()(engine)

        return gate

    def choice_key(self) -> str:
        """Return the hash of what a choice depends on beside the model."""
        gated = self.material is not None and self.material.gate is not None
        return hash_json([machine_key(), self.dtype, self._material_key(), gated])

    def _torch(self) -> SizedEngine:
        precision = self.dtype or fastest_precision(str(self.model.device))
        model = copy.deepcopy(self.model) if precision is Precision.BF16 else self.model
        return TorchEngine.of(model, precision=self.dtype)

    def _openvino(self, graph: Path, name: EngineName) -> SizedEngine:
        return OpenVinoEngine(graph, name=name, style=self._style(), max_tokens=self.contract.max_tokens)

    def _fp32_graph(self, name: EngineName) -> Path:
        if self.model.device.type != "cpu":
            raise ModelError(f"the engine {name} computes on the CPU only", hint='set model.device = "cpu"')
        if reason := refusal(self.model):
            raise ModelError(reason, hint="use the engine torch")
        _require("serve", _BUILDERS, engine=name)
        key = hash_json(library_versions())
        return self.cache.graph("onnx", key, lambda folder: self._build(EngineName.ONNX, folder)) / ONNX_FILE

    def _int8_graph(self, name: EngineName) -> Path:
        source = self._fp32_graph(name)
        rows = tuple(tuple(row.ids) for row in self._rows(_CALIBRATION_TEXTS))
        key = hash_json([machine_key(), self._material_key()])  # its rounding suits this processor
        folder = self.cache.graph(name.value, key, lambda folder: self._build(name, folder, source=source, rows=rows))
        return folder / (ONNX_FILE if name is EngineName.ONNX_INT8 else OPENVINO_FILE)

    def _build(
        self, name: EngineName, folder: Path, *, source: Path | None = None, rows: tuple[tuple[int, ...], ...] = ()
    ) -> None:
        build_apart(BuildOrder(name, self.name, self.config, folder, source=source, rows=rows))

    def _rows(self, most: int) -> list[TokenRow]:
        """Return rows of up to so many queries and as many documents, each behind its prompt."""
        queries = self.material.queries if self.material else ()
        documents = self.material.documents if self.material else ()
        if not queries and not documents:
            documents = NEUTRAL_SENTENCES
        return [
            *self._encode(queries[:most], self.contract.query_prompt),
            *self._encode(documents[:most], self.contract.document_prompt),
        ]

    def _encode(self, texts: Sequence[str], prompt: str) -> list[TokenRow]:
        return self.tokenizer.encode([ModelInput(text) for text in texts], TokenizeOptions(prompt))

    def _style(self) -> PadStyle:
        return PadStyle.of(self.model.tokenizer)

    def _material_key(self) -> str:
        return hash_json([self.material.queries, self.material.documents] if self.material else [])


def _require(extra: str, modules: Sequence[str], *, engine: EngineName) -> None:
    if any(importlib.util.find_spec(module) is None for module in modules):
        raise MissingExtraError(extra, needed_for=f"the engine {engine.value!r}")
