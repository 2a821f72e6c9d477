"""The process that holds one model: the engine, which computes, and the service, which talks to the server."""
