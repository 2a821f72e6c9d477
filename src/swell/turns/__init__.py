"""One turn of a conversation, whichever API asked for it. Knows no HTTP."""
