"""OpenAI's endpoints: their bodies turned into Ollama's, and the answers into OpenAI's."""
