"""The engine that runs a checkpoint with vLLM on this machine."""
