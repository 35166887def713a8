"""The kinds of network that a study can name: their documents, layers and weights, and what they cannot carry."""
