"""Tiny random checkpoints of fourteen model families, with the families' real processor classes and chat templates.

Their weights are large enough that another picture or word gives another answer. All use nano's tokenizer, with their
family's special tokens.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
import transformers as hf

from tests.eval import chat_templates as chat

SCALE = 5  # times the standard initialisation
SEED = 3


class Tiny(NamedTuple):
    """A model and what reads its input: a processor, or a tokenizer for a text model."""

    model: Any
    reader: Any


def text_sizes(tokenizer: Any, **more: Any) -> dict[str, Any]:
    """The sizes of a decoder, as keys of its config."""
    return {
        "vocab_size": len(tokenizer), "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 16384, "bos_token_id": None,
        "eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id,
    } | more  # fmt: skip


TOWER = {
    "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 56,
    "patch_size": 14,
}  # fmt: skip
CLIP = TOWER | {"projection_dim": 32, "model_type": "clip_vision_model"}
SIGLIP = TOWER | {"model_type": "siglip_vision_model"}
MROPE = {"rope_theta": 1e6, "rope_type": "default", "mrope_section": [2, 3, 3]}
SQUARE, SHORT = {"height": 56, "width": 56}, {"shortest_edge": 56}
PINS = [[56, 112], [112, 56], [112, 112]]
LLAMA3 = ("<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")
ROWS_AND_COLUMNS = tuple(f"<row_{row}_col_{column}>" for row in range(1, 7) for column in range(1, 7))
IDEFICS = ("<image>", "<fake_token_around_image>", "<end_of_utterance>", "<global-img>", *ROWS_AND_COLUMNS)


def tokens(nano: Path, *special: str, end: str = "<|im_end|>", begin: str | None = None, **named: str) -> Any:
    """Nano's tokenizer with special tokens; `named` are those that a processor asks for by name."""
    given: dict[str, Any] = {"extra_special_tokens": named} if named else {}
    tokenizer: Any = hf.PreTrainedTokenizerFast(
        tokenizer_file=str(nano / "tokenizer.json"), eos_token="<|im_end|>", pad_token="<|endoftext|>",
        model_max_length=8192, clean_up_tokenization_spaces=False, **given,
    )  # fmt: skip
    if special:
        tokenizer.add_special_tokens({"additional_special_tokens": list(special)})
    tokenizer.eos_token = end
    if begin is not None:
        tokenizer.bos_token = begin
    return tokenizer


def ids(tokenizer: Any, names: Sequence[str], texts: Sequence[str]) -> dict[str, int]:
    """{name: id of the token}, for a config."""
    return dict(zip(names, map(tokenizer.convert_tokens_to_ids, texts), strict=True))


def qwen_ids(tokenizer: Any) -> dict[str, int]:
    names = ("image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id")
    return ids(tokenizer, names, ("<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>"))


def llama(nano: Path) -> Tiny:
    tokenizer = tokens(nano, *LLAMA3, end="<|eot_id|>")
    tokenizer.chat_template = chat.LLAMA3
    return Tiny(hf.LlamaForCausalLM(hf.LlamaConfig(**text_sizes(tokenizer))), tokenizer)


def llama_without_template(nano: Path) -> Tiny:
    """Like EmoLlama-chat-7B."""
    tokenizer = tokens(nano, "<s>", "</s>", end="</s>", begin="<s>")
    return Tiny(hf.LlamaForCausalLM(hf.LlamaConfig(**text_sizes(tokenizer))), tokenizer)


def mistral(nano: Path) -> Tiny:
    tokenizer = tokens(nano, "<s>", "</s>", "[INST]", "[/INST]", end="</s>")
    tokenizer.chat_template = chat.MISTRAL
    config = hf.MistralConfig(**text_sizes(tokenizer, head_dim=16, sliding_window=64))
    return Tiny(hf.MistralForCausalLM(config), tokenizer)


