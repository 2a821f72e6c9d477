"""The process that holds one model: the engine loop over its slots, and the service that speaks for it."""
