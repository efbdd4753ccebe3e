"""Access policies: what a caller gets of a server is what a world without the forbidden has."""
