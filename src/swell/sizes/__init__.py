"""How large turns were: the latest ones of each model, in memory and in a file, and what is learned from them."""
