# ruff: noqa: RUF001 - the Chinese prompt ends in a full-width colon
"""Families of models: the contract of each from the files that its folder has, without a hub."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.languages import all_texts, save_tiny_xlmr

from dialekt.config import ModelConfig, Precision
from dialekt.models.contract import read_contract
from dialekt.models.encoder import Encoder
from dialekt.models.folders import derive_fields
from dialekt.types import Role

WEB = "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery:"
SENTENCE = "Represent this sentence for searching relevant passages: "
CHINESE = "为这个句子生成表示以用于检索相关文章："
XLMR = {"model_type": "xlm-roberta", "hidden_size": 384, "max_position_embeddings": 514}
BERT = {"model_type": "bert", "hidden_size": 1024, "max_position_embeddings": 512}


@dataclass(frozen=True)
class Case:
    """What a model's folder holds, and the contract that must come of it."""

    name: str
    query: str
    document: str
    pooling: str
    source: str
    tokens: int = 512
    config: dict[str, Any] = field(default_factory=lambda: BERT)
    declared: dict[str, str] | None = None
    limit: int | None = 512


FOLDERS = (
    Case("intfloat/multilingual-e5-small", "query: ", "passage: ", "mean", "E5", config=XLMR),
    Case("intfloat/multilingual-e5-base", "query: ", "passage: ", "mean", "E5", config=XLMR),
    Case("intfloat/multilingual-e5-large", "query: ", "passage: ", "mean", "E5", config=XLMR),
    Case("intfloat/multilingual-e5-large-instruct", f"{WEB} ", "", "mean", "E5 instruct", config=XLMR),
    Case("BAAI/bge-base-en-v1.5", SENTENCE, "", "cls", "BGE English"),
    Case("BAAI/bge-large-zh-v1.5", CHINESE, "", "cls", "BGE Chinese"),
    Case("BAAI/bge-large-zh-noinstruct", "", "", "cls", ""),
    Case(
        "BAAI/bge-m3", "", "", "cls", "", tokens=8192, limit=8192,
        config=XLMR | {"max_position_embeddings": 8194},
    ),
    Case("Alibaba-NLP/gte-multilingual-base", "", "", "cls", "", tokens=8192, limit=8192, config={"hidden_size": 768}),
    Case("nomic-ai/nomic-embed-text-v1.5", "search_query: ", "search_document: ", "mean", "Nomic"),
    Case("mixedbread-ai/mxbai-embed-large-v1", SENTENCE, "", "cls", "own", declared={"query": SENTENCE, "passage": ""}),
    Case("mixedbread-ai/mxbai-embed-xsmall-v1", "", "", "mean", ""),
    Case("mixedbread-ai/deepset-mxbai-embed-de-large-v1", "query: ", "passage: ", "mean", "mxbai German", config=XLMR),
    Case(
        "Snowflake/snowflake-arctic-embed-l-v2.0", "query: ", "", "cls", "own", tokens=8192, limit=8192,
        config=XLMR | {"max_position_embeddings": 8194}, declared={"query": "query: "},
    ),
    Case("Snowflake/snowflake-arctic-embed-m-v1.5", SENTENCE, "", "cls", "own", declared={"query": SENTENCE}),
    Case(
        "Qwen/Qwen3-Embedding-0.6B", WEB, "", "lasttoken", "own", tokens=32768, limit=None,
        config={"model_type": "qwen3", "hidden_size": 1024, "max_position_embeddings": 32768},
        declared={"query": WEB, "document": ""},
    ),
    Case(
        "google/embeddinggemma-300m", "task: search result | query: ", "title: none | text: ", "mean", "own",
        tokens=2048, limit=2048, config={"model_type": "gemma3_text", "hidden_size": 768},
        declared={
            "query": "task: search result | query: ", "document": "title: none | text: ",
            "Retrieval-query": "task: search result | query: ", "Clustering": "task: clustering | query: ",
        },
    ),
    Case(
        "jinaai/jina-embeddings-v3", "Represent the query for retrieving evidence documents: ",
        "Represent the document for retrieval: ", "mean", "own", tokens=8192, limit=8192,
        config=XLMR | {"max_position_embeddings": 8194},
        declared={
            "retrieval.query": "Represent the query for retrieving evidence documents: ",
            "retrieval.passage": "Represent the document for retrieval: ", "separation": "",
        },
    ),
    Case("someone/harrier", "<ask> ", "", "lasttoken", "own", declared={"web_search_query": "<ask> "}),
)  # fmt: skip


