"""The doors of the matrix: each asks a question in its own words, with a real client."""
