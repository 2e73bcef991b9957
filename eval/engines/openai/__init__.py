"""The engine that sends the questions to a server with the OpenAI protocol."""
