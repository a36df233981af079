"""What each method minimises: one module per method, which also lays out its own steps."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.losses import DenoisingAutoEncoderLoss
from torch import Tensor, nn

from dialekt.adaptation.damage import choose_masked, hide, leave_out_words
from dialekt.adaptation.passages import Passages
from dialekt.errors import ModelError
from dialekt.models.fitting import quiet_libraries
from dialekt.models.padding import PadStyle, pad_rows

Batch = dict[str, Tensor]

INITIAL_DEVIATION = 0.02
"""Of fresh weights, as in BERT."""


class Objective(nn.Module):
    """A model under adaptation and what it minimises.

    `batch` lays out some passages, the same for the same seed, so that a resumed run continues exactly. `forward`
    returns the loss with its graph. `fresh` are parameters that start from nothing and are thrown away afterwards.
    """

    def __init__(self, model: SentenceTransformer, passages: Passages) -> None:
        super().__init__()
        self.model = model
        self.passages = passages
        self.style = PadStyle.of(model.tokenizer)

    @abstractmethod
    def batch(self, rows: NDArray[np.int64], *, seed: int) -> Batch:
        """Return the tensors of a step."""

    @property
    def fresh(self) -> list[nn.Parameter]:
        """The parameters that belong to the objective alone."""
        return []

    def pad(self, contents: Sequence[Sequence[int] | NDArray[np.int32]], *, name: str = "") -> Batch:
        """Return rectangular ids and mask of contents in their frame, each (passages, longest)."""
        arrays = pad_rows([self.passages.framed(content) for content in contents], self.style)
        return {f"{name}{key}": torch.from_numpy(values) for key, values in arrays.items()}


class MaskedModelling(Objective):
    """Guess masked tokens from their surroundings: cross-entropy over the vocabulary, mean over masked tokens.

    The head is that of BERT (dense, GELU, layer norm, product with the input embeddings, bias; Devlin et al. 2019,
    https://arxiv.org/abs/1810.04805). An embedding model comes without one: the dense part starts as nearly the
    identity and the bias as the log frequencies of the documents' tokens, so that steps are not spent on learning how
    common words are. Raises `ModelError` without a mask token.
    """

    def __init__(self, model: SentenceTransformer, passages: Passages, *, share: float) -> None:
        super().__init__(model, passages)
        if model.tokenizer.mask_token_id is None:
            raise ModelError(
                "the model's tokenizer has no mask token", hint="leave 'mlm' out of adaptation.methods for this model"
            )
        self.share = share
        self.mask_id = int(model.tokenizer.mask_token_id)
        embeddings = self.transformer.get_input_embeddings().weight
        self.head = _Head(int(self.transformer.config.hidden_size), embeddings, _log_frequencies(passages, embeddings))

    @property
    def transformer(self) -> Any:
        """The model without pooling."""
        return self.model[0].auto_model

    @property
    def fresh(self) -> list[nn.Parameter]:
        """The parameters of the head."""
        return list(self.head.parameters())

    def batch(self, rows: NDArray[np.int64], *, seed: int) -> Batch:
        """Return masked passages with `places` (masked, 2) as row and column, and `wanted` (masked,) tokens."""
        generator = np.random.default_rng(seed)
        contents, places, wanted = [], [], []
        for row in rows.tolist():
            tokens = self.passages.tokens[row]
            chosen = choose_masked(len(tokens), self.share, generator)
            vocabulary = len(self.model.tokenizer)
            contents.append(hide(tokens, chosen, mask_id=self.mask_id, vocabulary=vocabulary, generator=generator))
            places.append(chosen)
            wanted.append(tokens[chosen])
        features = self.pad(contents)
        numbers = np.repeat(np.arange(len(rows)), [len(chosen) for chosen in places])
        columns = np.concatenate(places) + len(self.passages.head)
        if self.style.left:
            lengths = features["attention_mask"].sum(dim=1).numpy()
            columns += features["input_ids"].shape[1] - lengths[numbers]
        places_of_all = torch.from_numpy(np.stack([numbers, columns], axis=1))  # (masked, 2)
        return features | {"places": places_of_all, "wanted": torch.from_numpy(np.concatenate(wanted).astype(np.int64))}

    def forward(self, batch: Batch) -> Tensor:
        """Return the loss of a step."""
        states = self.transformer(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"])
        hidden = states.last_hidden_state[batch["places"][:, 0], batch["places"][:, 1]]  # (masked, width)
        logits = self.head(hidden, self.transformer.get_input_embeddings().weight)  # (masked, vocabulary)
        return nn.functional.cross_entropy(logits.float(), batch["wanted"])


def _log_frequencies(passages: Passages, embeddings: Tensor) -> Tensor:
    """Return the log of each token's share of the passages (vocabulary,); one that never occurs counts once."""
    counts = np.ones(len(embeddings))
    for tokens in passages.tokens:
        np.add.at(counts, tokens, 1)
    return torch.from_numpy(np.log(counts / counts.sum())).to(embeddings)


class _Head(nn.Module):
    """States (tokens, width) → logits (tokens, vocabulary) with tied embeddings (vocabulary, embedding width)."""

    def __init__(self, width: int, embeddings: Tensor, bias: Tensor) -> None:
        super().__init__()
        embedding_width = embeddings.shape[1]
        self.dense = nn.Linear(width, embedding_width, device=embeddings.device)
        self.norm = nn.LayerNorm(embedding_width, device=embeddings.device)
        self.bias = nn.Parameter(bias)
        nn.init.normal_(self.dense.weight, std=INITIAL_DEVIATION)
        nn.init.zeros_(self.dense.bias)
        if width == embedding_width:
            with torch.no_grad():
                self.dense.weight += torch.eye(width, device=embeddings.device)

    def forward(self, states: Tensor, embeddings: Tensor) -> Tensor:
        projected = self.norm(nn.functional.gelu(self.dense(states)))
        return nn.functional.linear(projected, embeddings, self.bias)


class Denoising(Objective):
    """Rebuild a passage from the one vector of its damaged copy: TSDAE, with the library's tied decoder.

    Reference: Wang, Reimers & Gurevych 2021, https://arxiv.org/abs/2104.06979. Raises `ModelError` for a model whose
    architecture has no decoder with cross-attention.
    """

    def __init__(self, model: SentenceTransformer, passages: Passages, *, share: float) -> None:
        super().__init__(model, passages)
        self.share = share
        architecture = type(model[0].auto_model).__name__
        try:
            with quiet_libraries():
                self.loss = DenoisingAutoEncoderLoss(model)
        except (ValueError, TypeError, AttributeError, AssertionError) as error:
            raise _no_decoder(architecture) from error
        self.loss.float().to(model.device)
        if not self.fresh:
            raise _no_decoder(architecture)
        head = self.loss.decoder.get_output_embeddings()
        if head.bias is not None:
            head.bias.data.copy_(_log_frequencies(passages, head.weight))

    @property
    def fresh(self) -> list[nn.Parameter]:
        """The decoder's parameters that the encoder has not got: cross-attention and head."""
        own = {id(parameter) for parameter in self.model.parameters()}
        return [parameter for parameter in self.loss.decoder.parameters() if id(parameter) not in own]

    def batch(self, rows: NDArray[np.int64], *, seed: int) -> Batch:
        """Return damaged passages, and the whole ones under names with `target_`."""
        generator = np.random.default_rng(seed)
        whole, words = self.passages.tokens, self.passages.words
        damaged = [leave_out_words(whole[row], words[row], self.share, generator) for row in rows.tolist()]
        return self.pad(damaged) | self.pad([whole[row] for row in rows.tolist()], name="target_")

    def forward(self, batch: Batch) -> Tensor:
        """Return the loss of a step: cross-entropy of the next token, mean over the tokens of the whole passages."""
        damaged = {name: values for name, values in batch.items() if not name.startswith("target_")}
        whole = {name.removeprefix("target_"): values for name, values in batch.items() if name.startswith("target_")}
        loss: Tensor = self.loss([damaged, whole], None)
        return loss


def _no_decoder(architecture: str) -> ModelError:
    return ModelError(
        f"{architecture} cannot be turned into a decoder",
        hint="use 'mlm' instead of 'tsdae' in adaptation.methods; BERT, RoBERTa and XLM-R can do both",
    )


class SameVectors(Objective):
    """New tokens learn to mean what their pieces meant: 1 − cosine between a text's vectors with and without them.

    Only the rows of new tokens move. `pieces` are the same passages in the tokens that the base model knows; these
    never name a new row, so that the model itself gives the vector to reach. After Dobler, Elliott & de Melo 2025,
    https://arxiv.org/abs/2505.20133, with the text's vector in the place of its hidden states.
    """

    def __init__(self, model: SentenceTransformer, passages: Passages, *, pieces: Passages, first_new: int) -> None:
        super().__init__(model, passages)
        self.pieces = pieces
        for parameter in model.parameters():
            parameter.requires_grad = False
        weight = model[0].auto_model.get_input_embeddings().weight
        weight.requires_grad = True
        is_new = torch.zeros(len(weight), 1, device=weight.device)
        is_new[first_new:] = 1.0
        weight.register_hook(lambda gradient: gradient * is_new)

    def batch(self, rows: NDArray[np.int64], *, seed: int) -> Batch:  # noqa: ARG002 - nothing is random here
        """Return the passages in new tokens, and in old ones under names with `old_`."""
        new = self.pad([self.passages.tokens[row] for row in rows.tolist()])
        return new | self.pad([self.pieces.tokens[row] for row in rows.tolist()], name="old_")

    def forward(self, batch: Batch) -> Tensor:
        """Return the mean distance of the two vectors of each passage."""
        with torch.no_grad():
            wanted = self._vectors(batch, "old_")
        return (1 - nn.functional.cosine_similarity(self._vectors(batch, ""), wanted)).mean()

    def _vectors(self, batch: Batch, prefix: str) -> Tensor:
        features = {key: batch[f"{prefix}{key}"] for key in ("input_ids", "attention_mask")}
        vectors: Tensor = self.model(features)["sentence_embedding"].float()  # (passages, dimension)
        return vectors
