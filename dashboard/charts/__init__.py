"""Figures as pure functions: tidy frames in, plotly figures out. No network, no Streamlit."""
