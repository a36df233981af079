"""The loss equals the library's where they mean the same, and leaves out what it must."""

from functools import partial

import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
from torch.nn import functional

from dialekt.training.losses.distillation import listwise_loss, margin_mse_loss
from dialekt.training.losses.matryoshka import matryoshka_loss
from dialekt.training.losses.ranking import ranking_loss


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
    loss = partial(ranking_loss, targets=torch.arange(6), masked=mask, weights=torch.ones(6), temperature=0.05)
    ours = matryoshka_loss(queries, documents, dimensions=(16, 8), loss=loss)
    parts = [
        functional.cross_entropy(
            functional.normalize(queries[:, :n], dim=1) @ functional.normalize(documents[:, :n], dim=1).T / 0.05,
            torch.arange(6),
        )
        for n in (16, 8)
    ]
    torch.testing.assert_close(ours, torch.stack(parts).mean())


def test_weak_negatives_count_less(vectors: tuple[torch.Tensor, torch.Tensor]) -> None:
    """A discount of ln(1/2) on both copies of a document equals having it once; a strong discount equals none."""
    queries, documents = vectors
    settings = {"targets": torch.arange(6), "weights": torch.ones(6), "temperature": 0.1}
    twice = torch.cat([documents, documents[8:]])
    discounts = torch.zeros(6, 10)
    discounts[:, 8:] = torch.tensor(0.5).log()
    halves = ranking_loss(
        queries,
        twice,
        masked=torch.zeros(6, 10, dtype=torch.bool),
        discounts=discounts,
        **settings,  # type: ignore[arg-type]
    )
    once = ranking_loss(queries, documents, masked=torch.zeros(6, 9, dtype=torch.bool), **settings)  # type: ignore[arg-type]
    torch.testing.assert_close(halves, once)


def test_listwise_equals_the_library(vectors: tuple[torch.Tensor, torch.Tensor]) -> None:
    """Over the scored documents it is the KL divergence of the two softmax distributions; others do not count."""
    queries, documents = vectors
    teacher = torch.full((6, 9), torch.nan)
    teacher[:, 2:6] = torch.randn(6, 4, generator=torch.Generator().manual_seed(2))
    ours = listwise_loss(queries, documents, teacher=teacher, weights=torch.ones(6), temperature=0.05)
    student = functional.normalize(queries, dim=1) @ functional.normalize(documents[2:6], dim=1).T / 0.05
    expected = functional.kl_div(
        student.log_softmax(1), teacher[:, 2:6].log_softmax(1), log_target=True, reduction="batchmean"
    )
    torch.testing.assert_close(ours, expected)


def test_a_student_that_agrees_with_the_teacher_has_no_loss(vectors: tuple[torch.Tensor, torch.Tensor]) -> None:
    """Both losses vanish where the student's scaled cosines are the teacher's logits up to a constant."""
    queries, documents = vectors
    teacher = functional.normalize(queries, dim=1) @ functional.normalize(documents, dim=1).T / 0.05 + 3.0
    teacher[:, 7:] = torch.nan
    settings = {"teacher": teacher, "weights": torch.ones(6), "temperature": 0.05}
    assert listwise_loss(queries, documents, **settings).item() == pytest.approx(0, abs=1e-5)  # type: ignore[arg-type]
    margins = margin_mse_loss(queries, documents, targets=torch.arange(6), **settings)  # type: ignore[arg-type]
    assert margins.item() == pytest.approx(0, abs=1e-5)


def test_margins_are_measured_against_the_teachers_own(vectors: tuple[torch.Tensor, torch.Tensor]) -> None:
    """A student that sees no difference has a loss of 1 whatever the teacher's scale; rows without one are zero."""
    queries, documents = vectors[0], vectors[1][:1].repeat(9, 1)
    for scale in (1.0, 20.0):
        teacher = torch.full((6, 9), torch.nan)
        teacher[:3, :5] = scale * torch.randn(3, 5, generator=torch.Generator().manual_seed(2))
        teacher[4, 0] = 1.0
        loss = margin_mse_loss(
            queries, documents, targets=torch.arange(6) % 3, teacher=teacher, weights=torch.ones(6), temperature=0.05
        )
        assert loss.item() == pytest.approx(1, abs=1e-4)


def test_steps_without_a_margin_have_a_finite_gradient(vectors: tuple[torch.Tensor, torch.Tensor]) -> None:
    """A step in which the teacher scored nothing gives zero loss and zero gradients, not NaN."""
    queries, documents = vectors[0].requires_grad_(), vectors[1]
    teacher = torch.full((6, 9), torch.nan)
    listwise = listwise_loss(queries, documents, teacher=teacher, weights=torch.ones(6), temperature=0.05)
    margins = margin_mse_loss(
        queries, documents, targets=torch.arange(6), teacher=teacher, weights=torch.ones(6), temperature=0.05
    )
    (listwise + margins).backward()  # type: ignore[no-untyped-call]
    assert queries.grad is not None
    assert listwise.item() == margins.item() == queries.grad.abs().sum().item() == 0
