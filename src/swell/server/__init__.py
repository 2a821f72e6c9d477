"""The HTTP server: API routes, the catalog of models, prompts, scheduling and generations."""
