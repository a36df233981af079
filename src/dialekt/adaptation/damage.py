"""What is hidden from the model, which must say it: masked tokens, and words left out."""

import numpy as np
from numpy.typing import NDArray

SHARE_MASKED = 0.8
SHARE_RANDOM = 0.1


def choose_masked(length: int, share: float, generator: np.random.Generator) -> NDArray[np.int64]:
    """Return the places that must be guessed: `share` of them, one at least; rising."""
    count = max(1, round(share * length))
    return np.sort(generator.permutation(length)[:count])


def hide(
    tokens: NDArray[np.int32],
    places: NDArray[np.int64],
    *,
    mask_id: int,
    vocabulary: int,
    generator: np.random.Generator,
) -> NDArray[np.int32]:
    """Return the tokens with 80% of the places masked, 10% random and 10% as they were.

    Reference: Devlin et al. 2019, https://arxiv.org/abs/1810.04805.
    """
    hidden = tokens.copy()
    draws = generator.random(len(places))
    hidden[places[draws < SHARE_MASKED]] = mask_id
    changed = places[(draws >= SHARE_MASKED) & (draws < SHARE_MASKED + SHARE_RANDOM)]
    hidden[changed] = generator.integers(0, vocabulary, size=len(changed))
    return hidden


def leave_out_words(
    tokens: NDArray[np.int32], words: NDArray[np.int32], share: float, generator: np.random.Generator
) -> NDArray[np.int32]:
    """Return the tokens without about `share` of the words, each left out by itself; one word at least stays.

    Reference: TSDAE, Wang, Reimers & Gurevych 2021, https://arxiv.org/abs/2104.06979.
    """
    distinct, numbers = np.unique(words, return_inverse=True)
    kept = generator.random(len(distinct)) >= share
    if not kept.any():
        kept[generator.integers(len(distinct))] = True
    return tokens[kept[numbers]]
