"""JSON schemas that output must follow: read the same way where they are checked and where they are used."""
