"""Sign-in. The dashboard has no rights of its own: it asks the API with the token of whoever opened the page.

A token in ACTINIUM_TOKEN, as `actinium up` gives it on one's own machine, is everybody's who can open the page. Without
one, a form asks for a token. It stays in this process; the browser keeps a name for it, a cookie that means nothing to
anybody else and ends with the browser, so that links and reloads do not ask again.
"""

import os
import secrets
import threading
import time
from dataclasses import dataclass, field

import streamlit as st

from actinium.client import Client
from actinium.errors import ActiniumError, Unauthenticated

COOKIE = "actinium_session"
IDLE_SECONDS = 12 * 3600.0
MOST_SESSIONS = 1000
KEEP = """<script>
document.cookie = "{name}={value}; path=/; SameSite=Strict" + (location.protocol === "https:" ? "; Secure" : "");
</script>"""


@dataclass
class Sessions:
    """Connections with tokens that were given to this process, each under the random word that a browser keeps. Idle
    ones are closed.
    """

    _held: dict[str, tuple[Client, float]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, client: Client, *, now: float) -> str:
        """Begins a session with this client; returns the random word that names it."""
        word = secrets.token_urlsafe(32)
        with self._lock:
            by_age = sorted(self._held, key=lambda name: self._held[name][1])
            idle = [name for name in by_age if now - self._held[name][1] >= IDLE_SECONDS]
            for name in idle or by_age[: max(0, len(by_age) + 1 - MOST_SESSIONS)]:
                self._held.pop(name)[0].close()
            self._held[word] = (client, now)
        return word

    def client(self, word: str, *, now: float) -> Client | None:
        """The client of a session; None where there is none of this name, or it was idle for too long."""
        with self._lock:
            held = self._held.get(word)
            if held is None or now - held[1] >= IDLE_SECONDS:
                return None
            self._held[word] = (held[0], now)
            return held[0]

    def end(self, word: str) -> None:
        """Closes a session's client and forgets its token."""
        with self._lock:
            if word in self._held:
                self._held.pop(word)[0].close()

    def end_all(self) -> None:
        """Ends every session."""
        for word in list(self._held):
            self.end(word)


@st.cache_resource(show_spinner=False)
def sessions() -> Sessions:
    """The sessions of this process, made at the first call."""
    return Sessions()


@st.cache_resource(show_spinner=False)
def own(token: str) -> Client:
    """A client with the token that the dashboard was started with."""
    return Client(token=token)


def configured() -> str | None:
    """The token that the dashboard was started with."""
    return os.environ.get("ACTINIUM_TOKEN") or None


def found() -> Client | None:
    """The client of whoever opened this page; None until a token was given. The stack's client file is never read here,
    as its token is an admin's.
    """
    if (token := configured()) is not None:
        return own(token)
    word = st.session_state.get(COOKIE) or st.context.cookies.get(COOKIE)
    client = None if word is None else sessions().client(word, now=time.time())
    if client is not None:
        st.session_state[COOKIE] = word
    return client


def client() -> Client:
    """The client of whoever opened this page. Raises Unauthenticated where no token was given."""
    if (connection := found()) is None:
        raise Unauthenticated("no token was given")
    return connection


def drop() -> None:
    """Forgets this page's client, and ends its session where a token was typed in."""
    own.clear()
    word = st.session_state.pop(COOKIE, None) or st.context.cookies.get(COOKIE)
    if word is not None:
        sessions().end(word)


def form() -> None:
    """Asks for a token, and begins a session with one that opens. Where Streamlit's secrets name an identity provider
    (`[auth]`, with `expose_tokens = "id"`), its people may go there instead; the API checks what they bring back.
    """
    left, _ = st.columns([2, 3])
    with left:
        st.title("Actinium", anchor=False)
        if has_provider():
            brought = st.user.tokens.get("id") if st.user.is_logged_in else None
            if brought is not None:
                _begin(str(brought))
            if st.button("Sign in with your organisation", type="primary", key="organisation"):
                st.login()
            st.caption("or")
        with st.form("sign-in", border=False):
            st.write("The dashboard shows what your token may read. An admin makes one: `actinium token create NAME`.")
            word = st.text_input("Token", type="password", key="token", max_chars=500, autocomplete="current-password")
            sent = st.form_submit_button("Sign in")
        if sent and word.strip():
            _begin(word.strip())


def has_provider() -> bool:
    """Whether Streamlit's secrets name an identity provider."""
    try:
        return "auth" in st.secrets
    except FileNotFoundError:
        return False


def _begin(token: str) -> None:
    """Begins a session with the token and draws the page anew; shows the reason where the API refuses the token."""
    try:
        asking = Client(token=token)
        try:
            asking.studies_page(limit=1)
        except ActiniumError:
            asking.close()
            raise
    except ActiniumError as error:
        st.error(str(error)[:300], icon=":material/error:")
        return
    st.session_state[COOKIE] = sessions().begin(asking, now=time.time())
    st.rerun()


def keep() -> None:
    """Sets the cookie with the session's name, before the page is drawn and its links can be followed."""
    word = st.session_state.get(COOKIE)
    if word is not None and st.context.cookies.get(COOKIE) != word:
        st.html(KEEP.format(name=COOKIE, value=word), unsafe_allow_javascript=True)


def way_out() -> None:
    """Draws a button that ends the session; none where the dashboard was started with a token."""
    if COOKIE in st.session_state and st.sidebar.button("Sign out", icon=":material/logout:", key="sign-out"):
        drop()
        if has_provider() and st.user.is_logged_in:
            st.logout()
        st.rerun()
