"""Makes prompts of messages, and parts of a model's text: without effects, and without knowing model files."""
