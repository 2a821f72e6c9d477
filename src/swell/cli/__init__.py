"""The command line. It speaks HTTP to a server; only the command `serve` imports the server."""
