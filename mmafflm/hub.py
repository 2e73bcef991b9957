"""The Hugging Face Hub: whether a base model is available, from the cache or the hub; and the hub's language codes."""

import os
from collections.abc import Iterable
from pathlib import Path

from mmafflm.checkpoints import INDEX, WEIGHTS, shards_of
from mmafflm.errors import Fault
from mmafflm.untrusted import ADDITIONAL

TIMEOUT_S = 20

OTHER_HUBS = ("USE_MODELSCOPE_HUB", "USE_OPENMIND_HUB")  # LLaMA-Factory's switches to other hubs; we do not query these
_ISO = {"br": "pt"}  # XED's br is Brazilian Portuguese; on the hub br is Breton
_NONE = ("zxx", "und")  # a picture without words, and a row in an unknown language


def hub_languages(codes: Iterable[str]) -> list[str]:
    """The language codes of records, sorted, in the form that the metadata of a hub card needs."""
    return sorted({_ISO.get(code, code) for code in codes if code not in _NONE})


def require_hub_base(name: str) -> None:
    """Raises Fault when base model `name` is not complete in the cache and cannot be downloaded from the hub.

    It checks nothing without huggingface_hub, or when LLaMA-Factory uses another hub. It is called before anything
    starts: otherwise a launch on eight GPUs would end in a traceback a minute later.
    """
    try:
        from httpx import HTTPError
        from huggingface_hub import HfApi
        from huggingface_hub.errors import GatedRepoError, OfflineModeIsEnabled, RepositoryNotFoundError
    except ImportError:
        return  # without the train extra nothing can be launched
    if cached(name) or _on_other_hub():
        return
    try:
        HfApi().model_info(name, timeout=TIMEOUT_S)
    except GatedRepoError:
        raise Fault(f"{name}: the hub asks for an accepted licence. Accept it there, and set HF_TOKEN.") from None
    except RepositoryNotFoundError:
        raise Fault(
            f"{name}: the hub has no such model, or it is private and HF_TOKEN is not set. Correct the name, or "
            "name a folder."
        ) from None
    except (HTTPError, OSError, OfflineModeIsEnabled) as error:
        raise Fault(
            f"{name}: incomplete in the hub's cache, and the hub cannot be reached ({type(error).__name__}). Download "
            f"it where there is a network (hf download {name}), or name a folder."
        ) from None


def cached(name: str) -> bool:
    """Whether the cache holds the model's config and all of its weights."""
    from huggingface_hub import try_to_load_from_cache

    def here(file: str) -> bool:
        return isinstance(try_to_load_from_cache(name, file), str)

    index = try_to_load_from_cache(name, INDEX)
    if isinstance(index, str):
        return here("config.json") and all(map(here, shards_of(Path(index))))
    return here("config.json") and here(WEIGHTS)


def file_of(name: str, file: str) -> Path | None:
    """A file of a model, from the folder of that name or from the hub's cache; None when it is in neither."""
    if (Path(name) / file).exists():
        return Path(name) / file
    try:
        from huggingface_hub import try_to_load_from_cache
        from huggingface_hub.errors import HFValidationError
    except ImportError:
        return None
    try:
        cached = try_to_load_from_cache(name, file)
    except HFValidationError:  # a path that no longer exists
        return None
    return Path(cached) if isinstance(cached, str) else None


def folder_of(name: str) -> Path | None:
    """The folder of a model on this machine: the folder `name`, or a complete copy in the hub's cache; else None."""
    if Path(name).is_dir():
        return Path(name)
    from huggingface_hub import try_to_load_from_cache

    config = try_to_load_from_cache(name, "config.json")
    return Path(config).parent if isinstance(config, str) and cached(name) else None


def settings_of(name: str) -> Path | None:
    """The folder with the JSON files and chat templates of a hub model, which are downloaded if needed.

    It is None when LLaMA-Factory uses another hub. Call this after `require_hub_base`. Raises Fault when the files
    cannot be downloaded.
    """
    if _on_other_hub():
        return None
    from httpx import HTTPError
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    try:
        return Path(snapshot_download(name, allow_patterns=["*.json", f"{ADDITIONAL}/*"]))
    except (HTTPError, OSError, HfHubHTTPError) as error:
        raise Fault(
            f"{name}: its settings cannot be downloaded ({type(error).__name__}). Download it where there is a network "
            f"(hf download {name}), or name a folder."
        ) from None


def _on_other_hub() -> bool:
    return any(os.environ.get(switch, "").lower() in ("1", "true") for switch in OTHER_HUBS)


def cached_commit(name: str) -> str | None:
    """The commit of branch main of model `name` that was downloaded last; None when the cache has no config.json."""
    from huggingface_hub import try_to_load_from_cache

    config = try_to_load_from_cache(name, "config.json")
    return Path(config).parent.name if isinstance(config, str) else None
