"""Models on disk, in Ollama's layout: manifests by name, and blobs by the hash of their contents."""
