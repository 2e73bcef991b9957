"""The engine nllb on tiny random models of its architecture, made here with NLLB's and M2M100's tokenizers."""

import io
import json
from pathlib import Path
from typing import Any

import pytest

from data_build.build import build
from data_build.config import Config
from data_build.dataset.check import check
from data_build.samples import write_samples
from data_build.translate.engine import make_engine
from data_build.translate.nllb import Nllb
from data_build.translate.rows import Order
from data_build.translate.translate import translate
from mmafflm.benchmark.benchmark import benchmark, choose_subsets
from mmafflm.dataset import Dataset
from mmafflm.errors import Fault, UsageFault


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("torch")
    from transformers import NllbTokenizer

    out = tmp_path_factory.mktemp("nllb") / "tiny-nllb"
    letters = ["<s>", "<pad>", "</s>", "<unk>", "▁", *"abcdefghijklmnopqrstuvwxyz .,!?'"]
    codes = ["eng_Latn", "spa_Latn", "zho_Hans", "zho_Hant", "nob_Latn"]
    tokenizer = NllbTokenizer(vocab={one: n for n, one in enumerate(letters)}, merges=[], extra_special_tokens=codes)
    write_model(out, len(tokenizer))
    tokenizer.save_pretrained(out)
    return out


def write_model(out: Path, words: int) -> None:
    import torch
    from transformers import M2M100Config, M2M100ForConditionalGeneration

    torch.manual_seed(1)
    model = M2M100ForConditionalGeneration(
        M2M100Config(
            vocab_size=words, d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
            decoder_attention_heads=2, encoder_ffn_dim=16, decoder_ffn_dim=16, max_position_embeddings=600,
            bos_token_id=0, pad_token_id=1, eos_token_id=2, decoder_start_token_id=2,
        )
    )  # fmt: skip
    model.save_pretrained(out)


@pytest.fixture(scope="module")
def m2m100(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with the files of facebook/m2m100_418M: a SentencePiece model; vocab.json with words, then languages."""
    pytest.importorskip("torch")
    sentencepiece = pytest.importorskip("sentencepiece")
    from transformers import M2M100Tokenizer

    out = tmp_path_factory.mktemp("m2m100") / "tiny-m2m100"
    out.mkdir()
    trained = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["the quick brown fox jumps over the lazy dog.", "a longer one than that, i am here!"]),
        model_writer=trained, model_type="char", vocab_size=36, hard_vocab_limit=False, minloglevel=2,
    )  # fmt: skip
    (out / "sentencepiece.bpe.model").write_bytes(trained.getvalue())
    pieces = sentencepiece.SentencePieceProcessor(model_proto=trained.getvalue())
    words = ["<s>", "<pad>", "</s>", "<unk>", *(pieces.id_to_piece(n) for n in range(3, len(pieces)))]
    (out / "vocab.json").write_text(json.dumps({word: n for n, word in enumerate(words)}))
    tokenizer = M2M100Tokenizer(str(out / "vocab.json"), str(out / "sentencepiece.bpe.model"))
    write_model(out, len(words) + len(tokenizer.lang_code_to_id) + tokenizer.num_madeup_words)
    tokenizer.save_pretrained(out)
    return out


def test_codes_pairs_and_versions(folder: Path) -> None:
    engine = make_engine("nllb", str(folder))
    assert isinstance(engine, Nllb)
    assert [engine.code(one) for one in ("en", "es", "zh", "no")] == ["eng_Latn", "spa_Latn", "zho_Hans", "nob_Latn"]
    with pytest.raises(UsageFault, match=r"has no language fi\. Its languages: eng_Latn, nob_Latn, spa_Latn"):
        engine.require("en", "fi")
    assert engine.model("en", "es") == "tiny-nllb" and "transformers" in engine.version("en", "es")


def test_m2m100_is_told_from_what_and_into_what(m2m100: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Nllb(str(m2m100))
    codes = engine.tokenizer.lang_code_to_id
    assert len(codes) == 100 and engine.codes == codes
    # its br is Breton, XED's br is Brazilian Portuguese
    assert [engine.code(one) for one in ("en", "es", "zh", "no", "br", "pt")] == ["en", "es", "zh", "no", "pt", "pt"]
    with pytest.raises(UsageFault, match=r"tiny-m2m100 has no language mt\. Its languages: af, am, ar"):
        engine.require("en", "mt")
    calls: list[dict[str, Any]] = []
    generate = engine._loaded.generate

    def listen(**asked: Any) -> Any:
        calls.append({**asked, "said": generate(**asked)})
        return calls[-1]["said"]

    monkeypatch.setattr(engine._loaded, "generate", listen)
    for origin, target, long in (("en", "es", "es"), ("es", "br", "pt")):
        texts = engine.translate(["i am here", "a longer one than that."], origin, target)
        assert len(texts) == 2 and not any("__" in text for text in texts)
        (call,) = calls
        assert call["input_ids"][:, 0].tolist() == [codes[origin]] * 2
        assert call["said"][:, 1].tolist() == [codes[long]] * 2  # behind the decoder's start
        calls.clear()


@pytest.mark.parametrize("model", ["folder", "m2m100"])
def test_every_language_of_the_benchmark_has_a_code(model: str, request: pytest.FixtureRequest) -> None:
    """The codes of NLLB-200 come from transformers' list of them."""
    engine = Nllb(str(request.getfixturevalue(model)))
    if model == "folder":
        from transformers.models.nllb.tokenization_nllb import FAIRSEQ_LANGUAGE_CODES

        engine.codes = {code: n for n, code in enumerate(FAIRSEQ_LANGUAGE_CODES)}
    ours = {one for subset in benchmark().values() if subset.modality != "image" for one in subset.languages}
    assert len(ours) == 35
    codes = {one: engine.code(one) for one in ours}
    assert len(set(codes.values())) == 34 and codes["br"] == codes["pt"]
    if model == "folder":
        some = {"ar": "arb_Arab", "fa": "pes_Arab", "lv": "lvs_Latn", "no": "nob_Latn", "sq": "als_Latn"}
        assert some.items() <= codes.items()


def test_a_model_that_is_none_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UsageFault, match="--engine nllb needs a model"):
        make_engine("nllb", None)
    with pytest.raises(Fault, match="--model"):
        make_engine("nllb", str(tmp_path))


def test_a_batch_and_a_build(folder: Path, config: Config, tmp_path: Path) -> None:
    engine = Nllb(str(folder))
    assert len(engine.translate(["i am here", "a longer one than that."], "en", "es")) == 2
    write_samples(tmp_path / "raw", only={"xed"})
    build(tmp_path / "raw", tmp_path / "data", config, choose_subsets("XED"), jobs=1, limit=40)
    told = translate(tmp_path / "data", engine, Order(["XED"], ["en", "es"], ["en", "es"]), round_trip=3)
    assert told.asked and told.asked == told.kept + told.quarantined
    assert check(Dataset.open(tmp_path / "data")) == []