def qwen2_vl(nano: Path) -> Tiny:
    tokenizer, limits = tokens(nano), {"min_pixels": 3136, "max_pixels": 12845056}
    config = hf.Qwen2VLConfig(
        text_config=text_sizes(tokenizer, rope_parameters=MROPE),
        vision_config={"depth": 2, "embed_dim": 32, "hidden_size": 64, "num_heads": 2, "mlp_ratio": 2},
        **qwen_ids(tokenizer),
    )
    images, videos = hf.Qwen2VLImageProcessor(**limits), hf.Qwen2VLVideoProcessor(**limits)
    reader = hf.Qwen2VLProcessor(images, tokenizer, videos, chat_template=chat.QWEN)
    return Tiny(hf.Qwen2VLForConditionalGeneration(config), reader)


def qwen3_vl(nano: Path) -> Tiny:
    tokenizer = tokens(nano)
    vision = {
        "depth": 2, "hidden_size": 32, "intermediate_size": 64, "num_heads": 2, "out_hidden_size": 64,
        "num_position_embeddings": 256, "deepstack_visual_indexes": [0, 1],
    }  # fmt: skip
    config = hf.Qwen3VLConfig(
        text_config=text_sizes(tokenizer, head_dim=16, rope_parameters=MROPE | {"mrope_interleaved": True}),
        vision_config=vision,
        **qwen_ids(tokenizer),
    )
    images = hf.Qwen2VLImageProcessor(patch_size=16, min_pixels=65536, max_pixels=16777216)
    reader = hf.Qwen3VLProcessor(images, tokenizer, hf.Qwen3VLVideoProcessor(), chat_template=chat.QWEN)
    return Tiny(hf.Qwen3VLForConditionalGeneration(config), reader)


def qwen2_5_omni(nano: Path) -> Tiny:
    """The part that reads and answers ("thinker"), without the one that speaks."""
    named = {
        "image_token": "<|IMAGE|>", "video_token": "<|VIDEO|>", "audio_token": "<|AUDIO|>",
        "vision_bos_token": "<|vision_bos|>", "vision_eos_token": "<|vision_eos|>",
        "audio_bos_token": "<|audio_bos|>", "audio_eos_token": "<|audio_eos|>",
    }  # fmt: skip
    tokenizer, limits = tokens(nano, **named), {"min_pixels": 3136, "max_pixels": 12845056}
    kinds = ("image_token_id", "video_token_id", "audio_token_id", "vision_start_token_id", "vision_end_token_id")
    vision = {"depth": 2, "hidden_size": 32, "intermediate_size": 64, "num_heads": 2, "out_hidden_size": 64}
    audio = {
        "num_mel_bins": 16, "encoder_layers": 1, "encoder_attention_heads": 2, "encoder_ffn_dim": 32, "d_model": 32,
        "output_dim": 64,
    }  # fmt: skip
    config = hf.Qwen2_5OmniThinkerConfig(
        text_config=text_sizes(tokenizer, rope_parameters=MROPE),
        vision_config=vision | {"fullatt_block_indexes": [1]},
        audio_config=audio,
        **ids(tokenizer, (*kinds, "audio_start_token_id", "audio_end_token_id"), tuple(named.values())),
    )
    images, videos = hf.Qwen2VLImageProcessor(**limits), hf.Qwen2VLVideoProcessor(**limits)
    ears = hf.WhisperFeatureExtractor(feature_size=16)
    reader = hf.Qwen2_5OmniProcessor(images, videos, ears, tokenizer, chat_template=chat.OMNI)
    return Tiny(hf.Qwen2_5OmniThinkerForConditionalGeneration(config), reader)


def llava(nano: Path) -> Tiny:
    tokenizer = tokens(nano, "<s>", "</s>", "<image>", end="</s>", begin="<s>")
    config = hf.LlavaConfig(
        text_config={"model_type": "llama", **text_sizes(tokenizer)}, vision_config=CLIP, image_seq_length=16,
        vision_feature_layer=-2, **ids(tokenizer, ["image_token_index"], ["<image>"]),
    )  # fmt: skip
    reader = hf.LlavaProcessor(
        hf.CLIPImageProcessor(size=SHORT, crop_size=SQUARE), tokenizer, patch_size=14,
        vision_feature_select_strategy="default", num_additional_image_tokens=1, chat_template=chat.LLAVA,
    )  # fmt: skip
    return Tiny(hf.LlavaForConditionalGeneration(config), reader)


