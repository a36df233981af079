# ruff: noqa: RUF001 - texts in many scripts
"""A small multilingual world: a tiny model with XLM-R's layout, and documents in nine scripts with their searches."""

import itertools
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Tongue:
    """Words of a language: what documents call things, what searchers call the same things, and words of any text.

    `sentence` is how a document speaks of two things and a word; `search` how two names and a word are searched for.
    """

    code: str
    things: tuple[str, ...]
    names: tuple[str, ...]
    filler: tuple[str, ...]
    sentence: str
    search: str


TONGUES = (
    Tongue(
        "zh",
        ("水泵", "阀门", "电缆", "密码", "发票", "屏幕"),
        ("抽水设备", "开关装置", "导线", "登录口令", "收费凭证", "显示器"),
        ("维修", "更换", "费用", "说明", "安装", "检查"),
        "{0}与{1}的{2}必须按照手册进行。请先断电，再打开{0}！{1}坏了怎么办？",
        "{0}{1}{2}",
    ),
    Tongue(
        "ja",
        ("ポンプ", "バルブ", "電線", "パスワード", "請求書", "画面"),
        ("揚水機", "弁", "ケーブル", "暗証番号", "支払伝票", "ディスプレイ"),
        ("修理", "交換", "料金", "手順", "設置", "点検"),
        "{0}と{1}の{2}について説明します。「{0}を止めてから{1}を外してください。」",
        "{0}と{1}の{2}",
    ),
    Tongue(
        "ar",
        ("مضخة", "صمام", "سلك", "مفتاح", "فاتورة", "شاشة"),
        ("طلمبة", "محبس", "كابل", "رمز", "كشف", "عارضة"),
        ("إصلاح", "استبدال", "تكلفة", "دليل", "تركيب", "فحص"),
        "يتم {2} {0} مع {1} في الوحدة من قبل الفني. هل {0} لا تعمل؟ على أن يغلق {1} قبل ذلك.",
        "{2} {0} و {1}",
    ),
    Tongue(
        "hi",
        ("पंप", "वाल्व", "तार", "पासवर्ड", "बिल", "स्क्रीन"),
        ("मोटर", "कपाट", "केबल", "कूटशब्द", "चालान", "पर्दा"),
        ("मरम्मत", "बदलना", "लागत", "निर्देश", "लगाना", "जाँच"),
        "{0} और {1} का {2} इस पुस्तिका में है। पहले {0} को बंद करें, फिर {1} को खोलें।",
        "{0} {1} {2}",
    ),
    Tongue(
        "ru",
        ("насос", "клапан", "провод", "пароль", "счёт", "экран"),
        ("помпа", "вентиль", "кабель", "код", "квитанция", "дисплей"),
        ("ремонт", "замена", "стоимость", "инструкция", "установка", "проверка"),
        "В этом разделе {2}: {0} и {1}. Сначала нужно отключить {0}, а не {1}, и это важно для работы.",
        "{2} {0} {1}",
    ),
    Tongue(
        "th",
        ("ปั๊มน้ำ", "วาล์ว", "สายไฟ", "รหัสผ่าน", "ใบแจ้งหนี้", "หน้าจอ"),
        ("เครื่องสูบ", "ลิ้น", "เคเบิล", "พาสเวิร์ด", "บิล", "จอภาพ"),
        ("ซ่อม", "เปลี่ยน", "ราคา", "คู่มือ", "ติดตั้ง", "ตรวจ"),
        "การ{2}{0}และ{1}ต้องทำตามขั้นตอน ปิด{0}ก่อนเปิด{1}เสมอ",
        "{2}{0}{1}",
    ),
    Tongue(
        "ko",
        ("펌프", "밸브", "전선", "비밀번호", "청구서", "화면"),
        ("양수기", "개폐기", "케이블", "암호", "영수증", "모니터"),
        ("수리", "교체", "비용", "안내", "설치", "점검"),
        "{0} 및 {1} {2} 방법을 설명합니다. 먼저 {0} 전원을 끄고 {1} 상태를 확인하십시오.",
        "{0} {1} {2}",
    ),
    Tongue(
        "el",
        ("αντλία", "βαλβίδα", "καλώδιο", "κωδικός", "τιμολόγιο", "οθόνη"),
        ("τρόμπα", "βάνα", "σύρμα", "σύνθημα", "απόδειξη", "μόνιτορ"),
        ("επισκευή", "αλλαγή", "κόστος", "οδηγίες", "εγκατάσταση", "έλεγχος"),
        "Στην ενότητα αυτή: {2}, {0} και {1}. Πρώτα κλείνει η {0} και μετά η {1}.",
        "{2} {0} {1}",
    ),
    Tongue(
        "tr",
        ("ışıldak", "şalter", "iletken", "şifre", "İrsaliye", "görüntü"),
        ("lamba", "düğme", "kablo", "parola", "fiş", "ekran"),
        ("onarım", "değişim", "ücret", "kılavuz", "kurulum", "ölçüm"),
        "Bu bölüm {0} ve {1} için {2} üzerinedir. Önce {0}, sonra {1} kapatılır; bu çok önemli.",
        "{0} {1} {2}",
    ),
)
COUPLES = tuple(itertools.combinations(range(6), 2))


