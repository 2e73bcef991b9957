"""The sizes of a text decoder, which all supported families share except for a few choices."""

from typing import Any, NamedTuple

from mmafflm.families.base import Config, KeptNumbers

KEYS = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads",
        "vocab_size")  # fmt: skip


class Decoder(NamedTuple):
    """Counts are of parameters, widths of elements. Tied embeddings count once."""

    parameters: int  # of the layers, the last norm, the embedding and the head
    vocabulary: int
    hidden: int
    intermediate: int
    layers: int
    tied: bool  # the embedding is also the head
    kept: KeptNumbers  # for each token, in one layer
    lora: int  # LoRA parameters for each rank: inputs plus outputs of the linear layers, without the head

    def fields(self) -> dict[str, Any]:
        """The fields of an Architecture that are the decoder's."""
        own = self._asdict()
        return {"text": own.pop("parameters"), "text_layer": own.pop("kept"), "lora_text": own.pop("lora"), **own}


def decoder(config: Config, biases: bool = False, head_norms: bool = False, norms: int = 2) -> Decoder:
    """The decoder of a config.json. Raises KeyError when a size is missing.

    The config may be flat or have its sizes in `text_config`. biases: queries, keys and values have them. head_norms:
    queries and keys are normalized. norms: the number of RMSNorms in a layer.
    """
    text = config.get("text_config") or config
    hidden, wide, layers, heads, groups, vocabulary = (int(text[key]) for key in KEYS)
    tied = bool(config.get("tie_word_embeddings", text.get("tie_word_embeddings", False)))
    head = int(text.get("head_dim") or hidden // heads)
    queries, keys = heads * head, groups * head
    layer = 2 * hidden * (queries + keys) + 3 * hidden * wide + norms * hidden
    layer += (queries + 2 * keys) * biases + 2 * head * head_norms
    # Each RMSNorm keeps an fp32 copy, the normalized and the scaled input. Attention keeps the queries, the keys and
    # values repeated to all heads, and the output. The MLP keeps the gate, its activation, `up` and their product.
    normed = norms * hidden + (queries + keys) * head_norms
    return Decoder(
        parameters=layers * layer + hidden + vocabulary * hidden * (1 if tied else 2),
        vocabulary=vocabulary,
        hidden=hidden,
        intermediate=wide,
        layers=layers,
        tied=tied,
        kept=KeptNumbers(normed, 2 * normed + 4 * queries + 4 * wide),
        lora=layers * (2 * (hidden + queries) + 2 * (hidden + keys) + 3 * (hidden + wide)),
    )


def dtype_of(config: Config) -> str:
    """The precision of the weights."""
    text = config.get("text_config") or config
    return str(config.get("dtype") or config.get("torch_dtype") or text.get("dtype") or "bfloat16")
