"""The engine nllb on a tiny random model of its architecture, made on the spot with its tokenizer."""

from pathlib import Path

import pytest

from data_build.build import build
from data_build.check import check
from data_build.config import Config
from data_build.samples import write_samples
from data_build.translate.engine import make_engine
from data_build.translate.nllb import Nllb
from data_build.translate.rows import Order
from data_build.translate.stage import translate
from mmafflm.benchmark import choose_subsets
from mmafflm.dataset import Dataset
from mmafflm.errors import Fault, UsageFault


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch = pytest.importorskip("torch")
    from transformers import M2M100Config, M2M100ForConditionalGeneration, NllbTokenizer

    out = tmp_path_factory.mktemp("nllb") / "tiny-nllb"
    letters = ["<s>", "<pad>", "</s>", "<unk>", "▁", *"abcdefghijklmnopqrstuvwxyz .,!?'"]
    codes = ["eng_Latn", "spa_Latn", "zho_Hans", "zho_Hant", "nob_Latn"]
    tokenizer = NllbTokenizer(vocab={one: n for n, one in enumerate(letters)}, merges=[], extra_special_tokens=codes)
    torch.manual_seed(1)
    model = M2M100ForConditionalGeneration(
        M2M100Config(
            vocab_size=len(tokenizer), d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
            decoder_attention_heads=2, encoder_ffn_dim=16, decoder_ffn_dim=16, max_position_embeddings=600,
            bos_token_id=0, pad_token_id=1, eos_token_id=2, decoder_start_token_id=2,
        )
    )  # fmt: skip
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    return out


def test_codes_pairs_and_versions(folder: Path) -> None:
    engine = make_engine("nllb", str(folder))
    assert isinstance(engine, Nllb)
    assert [engine.code(one) for one in ("en", "es", "zh", "no")] == ["eng_Latn", "spa_Latn", "zho_Hans", "nob_Latn"]
    with pytest.raises(UsageFault, match=r"has no language fi\. It has any pair of: eng_Latn, nob_Latn, spa_Latn"):
        engine.require("en", "fi")
    assert engine.model("en", "es") == "tiny-nllb" and "transformers" in engine.version("en", "es")


def test_a_model_that_is_none_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UsageFault, match="which model"):
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
