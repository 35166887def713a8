"""The dashboard: `streamlit run dashboard/app.py`.

`?study=ID` is a study's page, `?page=catalogue` the activations, anything else the history; before any of them comes a
form that asks for a token, where none is known.
"""

import streamlit as st

from actinium import hosts
from dashboard import markup, session, signin
from dashboard.views import catalogue, history, study


def main() -> None:
    """Draws the page that the address names."""
    reference = st.query_params.get("study", "").strip()
    st.set_page_config(
        page_title=f"Study {reference} · Actinium" if reference else "Actinium",
        page_icon=":material/neurology:",
        layout="wide",
        initial_sidebar_state="auto" if reference else "collapsed",
    )
    markup.style()
    host = st.context.headers.get("Host")
    if not hosts.is_known(host, hosts.from_environment()):
        st.error(hosts.refusal(host))
        st.stop()
    with session.told():
        known = signin.found() is not None
        signin.keep()
        if not known:
            signin.form()
        elif reference:
            study.show(reference)
        elif st.query_params.get("page") == "catalogue":
            catalogue.show()
        else:
            history.show()
    signin.way_out()


main()
