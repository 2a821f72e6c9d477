"""The command line. It talks HTTP to a server and knows nothing else of it; only `serve` imports the server."""
