"""One turn of a conversation, in whatever words it was asked for: no HTTP."""
