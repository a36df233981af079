"""The adaptation stage: every method learns, dev keeps or refuses it, and a stopped run goes on."""

import signal
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Transformer
from sentence_transformers.sentence_transformer.modules import Pooling
from tests.adaptation.conftest import (
    LEARNING,
    LONG_TERM,
    fixed_judge,
    start_of,
    topic_texts,
    weights_of,
    write_texts,
)
from transformers import AutoTokenizer, MPNetConfig, MPNetModel

from dialekt.adaptation.records import AdaptationFacts, AdaptationInputs
from dialekt.adaptation.stage import run
from dialekt.config import AdaptationConfig, AdaptationMethod, JudgedBy, KeepRule, ModelConfig, Precision
from dialekt.errors import ConfigError, ModelError
from dialekt.models.base import describe_model
from dialekt.models.contract import read_contract
from dialekt.models.encoder import Encoder
from dialekt.types import Progress, Role

MLM, TSDAE, VOCABULARY = AdaptationMethod.MLM, AdaptationMethod.TSDAE, AdaptationMethod.VOCABULARY


def with_methods(*methods: AdaptationMethod, **changes: object) -> AdaptationConfig:
    """Return a configuration that learns fast, with these methods."""
    return LEARNING.model_copy(update={"methods": methods, **changes})


def losses(facts: AdaptationFacts, row: int = 0) -> list[float]:
    """Return the losses of a method."""
    fitted = facts.methods[row].fitted
    assert fitted is not None
    return [point.loss for point in fitted.losses]


@pytest.mark.parametrize(("method", "epochs"), [(MLM, 12.0), (TSDAE, 10.0)])
def test_documents_alone_teach_which_words_belong_together(
    inputs: AdaptationInputs, tmp_path: Path, method: AdaptationMethod, epochs: float
) -> None:
    """The loss falls, words of one topic find each other, and the model is kept and whole."""
    facts = run(with_methods(method, epochs=epochs), inputs, tmp_path)
    verdict = facts.methods[0].verdict
    assert losses(facts)[-1] < losses(facts)[0] / 3
    assert verdict.gain is not None
    assert verdict.gain > 0.05
    assert verdict.kept
    assert verdict.why.startswith("it helps: +")
    assert facts.kept == (method.value,)
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "corpus") == ["model", "start.json"]
    assert start_of(tmp_path) == describe_model(str(tmp_path / "model"))
    assert read_contract(tmp_path / "model").dimension == 32
    assert facts.warnings == ()


def test_what_does_not_help_is_not_kept(inputs: AdaptationInputs, tmp_path: Path) -> None:
    """There is no model, training starts from the base, and the facts say by how much it fell short."""
    facts = run(with_methods(MLM, epochs=0.1), replace(inputs, judge=fixed_judge([-0.02])), tmp_path)
    assert facts.kept == ()
    assert facts.judged_by == JudgedBy.TRAINING
    assert facts.methods[0].verdict.gain == pytest.approx(-0.02)
    assert facts.methods[0].verdict.why.startswith("it is not proven to help by more than zero: -0.020 NDCG@10 on 40")
    assert [path.name for path in tmp_path.iterdir() if path.name != "corpus"] == ["start.json"]
    assert start_of(tmp_path) == ""


def test_a_method_starts_from_what_was_kept_before(inputs: AdaptationInputs, tmp_path: Path) -> None:
    """The second is refused, so that the model is the one that the first left."""
    short = {"epochs": 0.3}
    first = run(with_methods(MLM, **short), replace(inputs, judge=fixed_judge([0.1])), tmp_path / "one")
    both = run(with_methods(MLM, TSDAE, **short), replace(inputs, judge=fixed_judge([0.1, -0.05])), tmp_path / "two")
    assert first.kept == both.kept == ("mlm",)
    assert [one.verdict.kept for one in both.methods] == [True, False]
    assert both.methods[1].verdict.before == both.methods[0].verdict.after
    assert start_of(tmp_path / "one") == start_of(tmp_path / "two") != ""


def test_without_dev_nothing_is_trained(inputs: AdaptationInputs, tmp_path: Path) -> None:
    """Nobody could say whether it helps; the facts say so in one sentence."""
    facts = run(with_methods(MLM), replace(inputs, judge=None), tmp_path)
    assert (facts.kept, facts.methods[0].fitted, facts.judged_by) == ((), None, "")
    assert facts.warnings == ("nothing was adapted: there are no dev queries, and adaptation.keep is 'dev'",)
    assert start_of(tmp_path) == ""


