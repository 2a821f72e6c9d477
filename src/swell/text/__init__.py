"""From messages to a prompt, and from tokens to parts: without effects, and without knowing a model file."""