def llava_next_video(nano: Path) -> Tiny:
    tokenizer = tokens(nano, "<s>", "</s>", "<image>", "<video>", end="</s>", begin="<s>")
    config = hf.LlavaNextVideoConfig(
        text_config={"model_type": "llama", **text_sizes(tokenizer)}, vision_config=CLIP, image_grid_pinpoints=PINS,
        image_seq_length=16, video_seq_length=8,
        **ids(tokenizer, ("image_token_index", "video_token_index"), ("<image>", "<video>")),
    )  # fmt: skip
    reader = hf.LlavaNextVideoProcessor(
        hf.LlavaNextVideoVideoProcessor(size=SHORT, crop_size=SQUARE),
        hf.LlavaNextImageProcessor(size=SHORT, crop_size=SQUARE, image_grid_pinpoints=PINS),
        tokenizer, patch_size=14, vision_feature_select_strategy="default", num_additional_image_tokens=1,
        chat_template=chat.LLAVA_VIDEO,
    )  # fmt: skip
    return Tiny(hf.LlavaNextVideoForConditionalGeneration(config), reader)


def llava_onevision(nano: Path) -> Tiny:
    tokenizer = tokens(nano, "<image>", "<video>")
    config = hf.LlavaOnevisionConfig(
        text_config={"model_type": "qwen2", **text_sizes(tokenizer)}, vision_config=SIGLIP, image_grid_pinpoints=PINS,
        **ids(tokenizer, ("image_token_index", "video_token_index"), ("<image>", "<video>")),
    )  # fmt: skip
    reader = hf.LlavaOnevisionProcessor(
        hf.LlavaOnevisionImageProcessor(size=SQUARE, image_grid_pinpoints=PINS), tokenizer,
        hf.LlavaOnevisionVideoProcessor(size=SQUARE), num_image_tokens=16, vision_feature_select_strategy="full",
        chat_template=chat.INTERNVL.replace("<IMG_CONTEXT>", "<image>"),
    )  # fmt: skip
    return Tiny(hf.LlavaOnevisionForConditionalGeneration(config), reader)


def mllama(nano: Path) -> Tiny:
    tokenizer = tokens(nano, *LLAMA3, "<|python_tag|>", "<|image|>", end="<|eot_id|>", begin="<|begin_of_text|>")
    vision = {
        "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_global_layers": 1,
        "attention_heads": 2, "image_size": 56, "patch_size": 14, "max_num_tiles": 4,
        "intermediate_layers_indices": [0, 1], "vision_output_dim": 96,
    }  # fmt: skip
    decoder = text_sizes(
        tokenizer, cross_attention_layers=[1], num_hidden_layers=3, bos_token_id=tokenizer.bos_token_id,
        rope_parameters={"rope_type": "default", "rope_theta": 5e5},
    )  # fmt: skip
    config = hf.MllamaConfig(
        vision_config=vision, text_config=decoder, **ids(tokenizer, ["image_token_index"], ["<|image|>"])
    )
    images = hf.MllamaImageProcessor(size=SQUARE, max_image_tiles=4)
    reader = hf.MllamaProcessor(images, tokenizer, chat_template=chat.LLAMA3)
    return Tiny(hf.MllamaForConditionalGeneration(config), reader)


def internvl(nano: Path) -> Tiny:
    named = {
        "start_image_token": "<img>", "end_image_token": "</img>", "context_image_token": "<IMG_CONTEXT>",
        "video_token": "<video>",
    }  # fmt: skip
    tokenizer = tokens(nano, **named)
    config = hf.InternVLConfig(
        vision_config=TOWER | {"image_size": [56, 56], "patch_size": [14, 14]},
        text_config={"model_type": "qwen2", **text_sizes(tokenizer)},
        image_seq_length=4, **ids(tokenizer, ["image_token_id"], ["<IMG_CONTEXT>"]),
    )  # fmt: skip
    images = hf.GotOcr2ImageProcessor(size=SQUARE, crop_to_patches=True, max_patches=12, min_patches=1)
    videos = hf.InternVLVideoProcessor(size=SQUARE)
    reader = hf.InternVLProcessor(images, tokenizer, videos, image_seq_length=4, chat_template=chat.INTERNVL)
    return Tiny(hf.InternVLForConditionalGeneration(config), reader)


