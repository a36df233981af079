"""The loss equals the library's where they mean the same, and leaves out what it must."""

import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
from torch.nn import functional

from dialekt.training.losses import matryoshka_loss, ranking_loss


@pytest.fixture
def vectors() -> tuple[torch.Tensor, torch.Tensor]:
    """Six queries and nine documents."""
    generator = torch.Generator().manual_seed(1)
    return torch.randn(6, 16, generator=generator), torch.randn(9, 16, generator=generator)


def test_equals_the_reference_with_hard_negatives(
    tiny_model: object, vectors: tuple[torch.Tensor, torch.Tensor]
) -> None:
    """Without a mask it is sentence-transformers' MultipleNegativesRankingLoss with scale 1/temperature."""
    queries, documents = vectors
    library = MultipleNegativesRankingLoss(SentenceTransformer(str(tiny_model), device="cpu"), scale=20.0)
    expected = library.compute_loss_from_embeddings([queries[:3], documents[:3], documents[3:6]], None)
    ours = ranking_loss(
        queries[:3],
        documents[:6],
        targets=torch.arange(3),
        masked=torch.zeros(3, 6, dtype=torch.bool),
        weights=torch.ones(3),
        temperature=0.05,
    )
    torch.testing.assert_close(ours, expected)


def test_masked_documents_do_not_count(vectors: tuple[torch.Tensor, torch.Tensor]) -> None:
    """Masking a column equals leaving the document out."""
    queries, documents = vectors
    masked = torch.zeros(6, 9, dtype=torch.bool)
    masked[:, 7:] = True
    settings = {"targets": torch.arange(6), "weights": torch.ones(6), "temperature": 0.1}
    without = ranking_loss(queries, documents[:7], masked=masked[:, :7], **settings)  # type: ignore[arg-type]
    torch.testing.assert_close(ranking_loss(queries, documents, masked=masked, **settings), without)  # type: ignore[arg-type]


def test_weights_scale_the_pairs(vectors: tuple[torch.Tensor, torch.Tensor]) -> None:
    """A pair of weight 0 changes nothing; equal weights of any size give the plain mean."""
    queries, documents = vectors
    mask = torch.zeros(6, 9, dtype=torch.bool)
    weights = torch.tensor([1.0, 1.0, 1.0, 0.0, 0.0, 0.0])
    half = ranking_loss(queries, documents, targets=torch.arange(6), masked=mask, weights=weights * 7, temperature=0.1)
    first = ranking_loss(
        queries[:3], documents, targets=torch.arange(3), masked=mask[:3], weights=torch.ones(3), temperature=0.1
    )
    torch.testing.assert_close(half, first)


def test_matryoshka_is_the_mean_over_prefixes(vectors: tuple[torch.Tensor, torch.Tensor]) -> None:
    """Each dimension contributes the loss of the cut, renormalised vectors."""
    queries, documents = vectors
    mask = torch.zeros(6, 9, dtype=torch.bool)
    settings = {"targets": torch.arange(6), "masked": mask, "weights": torch.ones(6), "temperature": 0.05}
    ours = matryoshka_loss(queries, documents, dimensions=(16, 8), **settings)  # type: ignore[arg-type]
    parts = [
        functional.cross_entropy(
            functional.normalize(queries[:, :n], dim=1) @ functional.normalize(documents[:, :n], dim=1).T / 0.05,
            torch.arange(6),
        )
        for n in (16, 8)
    ]
    torch.testing.assert_close(ours, torch.stack(parts).mean())
