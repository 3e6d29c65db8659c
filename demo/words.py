"""What people write: how each drawing is spoken of, the class list, and what else a class's phrase may mean."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Talk:
    """How a drawing is named in captions (``nouns``) and what is said about it (``about``)."""

    nouns: tuple[str, ...]
    about: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DemoClass:
    """A class of the demo: its synonyms, the ones too ambiguous to prompt with, and the drawing that is right."""

    name: str
    drawing: str
    synonyms: tuple[str, ...]
    ambiguous: tuple[str, ...] = ()
    off: tuple[tuple[str, str], ...] = ()
    """(caption that holds a synonym but means something else, what its picture shows)"""


WAVING = ("waving in the wind", "on a flagpole", "against a blue sky", "vector icon", "round button", "wooden background",
          "fabric texture", "on national day", "3D illustration", "high resolution")  # fmt: skip
ROAD = ("at a street corner", "on a metal pole", "at an intersection", "along a country road", "in town", "traffic safety",
        "isolated on plain background", "seen by drivers")  # fmt: skip

COUNTRIES: dict[str, tuple[str, str]] = {  # drawing → (country, adjective)
    "flag of norway": ("Norway", "Norwegian"),
    "flag of iceland": ("Iceland", "Icelandic"),
    "flag of sweden": ("Sweden", "Swedish"),
    "flag of japan": ("Japan", "Japanese"),
    "flag of bangladesh": ("Bangladesh", "Bangladeshi"),
    "flag of france": ("France", "French"),
    "flag of italy": ("Italy", "Italian"),
    "flag of netherlands": ("the Netherlands", "Dutch"),
    "flag of brazil": ("Brazil", "Brazilian"),
    "flag of canada": ("Canada", "Canadian"),
    "flag of switzerland": ("Switzerland", "Swiss"),
}


def _flag_talk(country: str, adjective: str) -> Talk:
    short = country.removeprefix("the ")
    nouns = (f"flag of {country}", f"{adjective} flag", f"{short} flag", f"{short}'s flag", f"national flag of {country}")
    return Talk(nouns, WAVING)


def _merchandise(phrase: str) -> tuple[tuple[str, str], ...]:
    return (
        (f"{phrase} mug, dishwasher safe", "mug"),
        (f"{phrase} t-shirt for men and women, cotton", "shirt"),
        (f"the history of the {phrase}, hardcover book", "book"),
    )


def _flag_class(drawing: str, near: str) -> DemoClass:
    country, adjective = COUNTRIES[drawing]
    other = COUNTRIES[near][1]
    phrase = f"{adjective} flag"
    off = (
        *_merchandise(phrase),
        (f"{other} flag waving, often mistaken for the {phrase}", near),
        (f"not the {phrase} but the {other} flag", near),
    )
    name = f"flag of {country}"
    return DemoClass(name, drawing, (name, phrase.lower(), f"{country} flag", f"{country}'s flag"), (), off)


TALK: dict[str, Talk] = {
    **{drawing: _flag_talk(*words) for drawing, words in COUNTRIES.items()},
    "stop sign": Talk(("stop sign", "red stop sign", "octagonal stop sign"), ROAD),
    "yield sign": Talk(("yield sign", "give way sign", "triangular yield sign"), ROAD),
    "no entry sign": Talk(("no entry sign", "do not enter sign", "wrong way sign"), ROAD),
    "speed limit sign": Talk(("speed limit sign", "speed restriction sign", "maximum speed sign"), ROAD),
    "traffic light": Talk(
        ("traffic light", "traffic signal", "stoplight", "set of traffic lights"),
        ("turning red", "showing green", "amber at night", "at a crossing", "above the road", "in the city", "out of order"),
    ),
    "crane bird": Talk(
        ("crane", "red-crowned crane", "sandhill crane", "crane bird", "wading crane"),
        ("in a marsh", "in flight over the wetland", "among the reeds", "with long legs", "dancing at dawn", "wildlife and birds",
         "migrating in spring", "feeding in shallow water", "bird watching"),
    ),
    "tower crane": Talk(
        ("crane", "tower crane", "construction crane", "building crane"),
        ("on a building site", "lifting a steel beam", "above unfinished towers", "for hire", "operator in the cab", "with a long jib",
         "heavy machinery", "construction industry", "hoisting concrete"),
    ),
    "bat": Talk(
        ("bat", "fruit bat", "flying bat", "vampire bat", "brown bat"),
        ("flying at night", "in front of the moon", "hanging upside down", "with spread wings", "leaving its cave at dusk", "hunting insects",
         "wildlife rescue", "nocturnal mammal", "halloween night"),
    ),
    "baseball bat": Talk(
        ("baseball bat", "bat", "wooden baseball bat", "softball bat"),
        ("and ball", "made of maple", "little league", "for a home run", "33 inch, 30 oz", "sports equipment", "on the diamond",
         "autographed by the team", "swing trainer"),
    ),
    "mouse": Talk(
        ("mouse", "field mouse", "house mouse", "little mouse", "white mouse"),
        ("eating cheese", "in the grass", "with a long tail", "and its whiskers", "pet rodent", "on the kitchen floor", "laboratory animal",
         "hiding from the cat", "wood and meadow wildlife"),
    ),
    "computer mouse": Talk(
        ("computer mouse", "mouse", "wireless mouse", "gaming mouse", "optical mouse"),
        ("with USB cable", "with scroll wheel", "on a desk", "1600 dpi", "for PC and laptop", "ergonomic, two buttons", "bluetooth", "and keyboard"),
    ),
    "palm tree": Talk(
        ("palm", "palm tree", "coconut palm", "tropical palm"),
        ("on the beach", "by the sea", "swaying in the breeze", "on a tropical island", "with coconuts", "under blue sky", "holiday paradise"),
    ),
    "hand": Talk(
        ("palm of a hand", "open hand", "human palm", "hand palm"),
        ("with five fingers", "reading the life line", "palmistry", "held up", "skin care", "fortune teller", "counting to five"),
    ),
    "anchor": Talk(
        ("anchor", "ship anchor", "ship's anchor", "iron anchor"),
        ("with rope", "of an old boat", "nautical decor", "on the quay", "rusty", "navy tattoo design", "maritime museum", "in the harbour"),
    ),
    "news anchor": Talk(
        ("news anchor", "anchor", "television anchor", "TV news presenter"),
        ("in the studio", "at the desk", "on the evening news", "reads the headlines", "breaking news", "leaves the channel", "interview"),
    ),
    "hot air balloon": Talk(
        ("hot air balloon", "balloon", "striped hot air balloon"),
        ("over the hills", "with a basket", "at the festival", "ride at sunrise", "floating in the sky", "above Cappadocia", "in the morning"),
    ),
    "party balloons": Talk(
        ("party balloon", "balloon", "birthday balloon", "latex balloon"),
        ("on a string", "pack of 50", "for birthday parties", "filled with helium", "decoration", "kids party", "bouquet"),
    ),
    "lighthouse": Talk(
        ("lighthouse", "old lighthouse", "red and white lighthouse", "coastal lighthouse"),
        ("on a rock", "by the sea", "at night with its beam", "on the coast", "keeper's cottage", "in a storm", "guiding ships"),
    ),
    "sailboat": Talk(
        ("sailboat", "sailing boat", "yacht", "small sailboat"),
        ("on the sea", "under full sail", "in the bay", "regatta", "on calm water", "racing downwind", "leaving the harbour"),
    ),
    "snowman": Talk(
        ("snowman", "smiling snowman", "cute snowman"),
        ("with a carrot nose", "in the snow", "with scarf and hat", "built by children", "on a winter day", "in the garden", "while snow is falling"),
    ),
    "mushroom": Talk(
        ("mushroom", "toadstool", "fly agaric", "wild mushroom"),
        ("in the forest", "with white dots", "growing in moss", "on the forest floor", "in autumn", "poisonous species", "found in the woods"),
    ),
    "soup": Talk(
        ("mushroom soup", "bowl of soup", "creamy soup", "vegetable soup"),
        ("with herbs", "recipe", "for dinner", "with croutons", "ready in 30 minutes", "comfort food", "with a spoon"),
    ),
    "cactus": Talk(
        ("cactus", "saguaro", "saguaro cactus", "potted cactus"),
        ("in the desert", "with spines", "in a pot", "Arizona landscape", "house plant", "under the hot sun", "in bloom"),
    ),
    "umbrella": Talk(
        ("umbrella", "open umbrella", "parasol", "beach umbrella"),
        ("in the rain", "on the beach", "against the sun", "with wooden handle", "on a rainy day", "windproof", "in the sand"),
    ),
    "skyline": Talk(
        ("skyline", "city skyline", "downtown skyline"),
        ("at night", "at dusk", "with skyscrapers", "across the river", "seen from the bay", "panorama", "of the metropolis"),
    ),
    "car": Talk(
        ("Nissan Skyline", "sports car", "Skyline GT-R", "used car"),
        ("for sale", "with alloy wheels", "2.6 litre turbo", "one owner", "on the race track", "low mileage", "side view"),
    ),
    "sunset": Talk(
        ("sunset", "sunset over the sea", "ocean sunset"),
        ("with orange sky", "at the beach", "over calm water", "as the sun goes down", "golden hour", "evening light", "with clouds"),
    ),
    "mountain": Talk(
        ("mountain", "snowy mountain", "mountain peak", "alpine mountain"),
        ("above the lake", "covered in snow", "in the Alps", "behind the forest", "hiking trail", "summit at 4000 m", "panorama"),
    ),
    "bicycle": Talk(
        ("mountain bike", "bicycle", "trail bike", "hardtail mountain bike"),
        ("with 27 gears", "29 inch wheels", "aluminium frame", "parked on the grass", "for sale", "disc brakes", "side view"),
    ),
    "chart": Talk(
        ("bar chart", "chart", "growth graph", "statistics chart"),
        ("by quarter", "insurance costs explained", "of the market", "infographic", "report 2019", "comparison of rates"),
    ),
    "book": Talk(
        ("book", "paperback", "hardcover book", "book cover"),
        ("by the author", "first edition", "a novel", "second-hand", "ISBN", "bestseller", "reading group guide"),
    ),
    "record": Talk(
        ("vinyl record", "LP", "album", "7 inch single"),
        ("with lyrics", "limited edition vinyl", "official single", "soundtrack", "greatest hits", "remastered", "side A"),
    ),
    "shirt": Talk(
        ("t-shirt", "tee", "cotton shirt", "men's shirt"),
        ("size M", "crew neck", "100% cotton", "for men and women", "short sleeve", "machine wash", "unisex"),
    ),
    "mug": Talk(
        ("mug", "coffee mug", "ceramic mug", "tea cup"),
        ("11 oz", "dishwasher safe", "with handle", "gift idea", "for tea and coffee", "kitchen", "set of two"),
    ),
    "swatches": Talk(
        ("paint swatches", "colour palette", "striped fabric", "paint colours"),
        ("for the living room", "interior wall paint", "by the yard", "colour card", "matching shades", "seamless stripes"),
    ),
}  # fmt: skip

CLASSES: tuple[DemoClass, ...] = (
    _flag_class("flag of norway", "flag of iceland"),
    _flag_class("flag of japan", "flag of bangladesh"),
    _flag_class("flag of france", "flag of italy"),
    _flag_class("flag of brazil", "flag of italy"),
    _flag_class("flag of canada", "flag of switzerland"),
    DemoClass("stop sign", "stop sign", ("stop sign",), (), (
        *_merchandise("stop sign"), ("Stop Sign (official single) with lyrics", "record"), ("Stop Sign - remastered album, limited edition vinyl", "record"),
        ("no entry sign instead of a stop sign", "no entry sign"))),
    DemoClass("yield sign", "yield sign", ("yield sign", "give way sign"), (), (
        *_merchandise("yield sign"), ("yield sign replaced by a speed limit sign", "speed limit sign"), ("Yield Sign EP, 7 inch single", "record"))),
    DemoClass("traffic light", "traffic light", ("traffic light", "traffic signal", "stoplight"), (), (
        ("traffic light food labels explained, infographic chart", "chart"), ("Traffic Light, greatest hits vinyl record", "record"), *_merchandise("traffic light"))),
    DemoClass("crane", "crane bird", ("crane", "red-crowned crane", "sandhill crane"), ("crane",), (
        ("Crane & Co paper, colour card with matching shades", "swatches"), ("Frasier Crane quotes mug, gift idea", "mug"), ("Ichabod Crane, a novel, paperback", "book"))),
    DemoClass("tower crane", "tower crane", ("crane", "tower crane", "construction crane"), ("crane",), (
        ("crane load chart, comparison of rates", "chart"), ("tower crane rental market statistics chart", "chart"))),
    DemoClass("bat", "bat", ("bat", "fruit bat"), (), (
        ("baseball bat and ball", "baseball bat"), ("maple baseball bat 33 inch, 30 oz", "baseball bat"), ("bat signed by the team, little league", "baseball bat"),
        ("softball bat, sports equipment", "baseball bat"), ("Bat Out of Hell, limited edition vinyl album", "record"), *_merchandise("bat"))),
    DemoClass("mouse", "mouse", ("mouse", "field mouse", "house mouse"), (), (
        ("wireless mouse with scroll wheel, 1600 dpi", "computer mouse"), ("gaming mouse for PC and laptop", "computer mouse"), ("optical mouse with USB cable", "computer mouse"),
        ("bluetooth mouse and keyboard on a desk", "computer mouse"), ("Of Mouse and Man, a novel, first edition", "book"), *_merchandise("mouse"))),
    DemoClass("palm tree", "palm tree", ("palm", "palm tree", "coconut palm"), ("palm",), (
        ("palm reading for beginners: the life line, palmistry", "hand"), ("open palm with five fingers", "hand"), ("palm oil market chart by quarter", "chart"),
        ("Palm Springs paint colours, interior wall paint", "swatches"), *_merchandise("palm tree"))),
    DemoClass("anchor", "anchor", ("anchor", "ship anchor"), (), (
        ("news anchor reads the headlines in the studio", "news anchor"), ("TV anchor leaves the channel, interview", "news anchor"), ("evening news anchor at the desk", "news anchor"),
        ("anchor text statistics chart, report 2019", "chart"), *_merchandise("anchor"))),
    DemoClass("hot air balloon", "hot air balloon", ("hot air balloon", "balloon"), ("balloon",), (
        ("birthday balloon, pack of 50, decoration", "party balloons"), ("latex balloon filled with helium on a string", "party balloons"), ("balloon bouquet for kids party", "party balloons"),
        ("balloon mortgage rates explained, chart", "chart"), *_merchandise("hot air balloon"))),
    DemoClass("lighthouse", "lighthouse", ("lighthouse",), (), (
        ("To the Lighthouse by Virginia Woolf, paperback", "book"), ("Lighthouse - official single with lyrics, vinyl", "record"), ("Lighthouse score comparison chart, report 2019", "chart"),
        ("lighthouse blue paint swatches, interior wall paint", "swatches"), *_merchandise("lighthouse"))),
    DemoClass("sailboat", "sailboat", ("sailboat", "sailing boat", "yacht"), (), (
        ("yacht rock greatest hits, remastered vinyl", "record"), ("yacht club t-shirt, 100% cotton", "shirt"), ("yacht insurance costs explained, chart", "chart"), *_merchandise("sailboat"))),
    DemoClass("snowman", "snowman", ("snowman",), (), (
        ("The Snowman by Jo Nesbo, a novel, bestseller", "book"), ("Snowman, official single, 7 inch", "record"), ("snowman white paint colours for the living room", "swatches"), *_merchandise("snowman"))),
    DemoClass("mushroom", "mushroom", ("mushroom", "toadstool", "fly agaric"), (), (
        ("cream of mushroom soup, ready in 30 minutes", "soup"), ("mushroom soup recipe with herbs", "soup"), ("creamy mushroom soup for dinner", "soup"),
        ("mushroom grey paint swatches, colour card", "swatches"), *_merchandise("mushroom"))),
    DemoClass("cactus", "cactus", ("cactus", "saguaro"), (), (
        ("Cactus: greatest hits album, remastered", "record"), ("cactus green interior wall paint, colour palette", "swatches"), ("Saguaro, a novel, second-hand paperback", "book"), *_merchandise("cactus"))),
    DemoClass("umbrella", "umbrella", ("umbrella", "parasol"), (), (
        ("umbrella insurance costs explained, infographic chart", "chart"), ("umbrella company rates comparison, chart by quarter", "chart"), ("Umbrella, official single with lyrics, vinyl record", "record"),
        ("The Umbrella Academy, paperback, first edition", "book"), *_merchandise("umbrella"))),
    DemoClass("skyline", "skyline", ("skyline", "city skyline"), ("skyline",), (
        ("Nissan Skyline GT-R for sale, one owner", "car"), ("1999 Skyline R34, 2.6 litre turbo, alloy wheels", "car"), ("used Nissan Skyline, low mileage", "car"),
        ("Nashville Skyline, remastered LP", "record"), *_merchandise("skyline"))),
    DemoClass("sunset", "sunset", ("sunset",), (), (
        ("Sunset Boulevard soundtrack, limited edition vinyl", "record"), ("sunset orange paint colours, colour card", "swatches"), ("sunset clause explained, report 2019 chart", "chart"), *_merchandise("sunset"))),
    DemoClass("mountain", "mountain", ("mountain", "mountain peak"), (), (
        ("mountain bike with 27 gears, disc brakes", "bicycle"), ("hardtail mountain bike, aluminium frame", "bicycle"), ("used mountain bike for sale, 29 inch wheels", "bicycle"),
        ("The Magic Mountain, a novel, hardcover book", "book"), *_merchandise("mountain"))),
)  # fmt: skip
"""Ids are positions."""