def write_folder(folder: Path, case: Case, *, bare: bool = False) -> Path:
    """Write the configuration files of a model as they lie on the hub; `bare` leaves sentence-transformers' out."""
    folder.mkdir(parents=True)

    def put(name: str, content: object) -> None:
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")

    put("config.json", case.config)
    put("tokenizer_config.json", {"model_max_length": case.limit or 131_072})
    if bare:
        return folder
    parts = (("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize"))
    put("modules.json", [
        {"idx": number, "name": str(number), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for number, (path, kind) in enumerate(parts)
    ])  # fmt: skip
    flags = {"cls": "cls_token", "mean": "mean_tokens", "lasttoken": "lasttoken"}
    put("1_Pooling/config.json", {
        "word_embedding_dimension": case.config["hidden_size"],
        **{f"pooling_mode_{flag}": case.pooling == name for name, flag in flags.items()},
    })  # fmt: skip
    if case.limit:
        put("sentence_bert_config.json", {"max_seq_length": case.limit, "do_lower_case": False})
    settings: dict[str, Any] = {"__version__": {"sentence_transformers": "2.7.0"}}
    if case.declared is not None:
        settings |= {"prompts": case.declared, "default_prompt_name": None, "similarity_fn_name": "cosine"}
    put("config_sentence_transformers.json", settings)
    return folder


@pytest.mark.parametrize("case", FOLDERS, ids=lambda case: case.name)
def test_a_folder_as_it_lies_on_the_hub(tmp_path: Path, case: Case) -> None:
    """Prompts come from the folder where it declares them, else from what is known of the family."""
    folder = write_folder(tmp_path / "snapshot", case)
    contract = read_contract(folder, name=case.name)
    assert (contract.prompt(Role.QUERY), contract.prompt(Role.DOCUMENT)) == (case.query, case.document)
    assert (contract.pooling, contract.max_tokens) == (case.pooling, case.tokens)
    assert contract.dimension == case.config["hidden_size"]
    source = derive_fields(folder, name=case.name).prompt_source
    told = {"": "none", "own": "the model's own"}.get(case.source, f"known for the {case.source} family")
    assert source == told


@pytest.mark.parametrize("case", [one for one in FOLDERS if one.source != "own" or "/harrier" not in one.name])
def test_a_copy_that_lost_its_files_is_known_by_its_name(tmp_path: Path, case: Case) -> None:
    """A bare transformer in a folder of the model's name has the prompts and the pooling of its family."""
    contract = read_contract(write_folder(tmp_path / case.name.rpartition("/")[2], case, bare=True))
    assert (contract.query_prompt, contract.document_prompt, contract.pooling) == (
        case.query,
        case.document,
        case.pooling,
    )


def test_what_a_folder_declares_wins_over_its_name(tmp_path: Path) -> None:
    """A fine-tune that says `query: ` means it, whatever it is called."""
    case = Case("me/bge-base-en-tuned", "query: ", "", "cls", "own", declared={"query": "query: "})
    assert read_contract(write_folder(tmp_path / "x", case), name=case.name).query_prompt == "query: "


def test_a_real_multilingual_e5_puts_its_prompts_before_texts(tmp_path: Path) -> None:
    """Loaded and asked, the model encodes `query: ` and `passage: ` before texts of any script."""
    folder = save_tiny_xlmr(tmp_path / "multilingual-e5-small", all_texts())
    encoder = Encoder.load(str(folder), ModelConfig(device="cpu"), precision=Precision.FP32)
    plain = Encoder.load(
        str(folder), ModelConfig(device="cpu", query_prompt="", document_prompt=""), precision=Precision.FP32
    )
    texts = ["密码", "पासवर्ड", "пароль"]
    for role, prompt in ((Role.QUERY, "query: "), (Role.DOCUMENT, "passage: ")):
        prompted = encoder.encode(texts, role)
        assert np.allclose(prompted, plain.encode([prompt + text for text in texts], role), atol=1e-5)
        assert not np.allclose(prompted, plain.encode(texts, role), atol=1e-2)


def test_a_real_last_token_model_pads_at_the_left(tmp_path: Path) -> None:
    """Of texts of different lengths in one batch each gets the vector that it has alone."""
    folder = save_tiny_qwen3(tmp_path / "Qwen3-Embedding-tiny")
    encoder = Encoder.load(str(folder), ModelConfig(device="cpu"), precision=Precision.FP32)
    assert (encoder.contract.pooling, encoder.contract.query_prompt) == ("lasttoken", WEB)
    texts = ["密码", "a much longer text about пароль and насос and the rest of it"]
    together = encoder.encode(texts, Role.QUERY)
    alone = np.concatenate([encoder.encode([text], Role.QUERY) for text in texts])
    assert np.allclose(together, alone, atol=1e-4)
    assert abs(float(together[0] @ together[1])) < 0.999


def save_tiny_qwen3(folder: Path) -> Path:
    """Save a bare Qwen3 of two layers with a byte-level tokenizer that pads at the left and ends texts with a mark."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3Model

    vocabulary = {piece: number for number, piece in enumerate(["<|endoftext|>", *pre_tokenizers.ByteLevel.alphabet()])}
    bytes_only = Tokenizer(models.BPE(vocabulary, []))
    bytes_only.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bytes_only.decoder = decoders.ByteLevel()
    bytes_only.post_processor = processors.TemplateProcessing(
        single="$A <|endoftext|>", special_tokens=[("<|endoftext|>", 0)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=bytes_only, padding_side="left", pad_token="<|endoftext|>", eos_token="<|endoftext|>",
        model_max_length=256,
    ).save_pretrained(folder)  # fmt: skip
    config = Qwen3Config(
        vocab_size=len(vocabulary), hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        head_dim=8, intermediate_size=64, max_position_embeddings=256, pad_token_id=0, eos_token_id=0,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(5)
        Qwen3Model(config).save_pretrained(folder)
    return folder
