"""The engine nllb: NLLB-200, M2M100 or a similar model that transformers can load, from a folder or a hub id.

Its languages are those for which its tokenizer has tokens. The model is loaded when it is first needed; torch comes
with `make setup`. Batches are padded, so a translation may depend on the batch when two tokens are almost equally
likely, which is rare; the cache keeps the first translation.
"""

import hashlib
import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from data_build.translate.languages import distance, near
from mmafflm.errors import UsageFault
from mmafflm.records import sha256_of

NLLB_CODE = re.compile(r"[a-z]{3}_[A-Z][a-z]{3}")  # spa_Latn
MOST_TOKENS = 512


class Nllb:
    """A model that translates any pair of its languages, on the first GPU if there is one."""

    name = "nllb"
    batch = 16
    workers = 1  # torch has its own threads

    def __init__(self, model: str | None) -> None:
        """Raises UsageFault without a model or without torch, Fault when the model cannot be loaded."""
        if not model:
            raise UsageFault("--engine nllb needs a model: set --model to a folder or a hub id")
        try:
            from transformers import AutoConfig, AutoTokenizer

            from mmafflm.untrusted import require_harmless
            from mmafflm.weights import reading
        except ImportError:
            raise UsageFault("--engine nllb needs torch and transformers: make setup") from None
        self.path = model
        if Path(model).is_dir():
            require_harmless(Path(model))
        with reading(f"--model {model}"):
            self.tokenizer: Any = AutoTokenizer.from_pretrained(model, trust_remote_code=False)
            self.config: Any = AutoConfig.from_pretrained(model, trust_remote_code=False)
        own = getattr(self.tokenizer, "lang_code_to_id", None)  # M2M100 has this; its codes are like es
        tokens = self.tokenizer.get_vocab()
        self.codes: dict[str, int] = dict(own or {one: n for one, n in tokens.items() if NLLB_CODE.fullmatch(one)})

    def require(self, origin: str, target: str) -> None:
        """Raises UsageFault, with a list of the model's languages, for a language that the model lacks."""
        for one in (origin, target):
            if not any(near(code, one) for code in self.codes):
                some = ", ".join(sorted(self.codes)) or "none"
                raise UsageFault(f"--engine nllb: {self.path} has no language {one}. Its languages: {some}")

    def code(self, language: str) -> str:
        """The model's own code of a language; if it has several scripts, the usual one."""
        return min(
            (code for code in self.codes if near(code, language)), key=lambda code: (distance(code, language), code)
        )

    def model(self, origin: str, target: str) -> str:
        """The hub id, or the name of the folder."""
        return Path(self.path).resolve().name if Path(self.path).is_dir() else self.path

    def version(self, origin: str, target: str) -> str:
        """The hub's commit, or a hash of the weights; and the version of transformers."""
        return self._version

    @cached_property
    def _version(self) -> str:
        from transformers import __version__

        weights = sorted(Path(self.path).glob("*.safetensors")) if Path(self.path).is_dir() else []
        names = "".join(sha256_of(file) for file in weights)
        commit = getattr(self.config, "_commit_hash", None)
        content = hashlib.sha256(names.encode()).hexdigest()[:12] if names else commit or "unknown"
        return f"{content}, transformers {__version__}"

    @cached_property
    def _loaded(self) -> Any:
        import torch
        from transformers import AutoModelForSeq2SeqLM

        from mmafflm.weights import load

        device = "cuda" if torch.cuda.is_available() else "cpu"
        return load(AutoModelForSeq2SeqLM, self.path).to(device).eval()

    def translate(self, texts: Sequence[str], origin: str, target: str) -> list[str]:
        """Translate one batch with the model's own generation config, without sampling."""
        import torch

        self.tokenizer.src_lang = self.code(origin)
        asked = self.tokenizer(list(texts), return_tensors="pt", padding=True, truncation=True, max_length=MOST_TOKENS)
        asked = asked.to(self._loaded.device)
        most = min(MOST_TOKENS, 2 * asked["input_ids"].shape[1] + 16)
        with torch.inference_mode():
            said = self._loaded.generate(
                input_ids=asked["input_ids"], attention_mask=asked["attention_mask"], do_sample=False,
                forced_bos_token_id=self.codes[self.code(target)], max_new_tokens=most,
            )  # fmt: skip
        codes = set(self.codes.values())  # transformers' M2M100 tokenizer does not treat these as special tokens
        words = [[token for token in row if token not in codes] for row in said.tolist()]
        return [text.strip() for text in self.tokenizer.batch_decode(words, skip_special_tokens=True)]
