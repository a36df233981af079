"""Texts → L2-normalised vectors, as fast as this machine can."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cached_property
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Transformer
from sentence_transformers.sentence_transformer.modules import Pooling, StaticEmbedding

from dialekt.config import ModelConfig, Precision
from dialekt.errors import ModelError
from dialekt.models.contract import EncodingContract
from dialekt.models.document_encoder import find_document_encoder
from dialekt.models.loading import load_model
from dialekt.models.machine import fastest_precision
from dialekt.models.padding import PadStyle, pad_rows
from dialekt.models.text_encoder import Embedded
from dialekt.models.tokens import BulkTokenizer
from dialekt.types import Progress, ReportProgress, Role, no_progress

_WINDOW_TEXTS = 16_384  # texts whose tokens are held and sorted at once
_CPU_BATCH_TOKENS_PER_THREAD = 1_024  # 1.12 times the speed of 4,096 in fp32: activations stay in the cache
_GPU_BATCH_TOKENS = 65_536
_MAX_BATCH_TEXTS = 1_024
_LABELS = {Role.QUERY: "encode queries", Role.DOCUMENT: "encode documents"}


class Encoder:
    """A model with its encoding contract. Vectors have the order of the texts, whatever the batches were.

    Where the contract says that documents are encoded by another model, that one does it; `load_documents` loads it
    when the first document comes.
    """

    def __init__(
        self,
        model: SentenceTransformer,
        contract: EncodingContract,
        *,
        precision: Precision,
        load_documents: "Callable[[], Encoder] | None" = None,
        tokens_per_batch: int | None = None,
    ):
        self.model = model
        self.contract = contract
        self.precision = precision
        self._tokenizer = BulkTokenizer.of(model.tokenizer, contract.max_tokens)
        self.tokens_per_batch = tokens_per_batch or batch_tokens(model.device.type)
        self._load_documents = load_documents

    @classmethod
    def load(
        cls,
        name: str,
        config: ModelConfig,
        *,
        precision: Precision | None = None,
        tokens_per_batch: int | None = None,
    ) -> Self:
        """Load a model by folder or name; without `precision` in the fastest of this machine.

        Two machines make the same vectors with the same precision and the same `tokens_per_batch`, padded ones.

        Raises `ModelError`.
        """
        model, contract = load_model(name, config)
        precision = precision or fastest_precision(str(model.device))
        if precision is Precision.BF16:
            model.to(torch.bfloat16)

        def load_documents() -> Encoder:
            return Encoder.load(
                str(find_document_encoder(name, config)), config, precision=precision, tokens_per_batch=tokens_per_batch
            )

        return cls(
            model.eval(), contract,
            precision=precision, load_documents=load_documents, tokens_per_batch=tokens_per_batch,
        )  # fmt: skip

    @classmethod
    def of(cls, model: SentenceTransformer, contract: EncodingContract, *, precision: Precision | None = None) -> Self:
        """Encode with a model that is already loaded, one under training for example; its weights stay."""
        return cls(model, contract, precision=precision or fastest_precision(str(model.device)))

    @property
    def dimension(self) -> int:
        """Number of components of a vector."""
        return self.contract.dimension

    def encode(
        self, texts: Sequence[str], role: Role, *, progress: ReportProgress = no_progress
    ) -> NDArray[np.float32]:
        """Return vectors float32 (texts, dimension), L2-normalised. Long texts are cut to the limit."""
        return self.embed(texts, role, progress=progress).vectors

    def embed(self, texts: Sequence[str], role: Role, *, progress: ReportProgress = no_progress) -> Embedded:
        """Return the vectors of texts and how many tokens they took."""
        if (other := self._other(role)) is not None:
            return other.embed(texts, role, progress=progress)
        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        tokens, done = 0, 0
        with self._inference():
            for start in range(0, len(texts), _WINDOW_TEXTS):
                window = texts[start : start + _WINDOW_TEXTS]
                for rows, features in self._batches(window, role):
                    vectors[start + rows] = self._forward(features)
                    tokens += _count_tokens(features)
                    done += len(rows)
                    progress(Progress(_LABELS[role], done, len(texts)))
        return Embedded(normalize(vectors), tokens)

    def token_ids(self, texts: Sequence[str], role: Role) -> list[list[int]]:
        """Return the ids that the model sees: with prompt and special tokens, cut to the limit."""
        if (other := self._other(role)) is not None:
            return other.token_ids(texts, role)
        if not self._takes_token_ids() or isinstance(self.model[0], StaticEmbedding):
            raise ModelError(
                f"the model's first module is a {type(self.model[0]).__name__}, which takes no token ids",
                hint="training needs a transformer with a fast tokenizer",
            )
        assert self._tokenizer is not None
        return self._tokenizer.token_ids(texts, self.contract.prompt(role))

    def token_offsets(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        """Return, per text, the characters (start, end) of its tokens, without special tokens or a limit."""
        if self._tokenizer is None:
            raise ModelError("the tokenizer gives no offsets", hint="use a model with a fast tokenizer")
        return self._tokenizer.offsets(texts)

    def _other(self, role: Role) -> "Encoder | None":
        """Return the model that encodes texts of a role if it is not this one."""
        return self._documents if role is Role.DOCUMENT and self.contract.document_model else None

    @cached_property
    def _documents(self) -> "Encoder":
        if self._load_documents is None:
            raise ModelError(
                "the model encodes queries only: its documents are encoded by another one",
                hint="load it from its folder, which holds both",
            )
        return self._load_documents()

    def _batches(self, texts: Sequence[str], role: Role) -> Iterator[tuple[NDArray[np.int64], dict[str, Any]]]:
        """Yield rows and model inputs, longest texts first: memory peaks at once, time left is overstated."""
        prompt = self.contract.prompt(role)
        if not self._takes_token_ids():
            yield from self._library_batches(texts, prompt)
            return
        assert self._tokenizer is not None
        token_ids = self._tokenizer.token_ids(texts, prompt)
        lengths = np.array([len(ids) for ids in token_ids])
        for rows in budget_batches(lengths, self.tokens_per_batch):
            yield rows, self._features([token_ids[row] for row in rows])

    def _takes_token_ids(self) -> bool:
        """Whether ids can be made here; an unusual module prepares its own inputs."""
        plain = isinstance(self.model[0], Transformer | StaticEmbedding) and self._tokenizer is not None
        return plain and all(module.include_prompt for module in self.model if isinstance(module, Pooling))

    def _library_batches(self, texts: Sequence[str], prompt: str) -> Iterator[tuple[NDArray[np.int64], dict[str, Any]]]:
        lengths = np.array([len(text) // 4 + 1 for text in texts]).clip(max=self.contract.max_tokens)
        for rows in budget_batches(lengths, self.tokens_per_batch):
            features = self.model.preprocess([texts[row] for row in rows], prompt=prompt or None)
            yield rows, _to_device(features, self.model.device)

    def _features(self, token_ids: list[list[int]]) -> dict[str, Any]:
        if isinstance(self.model[0], StaticEmbedding):
            lengths = np.cumsum([0, *(len(ids) for ids in token_ids[:-1])])
            flat = np.concatenate([np.asarray(ids, dtype=np.int64) for ids in token_ids])
            features = {"input_ids": torch.from_numpy(flat), "offsets": torch.from_numpy(lengths)}
        else:
            arrays = pad_rows(token_ids, PadStyle.of(self.model.tokenizer))
            features = {name: torch.from_numpy(values) for name, values in arrays.items()}
        return _to_device(features, self.model.device)

    def _forward(self, features: dict[str, Any]) -> NDArray[np.float32]:
        with self._autocast():
            output = self.model(features)["sentence_embedding"]  # (texts, dimension)
        vectors: NDArray[np.float32] = output.float().cpu().numpy()
        if vectors.shape[1] != self.dimension:
            raise ModelError(
                f"the model makes {vectors.shape[1]} dimensions, its folder says {self.dimension}",
                hint="the folder mixes files of two models: copy it again",
            )
        if not np.isfinite(vectors).all():
            raise ModelError(
                "the model returned vectors that are not finite",
                hint="are the weights damaged? copy the model again",
            )
        return vectors

    def _autocast(self) -> AbstractContextManager[Any]:
        mixed = self.precision is Precision.BF16 and self.model.dtype is torch.float32
        return torch.autocast(self.model.device.type, torch.bfloat16) if mixed else nullcontext()

    @contextmanager
    def _inference(self) -> Iterator[None]:
        training = self.model.training
        self.model.eval()
        try:
            with torch.inference_mode():
                yield
        finally:
            self.model.train(training)


def batch_tokens(device: str) -> int:
    """Return how many padded tokens a batch holds: much for a GPU, what stays in the cache of a CPU."""
    return _CPU_BATCH_TOKENS_PER_THREAD * torch.get_num_threads() if device == "cpu" else _GPU_BATCH_TOKENS


def normalize(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale every row to length 1, in place; a zero row stays zero."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)  # (texts, 1)
    vectors /= np.maximum(lengths, 1e-12)
    return vectors


def budget_batches(lengths: NDArray[np.int64], max_tokens: int) -> Iterator[NDArray[np.int64]]:
    """Yield row numbers in batches of falling length whose padded size stays within a number of tokens."""
    order = np.argsort(-lengths, kind="stable")
    start = 0
    while start < len(order):
        longest = max(1, int(lengths[order[start]]))
        size = min(max(1, max_tokens // longest), _MAX_BATCH_TEXTS)
        yield order[start : start + size]
        start += size


def _count_tokens(features: dict[str, Any]) -> int:
    """Return the number of tokens that are not padding; a flat input has none."""
    if "attention_mask" in features:
        return int(features["attention_mask"].sum())
    return int(features["input_ids"].numel()) if "input_ids" in features else 0


def _to_device(features: dict[str, Any], device: torch.device) -> dict[str, Any]:
    return {key: value.to(device) if isinstance(value, torch.Tensor) else value for key, value in features.items()}
