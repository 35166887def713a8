"""The datasets that a study can name: those that the house knows, and those that people add as files."""
