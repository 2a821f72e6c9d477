"""From messages to the text and tokens a model reads."""
