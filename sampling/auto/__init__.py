"""``--method auto``: which order and how many images, by what the shots say.

trials    what was tried and chosen; NAME_auto.json
choice    the rule: from which shots are classified rightly to an order and an n, or none
contest   draw by every order, fold by fold, and classify the shots left out
unshot    what is taken where there are no shots
offer     the sample that a run draws beside the default one
"""
