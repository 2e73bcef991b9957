"""The engine that runs a checkpoint with transformers on this machine."""
