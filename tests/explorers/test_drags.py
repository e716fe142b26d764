from cnncourse.explorers.drags import Drags


def test_every_move_is_told_even_at_the_same_place():
    drags, told = Drags(), []
    drags.observe(lambda change: told.append(change["new"]), names="at")
    for time in (1000.0, 1016.0):
        drags.set_state({"at": [0.25, 1.5, time]})  # as the browser sends it
    assert told == [[0.25, 1.5, 1000.0], [0.25, 1.5, 1016.0]]


def test_a_drag_begins_anywhere_on_the_picture_unless_a_region_is_given():
    assert Drags().get_state()["region"] == [0, 0, 1, 1]
    assert Drags(region=[0.1, 0.2, 0.4, 0.9]).get_state()["region"] == [0.1, 0.2, 0.4, 0.9]
