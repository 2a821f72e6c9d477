"""The models there are: their names, their files and what the headers of these say."""
