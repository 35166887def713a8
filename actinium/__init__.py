"""Actinium: studies of activation functions, normalization layers and weight initializations."""
