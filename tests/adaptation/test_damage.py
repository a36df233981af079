"""What is hidden is as much as was asked for, and can be told again from the seed."""

import numpy as np

from dialekt.adaptation.damage import choose_masked, hide, leave_out_words

TOKENS = np.arange(100, 1_100, dtype=np.int32)


def test_the_share_of_places_is_masked() -> None:
    """Of the chosen places about 80% are masked and 10% changed; all other tokens stay."""
    generator = np.random.default_rng(5)
    places = choose_masked(len(TOKENS), 0.15, generator)
    assert len(places) == len(set(places.tolist())) == 150
    hidden = hide(TOKENS, places, mask_id=4, vocabulary=50, generator=generator)
    others = np.setdiff1d(np.arange(len(TOKENS)), places)
    assert (hidden[others] == TOKENS[others]).all()
    assert 0.7 < (hidden[places] == 4).mean() < 0.9
    assert 0.03 < (hidden[places] == TOKENS[places]).mean() < 0.2
    assert len(choose_masked(1, 0.15, generator)) == 1


def test_whole_words_are_left_out() -> None:
    """A word's pieces stay or go together, in their order; something always stays."""
    generator = np.random.default_rng(5)
    words = np.repeat(np.arange(500, dtype=np.int32), 2)
    left = leave_out_words(TOKENS, words, 0.6, generator)
    assert 0.3 < len(left) / len(TOKENS) < 0.5
    assert (np.diff(left) > 0).all()
    assert (left[::2] + 1 == left[1::2]).all()
    assert len(leave_out_words(TOKENS[:2], words[:2], 0.999, generator)) == 2