def test_everything_is_kept_for_who_insists(inputs: AdaptationInputs, tmp_path: Path) -> None:
    """With dev the facts still say that it does not help; without dev, that nobody asked."""
    config = with_methods(MLM, epochs=0.1, keep=KeepRule.ALWAYS)
    refused = run(config, replace(inputs, judge=fixed_judge([-0.02])), tmp_path / "dev")
    assert refused.kept == ("mlm",)
    assert refused.methods[0].verdict.why.startswith("adaptation.keep = 'always', although it is not proven to help")
    unasked = run(config, replace(inputs, judge=None), tmp_path / "none")
    assert unasked.kept == ("mlm",)
    assert unasked.warnings == ("no dev query has judged this model: judge some results before you serve it",)


def encoder_of(folder: Path | str) -> Encoder:
    """Return an encoder in full precision."""
    return Encoder.load(str(folder), ModelConfig(device="cpu"), precision=Precision.FP32)


def test_an_extended_vocabulary_says_what_its_pieces_said(inputs: AdaptationInputs, tmp_path: Path) -> None:
    """Texts without a new term keep their vectors; with one they come nearer to them than the mean of pieces is."""
    texts = [f"{text} {LONG_TERM} old" for text in topic_texts()]
    inputs = replace(inputs, corpus=write_texts(tmp_path / "terms", texts), judge=None)
    unasked = {"keep": KeepRule.ALWAYS, "epochs": 20.0}
    facts = run(with_methods(VOCABULARY, **unasked), inputs, tmp_path / "out")
    fitted = facts.methods[0].fitted
    assert fitted is not None
    assert (fitted.terms, fitted.passages) == (2, len(texts))
    assert losses(facts)[-1] < losses(facts)[0]
    old, new = encoder_of(inputs.model.base), encoder_of(tmp_path / "out" / "model")
    others = topic_texts()[:20]
    assert np.abs(old.encode(others, Role.QUERY) - new.encode(others, Role.QUERY)).max() < 1e-6
    cosines = (old.encode(texts, Role.DOCUMENT) * new.encode(texts, Role.DOCUMENT)).sum(axis=1)
    assert 1 - cosines.mean() < losses(facts)[0]
    assert len(new.model.tokenizer) == len(old.model.tokenizer) + 2


def test_no_fragmented_term_no_change(inputs: AdaptationInputs, tmp_path: Path) -> None:
    """A corpus whose words the model knows has nothing to add; the methods after it still run."""
    alone = replace(inputs, find_terms=lambda _: ["pump"], judge=fixed_judge([0.1]))
    facts = run(with_methods(VOCABULARY, MLM, epochs=0.1), alone, tmp_path)
    assert facts.methods[0].verdict.why == "the documents have nothing that could be learned this way"
    assert facts.kept == ("mlm",)


def test_tsdae_learns_with_an_extended_vocabulary(inputs: AdaptationInputs, tmp_path: Path) -> None:
    """Methods build on each other: the decoder knows the new tokens too."""
    texts = [f"{text} {LONG_TERM} old" for text in topic_texts()]
    inputs = replace(inputs, corpus=write_texts(tmp_path / "terms", texts), judge=None)
    facts = run(with_methods(VOCABULARY, TSDAE, MLM, keep=KeepRule.ALWAYS, epochs=1.0), inputs, tmp_path / "out")
    assert facts.kept == ("vocabulary", "tsdae", "mlm")
    assert losses(facts, 1)[-1] < losses(facts, 1)[0]
    assert facts.derived["max_tokens"].value == "64 (vocabulary), 64 (tsdae), 64 (mlm)"


@pytest.mark.parametrize("method", [MLM, TSDAE])
def test_a_stopped_run_ends_where_a_whole_one_ends(
    inputs: AdaptationInputs, tmp_path: Path, method: AdaptationMethod
) -> None:
    """Ctrl-C saves; the next run does only the rest, and ends with the same weights."""
    config = with_methods(method, epochs=1.0, keep=KeepRule.ALWAYS)
    inputs = replace(inputs, judge=fixed_judge([0.1]))
    whole = run(config, inputs, tmp_path / "whole")

    def stop(step: Progress) -> None:
        if step.total and step.done == 4 and step.label in {"guessing masked words", "rebuilding damaged passages"}:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run(config, replace(inputs, judge=fixed_judge([0.1])), tmp_path / "stopped", progress=stop)
    resumed = run(config, replace(inputs, judge=fixed_judge([0.1])), tmp_path / "stopped")
    assert resumed.methods[0].fitted is not None
    assert resumed.methods[0].fitted.resumed
    assert losses(resumed) == pytest.approx(losses(whole), rel=1e-4)
    expected, found = (weights_of(tmp_path / name / "model") for name in ("whole", "stopped"))
    assert expected.keys() == found.keys()
    for name, weights in expected.items():
        np.testing.assert_allclose(found[name], weights, atol=1e-5)


