"""The pipelines of this project: content, loaded by path (`flows/discovery.py`)."""
