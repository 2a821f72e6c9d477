"""Go's text/template, in which the templates of Ollama's models are written: reads them, and carries them out.

`parser.parse` makes a tree of a text, `execution.execute` writes what the tree says of some data, `inspection` looks at
the tree. Values print as Go prints them. Nothing here has effects; how long a template may run is the caller's matter.
"""