def test_what_was_found_before_a_stop_is_not_asked_again(inputs: AdaptationInputs, tmp_path: Path) -> None:
    """Trained methods and dev scores stay; the facts are those of a run that was never stopped."""
    config = with_methods(MLM, TSDAE, epochs=0.1, keep=KeepRule.ALWAYS)
    judge = fixed_judge([0.1, 0.1])
    asked: list[str] = []

    def stop_at_tsdae(step: Progress) -> None:
        if step.label == "asking dev: tsdae":
            raise KeyboardInterrupt
        asked.append(step.label)

    with pytest.raises(KeyboardInterrupt):
        run(config, replace(inputs, judge=judge), tmp_path, progress=stop_at_tsdae)
    assert "asking dev: mlm" in asked
    asked.clear()
    facts = run(config, replace(inputs, judge=judge), tmp_path, progress=lambda step: asked.append(step.label))
    assert set(asked) == {"reading documents", "asking dev: tsdae"}
    assert [one.verdict.gain for one in facts.methods] == [pytest.approx(0.1), pytest.approx(0.1)]
    assert not any(one.fitted and one.fitted.resumed for one in facts.methods)


def test_a_time_limit_shortens_the_plan(inputs: AdaptationInputs, tmp_path: Path) -> None:
    """The facts say so; the learning rate still falls to zero at the last step."""
    config = with_methods(MLM, time_limit_minutes=1e-6, keep=KeepRule.ALWAYS)
    facts = run(config, replace(inputs, judge=None), tmp_path)
    assert facts.methods[0].fitted is not None
    assert (facts.methods[0].fitted.steps, facts.methods[0].fitted.shortened) == (1, True)
    assert facts.warnings[0] == "the time limit ended 'mlm' after 1 steps"


def test_no_text_is_in_the_facts(inputs: AdaptationInputs, tmp_path: Path) -> None:
    """Neither a document's words nor the new terms leave the model folder."""
    texts = [f"{text} {LONG_TERM} old" for text in topic_texts()]
    inputs = replace(inputs, corpus=write_texts(tmp_path / "terms", texts), judge=None)
    facts = run(with_methods(VOCABULARY, keep=KeepRule.ALWAYS, epochs=0.1), inputs, tmp_path / "out")
    assert LONG_TERM not in str(asdict(facts))


def test_a_model_that_cannot_learn_this_way_is_an_error(
    inputs: AdaptationInputs, tiny_model: Path, tmp_path: Path
) -> None:
    """A tokenizer without a mask cannot play the guessing game; no method at all is a mistake in the settings."""
    encoder = encoder_of(tiny_model)
    encoder.model.tokenizer.mask_token = None
    encoder.model.save_pretrained(str(tmp_path / "maskless"), create_model_card=False)
    maskless = replace(inputs, model=ModelConfig(base=str(tmp_path / "maskless"), device="cpu"))
    with pytest.raises(ModelError, match="the model's tokenizer has no mask token"):
        run(with_methods(MLM), maskless, tmp_path / "out")
    with pytest.raises(ConfigError, match=r"adaptation\.methods is empty"):
        run(AdaptationConfig(), inputs, tmp_path / "none")


def test_tsdae_needs_an_architecture_with_a_decoder(inputs: AdaptationInputs, tiny_model: Path, tmp_path: Path) -> None:
    """MPNet has none: the error names the architecture and the other method, which works."""
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    sizes = {"num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64, "max_position_embeddings": 130}
    MPNetModel(MPNetConfig(vocab_size=len(tokenizer), hidden_size=32, **sizes)).save_pretrained(tmp_path / "plain")
    tokenizer.save_pretrained(tmp_path / "plain")
    modules = [Transformer(str(tmp_path / "plain"), max_seq_length=64), Pooling(32, "mean")]
    SentenceTransformer(modules=modules, device="cpu").save(str(tmp_path / "mpnet"), create_model_card=False)
    other = replace(inputs, model=ModelConfig(base=str(tmp_path / "mpnet"), device="cpu"), judge=None)
    unasked = {"keep": KeepRule.ALWAYS, "epochs": 0.5}
    with pytest.raises(ModelError, match="MPNetModel cannot be turned into a decoder"):
        run(with_methods(TSDAE, **unasked), other, tmp_path / "tsdae")
    assert run(with_methods(MLM, **unasked), other, tmp_path / "mlm").kept == ("mlm",)
