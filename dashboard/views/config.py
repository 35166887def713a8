"""The tab of the configuration: the study document, and the cells that were left out as invalid."""

import streamlit as st
import yaml

from dashboard import markup
from dashboard.views.page import StudyView
from dashboard.words import cell_phrase, plural


def draw(view: StudyView) -> None:
    """Draws the tab."""
    study = view.study
    text = yaml.safe_dump(study["spec"], sort_keys=False, allow_unicode=True, width=100)
    st.download_button(
        "Download as YAML",
        text,
        file_name=f"{study['name']}.yaml",
        mime="application/yaml",
        icon=":material/download:",
        on_click="ignore",
        key="download-config",
    )
    invalid = study.get("invalid_designs") or []
    if invalid:
        st.subheader(f"Not run: {plural(len(invalid), 'invalid design')}", anchor=False)
        rows = [[cell_phrase(entry["cell"]), entry["reason"]] for entry in invalid]
        markup.table(("cell", "why it cannot be"), rows, key="invalid-designs", height=300)
    with st.container(key="config"):
        st.code(text, language="yaml")
