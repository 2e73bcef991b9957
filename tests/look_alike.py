"""A fake base for plans: a byte-level tokenizer without merges, so one token per byte, and no weights."""

from pathlib import Path


def look_alike(folder: Path) -> str:
    """Write the fake base into a new folder; returns the value for --base."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    folder.mkdir()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={char: number for number, char in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.save(str(folder / "tokenizer.json"))
    for name in ("config.json", "preprocessor_config.json", "model.safetensors"):
        (folder / name).write_text("{}")
    return str(folder)
