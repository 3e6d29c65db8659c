"""The pictures of the demo: a name and a seed give one picture.

In reading order:

    catalogue   every drawing by name, and one picture of each from a seed
    canvas      a supersampled canvas, pens, and the finish of a photograph
    grounds     skies, lands, rooms and tables behind the object
    flags       national flags, hung where people photograph them
    animals     a crane, a bat and a mouse
    plants      a palm tree, a mushroom and a cactus
    things      a tower crane, an anchor, a balloon and an umbrella
    scenes      a snowman, a city and mountains
    seaside     a lighthouse, a sailing boat and a sunset
    signs       road signs and traffic lights
    goods       what shops print a phrase on
    lookalikes  the other things that share a class's name
"""
