"""The engine that asks a server that speaks the OpenAI protocol."""
