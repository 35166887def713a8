"""What a chosen trial's part of the page shows of histograms and filters, run by Streamlit without a browser."""

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from dashboard import session


def histograms_page() -> None:
    import pandas as pd

    from actinium.frame import layer_series
    from actinium.histogram import histogram_series
    from dashboard.views import trials

    names = [layer_series(name, layer) for name in histogram_series("activation") for layer in (1, 2)]
    shares = {name: [0.25, float("nan"), 0.5] for name in names}
    trials._histograms(pd.DataFrame({"step": [0, 7, 90], **shares}), "activation", "Outputs of each layer")
    trials._histograms(pd.DataFrame({"step": [0]}), "preactivation", "What each layer's activation receives")


def filters_page() -> None:
    from dashboard.views import trials

    for trial in (1, 2):
        trials._filters({"id": trial, "attempt": 1, "state": "succeeded"})


def test_histograms_are_shown_at_the_steps_that_have_them() -> None:
    page = AppTest.from_function(histograms_page).run()
    assert not page.exception
    assert [title.value for title in page.subheader] == ["Outputs of each layer"]
    (slider,) = page.select_slider
    assert slider.options == ["0", "90"] and slider.value == 90
    page = slider.set_value(0).run()
    assert not page.exception and page.select_slider[0].value == 0


def test_filters_are_shown_where_a_trial_has_left_them(monkeypatch: pytest.MonkeyPatch) -> None:
    kernels = np.ones((3, 1, 5, 5), dtype=np.float32)
    monkeypatch.setattr(session, "artifact", lambda trial, *_: kernels if trial == 1 else None)
    page = AppTest.from_function(filters_page).run()
    assert not page.exception
    assert [title.value for title in page.subheader] == ["Filters of the first convolution"]
