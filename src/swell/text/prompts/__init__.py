"""Makes the text and tokens that a model reads of the messages of a conversation."""