def tongue(code: str) -> Tongue:
    """Return a language by its code."""
    return next(one for one in TONGUES if one.code == code)


def documents(one: Tongue) -> Iterator[dict[str, object]]:
    """Yield a document for every two things of a language; ids and metadata are in its script."""
    for number, (first, second) in enumerate(COUPLES):
        text = one.sentence.format(one.things[first], one.things[second], one.filler[number % len(one.filler)])
        yield {
            "_id": f"{one.things[0]}-{number}",
            "title": one.things[first],
            "text": text,
            "metadata": {"lang": one.code, "thing": one.things[first]},
        }


def write_multilingual_beir(folder: Path, tongues: Sequence[Tongue] = TONGUES, *, judged: bool = True) -> Path:
    """Write a BEIR folder whose searches name things by other words than its documents: only training can help."""
    draw = random.Random(5)
    rows, queries, qrels = [], [], ["query-id\tcorpus-id\tscore"]
    for one in tongues:
        rows += (found := list(documents(one)))
        for number, (first, second) in enumerate(COUPLES):
            for turn, filler in enumerate(draw.sample(one.filler, 3)):
                query_id = f"{one.names[0]}-{number}-{turn}"
                queries.append(
                    {"_id": query_id, "text": one.search.format(one.names[first], one.names[second], filler)}
                )
                qrels.append(f"{query_id}\t{found[number]['_id']}\t1")
    folder.mkdir(parents=True, exist_ok=True)
    written = (("corpus", rows), *((("queries", queries),) if judged else ()))
    for name, lines in written:
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        (folder / f"{name}.jsonl").write_text("\ufeff" + text, encoding="utf-8")
    if judged:
        (folder / "qrels").mkdir()
        (folder / "qrels" / "all.tsv").write_text("\n".join(qrels) + "\n", encoding="utf-8")
    return folder


def save_tiny_xlmr(folder: Path, texts: Sequence[str]) -> Path:
    """Save a two-layer XLM-R, hidden 32, with a Unigram tokenizer of the texts, as multilingual-e5 lies on disk.

    It declares no prompts, as E5 does not.
    """
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Normalize, Transformer
    from sentence_transformers.sentence_transformer.modules import Pooling
    from transformers import XLMRobertaConfig, XLMRobertaModel

    tokenizer = _tokenizer(texts)
    config = XLMRobertaConfig(
        vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
        max_position_embeddings=130, pad_token_id=1, bos_token_id=0, eos_token_id=2, type_vocab_size=1,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(7)
        model = XLMRobertaModel(config)
        torch.nn.init.normal_(model.embeddings.word_embeddings.weight, std=1.0)
    plain = folder.parent / f"{folder.name}-transformer"
    model.save_pretrained(plain)
    tokenizer.save_pretrained(plain)
    modules = [Transformer(str(plain), max_seq_length=96), Pooling(32, "mean"), Normalize()]
    SentenceTransformer(modules=modules, device="cpu").save(str(folder), create_model_card=False)
    return folder


def _tokenizer(texts: Sequence[str]) -> Any:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    names = {"bos": "<s>", "pad": "<pad>", "eos": "</s>", "unk": "<unk>"}
    trained = Tokenizer(models.Unigram())
    trained.normalizer = normalizers.NFKC()
    trained.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    trained.train_from_iterator(
        texts,
        trainers.UnigramTrainer(
            vocab_size=900, special_tokens=list(names.values()), unk_token="<unk>", show_progress=False
        ),
    )
    trained.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=trained, model_max_length=128, **{f"{name}_token": token for name, token in names.items()}
    )


def all_texts() -> list[str]:
    """Return every text of the world: what its tokenizer is trained on."""
    spoken = [f"{row['title']} {row['text']}" for one in TONGUES for row in documents(one)]
    return [*spoken, *(" ".join((*one.things, *one.names, *one.filler)) for one in TONGUES), "query: passage: "]