def gemma3(nano: Path) -> Tiny:
    named = {"boi_token": "<start_of_image>", "eoi_token": "<end_of_image>", "image_token": "<image_soft_token>"}
    turns = ("<bos>", "<start_of_turn>", "<end_of_turn>")
    tokenizer = tokens(nano, *turns, end="<end_of_turn>", begin="<bos>", **named)
    names = ("boi_token_index", "eoi_token_index", "image_token_index")
    layers = ["sliding_attention", "full_attention"]  # the default is one full layer in six
    config = hf.Gemma3Config(
        text_config=text_sizes(tokenizer, head_dim=16, sliding_window=64, layer_types=layers),
        vision_config=SIGLIP,
        mm_tokens_per_image=4,
        **ids(tokenizer, names, tuple(named.values())),
    )  # fmt: skip
    images = hf.Gemma3ImageProcessor(size=SQUARE)
    reader = hf.Gemma3Processor(images, tokenizer, image_seq_length=4, chat_template=chat.GEMMA3)
    return Tiny(hf.Gemma3ForConditionalGeneration(config), reader)


def idefics3(nano: Path) -> Tiny:
    tokenizer = tokens(nano, *IDEFICS, end="<end_of_utterance>")
    config = hf.Idefics3Config(
        vision_config=TOWER, text_config={"model_type": "llama", **text_sizes(tokenizer)}, scale_factor=2,
        **ids(tokenizer, ["image_token_id"], ["<image>"]),
    )  # fmt: skip
    images = hf.Idefics3ImageProcessor(size={"longest_edge": 224}, max_image_size={"longest_edge": 56})
    reader = hf.Idefics3Processor(images, tokenizer, image_seq_len=4, chat_template=chat.IDEFICS)
    return Tiny(hf.Idefics3ForConditionalGeneration(config), reader)


def smolvlm(nano: Path) -> Tiny:
    """Its processor needs the package num2words."""
    tokenizer = tokens(nano, *IDEFICS, "<video>", end="<end_of_utterance>")
    config = hf.SmolVLMConfig(
        vision_config=TOWER, text_config={"model_type": "llama", **text_sizes(tokenizer)}, scale_factor=2,
        **ids(tokenizer, ["image_token_id"], ["<image>"]),
    )  # fmt: skip
    edge = {"longest_edge": 56}
    images = hf.SmolVLMImageProcessor(size={"longest_edge": 224}, max_image_size=edge)
    videos = hf.SmolVLMVideoProcessor(
        size=edge, max_image_size=edge, fps=1, num_frames=64,
        video_sampling={"fps": 1, "max_frames": 64, "video_size": edge},
    )  # fmt: skip
    reader = hf.SmolVLMProcessor(images, tokenizer, videos, image_seq_len=4, chat_template=chat.IDEFICS)
    return Tiny(hf.SmolVLMForConditionalGeneration(config), reader)


TEXT = (llama, mistral, llama_without_template)
IMAGES = (llava, mllama, gemma3, idefics3)
VIDEOS = (qwen2_vl, qwen3_vl, qwen2_5_omni, llava_next_video, llava_onevision, internvl, smolvlm)


@torch.no_grad()
def write_tiny(make: Callable[[Path], Tiny], nano: Path, folder: Path) -> Path:
    """Write the checkpoint of a family; returns its folder."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        model, reader = make(nano)
        for name, weight in model.named_parameters():
            if name.endswith("mm_input_projection_weight"):  # Gemma 3 starts with zeros, and sees nothing
                weight.normal_(0, 0.3)
            elif weight.dim() > 1 and "embed_tokens" not in name:
                weight.mul_(SCALE)
            elif name.endswith("gate"):  # Mllama starts with closed gates, and sees nothing
                weight.fill_(1)
    tokenizer = getattr(reader, "tokenizer", reader)
    # sampling defaults, as Qwen2.5-VL has them: the engine must switch them off
    defaults: Any = hf.GenerationConfig
    model.generation_config = defaults(
        do_sample=True, temperature=0.1, repetition_penalty=1.5, no_repeat_ngram_size=2,
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    model.save_pretrained(folder)
    reader.save_pretrained(folder)
    return folder
