from cnncourse.explorers.clicks import Clicks


def test_a_click_is_told_to_who_listens_even_at_the_same_place():
    clicks, told = Clicks(), []
    clicks.observe(lambda change: told.append(change["new"]), names="at")
    clicks.set_state({"at": [0.25, 0.5, 1000.0]})  # as the browser sends it
    clicks.set_state({"at": [0.25, 0.5, 1001.0]})  # the time makes it another click
    assert told == [[0.25, 0.5, 1000.0], [0.25, 0.5, 1001.0]]


def test_the_browsers_half_listens_to_the_picture_alone():
    code = Clicks._esm if isinstance(Clicks._esm, str) else str(Clicks()._esm)
    assert 'event.target.tagName !== "IMG"' in code
    assert "export default { render }" in code
