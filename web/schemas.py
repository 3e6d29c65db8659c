"""What the page's server takes and gives: the values of its OpenAPI description.

Ids (uid, class id) are decimal strings: JSON numbers lose 64 bits. A missing value is null.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Annotated, Any, Literal, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, create_model

from ..search.api import Order
from ..search.query import CaptionQuery, Filters

WINDOW = 1000
"""How many rows the orders relevance and random page through; corpus order pages through all."""

Phrase = Annotated[str, Field(min_length=1, max_length=300)]
Uid = Annotated[str, Field(pattern=r"^-?[0-9]{1,19}$", description="A signed 64-bit number.")]
ClassId = Annotated[str, Field(pattern=r"^[0-9]{1,19}$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
SampleName = Annotated[str, Field(max_length=100)]


class Parameters(BaseModel):
    """Parameters: unknown ones are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


_HINTS = get_type_hints(Filters, include_extras=True)
_FILTERS: dict[str, Any] = {each.name: (_HINTS[each.name], each.default) for each in fields(Filters)}
FilterParameters: type[Parameters] = create_model("FilterParameters", __base__=Parameters, **_FILTERS)
"""A parameter for each field of Filters, which checks the values."""


class CaptionParameters(FilterParameters):
    """A question of the caption index: a row matches when it contains any of the phrases."""

    phrase: Annotated[
        tuple[Phrase, ...], Field(min_length=1, max_length=200, description="Synonyms of one class.")
    ]
    prefix: Annotated[str, Field(max_length=300)] = ""
    exclude: Annotated[tuple[Phrase, ...], Field(max_length=50)] = ()

    def query(self) -> CaptionQuery:
        """The question as the library asks it; QueryError where it can't be asked."""
        filters = Filters(**{name: getattr(self, name) for name in _FILTERS})
        return CaptionQuery(tuple(dict.fromkeys(self.phrase)), self.prefix, self.exclude, filters)


class PageParameters(CaptionParameters):
    """A question, and which of its rows to show."""

    order: Order = Order.RELEVANCE
    seed: Annotated[int, Field(ge=0, le=2**31 - 1, description="Of the order random.")] = 0
    limit: Annotated[int, Field(ge=1, le=100)] = 20
    cursor: Annotated[str, Field(max_length=2000, description="`next` of the page before.")] = ""


class FacetParameters(CaptionParameters):
    """A question whose rows' values are counted."""


class ExportParameters(CaptionParameters):
    """A question whose rows are all wanted."""

    format: Literal["parquet", "csv"] = "parquet"


class SimilarParameters(Parameters):
    """What to look for: a text, or an embedded row's image or caption."""

    text: Annotated[str, Field(max_length=1000)] = ""
    uid: Uid | None = None
    by: Literal["image", "caption"] = "image"
    where: Literal["images", "captions"] = "images"
    class_id: ClassId | None = None
    k: Annotated[int, Field(ge=1, le=200)] = 24


class UploadParameters(Parameters):
    """Where to look for what is near an uploaded image."""

    where: Literal["images", "captions"] = "images"
    class_id: ClassId | None = None
    k: Annotated[int, Field(ge=1, le=200)] = 24


class PoolParameters(Parameters):
    """Which sample's scores to show, and which part of the pool."""

    sample: SampleName = ""
    limit: Annotated[int, Field(ge=1, le=5000)] = 2000
    offset: Annotated[int, Field(ge=0, le=1_000_000_000)] = 0


class PreviewParameters(Parameters):
    """A sample as it is, but for its order, conditions and images per class."""

    sample: SampleName
    rank: Annotated[str, Field(max_length=120)] = ""
    keep: Annotated[tuple[Annotated[str, Field(max_length=60)], ...], Field(max_length=30)] = ()
    n: Annotated[int, Field(ge=1, le=10**9)] = 500


class DoubtParameters(Parameters):
    """Whose probe is in doubt, and how many pictures to name."""

    sample: SampleName
    limit: Annotated[int, Field(ge=1, le=200)] = 24


class Problem(BaseModel):
    """Why there is no answer: one or two lines, with what to do."""

    error: str


class SafetyCounts(BaseModel):
    """What the safety filter did: rows left out, rows kept without a value to judge by."""

    left_out: int
    unknown: int


class Total(BaseModel):
    """How many rows match any phrase, and each phrase by itself."""

    total: int
    synonyms: dict[str, int]


class Counts(Total):
    """The same, and what the safety filter did."""

    safety: SafetyCounts


class CaptionRow(BaseModel):
    """A caption; ``marks`` are the (start, end) of matches in it, in Unicode code points."""

    uid: Uid
    url: str | None
    caption: str | None
    marks: list[tuple[int, int]]
    synonym: str | None
    width: int | None
    height: int | None
    similarity: float | None
    nsfw: str | None
    punsafe: float | None
    licence: str | None
    language: str | None
    file: str
    row: int
    unsafe: bool
    sha256: Sha256 | None
    """Of the workspace's image of this row, where it has one."""


class CaptionPage(Total):
    """Counts, some rows, and the cursor of the page behind them."""

    rows: list[CaptionRow]
    next: str | None


class FacetValue(BaseModel):
    """A value, and how many of the rows have it."""

    value: str
    rows: int


class FacetsAnswer(BaseModel):
    """Of all rows, or of so many at random, the most frequent values; sides and similarities: at least."""

    rows: int
    hosts: list[FacetValue]
    licences: list[FacetValue]
    languages: list[FacetValue]
    sides: list[FacetValue]
    similarities: list[FacetValue]
    longer: list[FacetValue]


class SimilarRow(CaptionRow):
    """A picture that is near: its nearest row with its score and class, and all captions of the picture."""

    captions: list[str]
    score: float
    class_id: ClassId
    class_name: str | None


class SimilarRows(BaseModel):
    """The nearest pictures, the nearest first."""

    rows: list[SimilarRow]


class ClassLine(BaseModel):
    """A class of the workspace and how much there is of it."""

    id: ClassId
    name: str
    pool: int
    images: int
    confirmed: int
    rejected: int


class Classes(BaseModel):
    """The classes of the workspace, by id."""

    classes: list[ClassLine]


class SynonymShare(BaseModel):
    """A synonym: the index's rows that contain it, the pool's rows credited to it, and their pictures."""

    text: str
    match: bool
    prompt: bool
    reason: str
    frequency: int | None
    pool: int
    images: int


class ClassPage(ClassLine):
    """One class: its synonyms with their shares, and the samples that it can be seen through."""

    synonyms: list[SynonymShare]
    samples: list[str]


Scores = Annotated[list[float | None], Field(description="In the order of `Session.scores`.")]


class PoolRow(BaseModel):
    """A row of a class's pool with its scores and what the sample did with it."""

    uid: Uid
    url: str | None
    caption: str | None
    synonym: str
    sha256: Sha256 | None
    scores: Scores
    kept: bool
    rank: int | None
    reason: str
    meaning: Annotated[str, Field(description="The reason in words.")]
    unsafe: bool
    mark: Literal["rejected", "confirmed"] | None
    judged: Annotated[
        str | None, Field(description="The answer that captrawl judge got: yes, another name …")
    ]


class PoolPage(BaseModel):
    """A part of a class's pool, the sample's kept rows first, by rank."""

    total: int
    rows: list[PoolRow]
    method: str
    rank: str
    keep: list[str]
    n: int
    """The sample's order, conditions and images per class, as `captrawl sample` takes them."""
    stale: bool
    """Whether marks were changed since the sample was drawn."""


class Preview(BaseModel):
    """The rows that ``command`` keeps of a class, by rank, and how many pictures the class's pool has."""

    kept: list[Uid]
    images: int
    command: str


class Doubtful(BaseModel):
    """Rows whose mark would teach most, the most doubtful first; no two of them look alike."""

    uids: list[Uid]


MarkValue = Literal["rejected", "confirmed"] | None


class MarkRequest(Parameters):
    """What the user says of an image in a class; null takes it back."""

    mark: MarkValue


class MarksRequest(Parameters):
    """What the user says of images in a class, by uid, and the sample that is looked at."""

    marks: Annotated[dict[Uid, MarkValue], Field(min_length=1, max_length=5000)]
    sample: SampleName = ""


class MarksCounts(BaseModel):
    """How many of the class's images are marked, and whether the marks are newer than the sample."""

    confirmed: int
    rejected: int
    stale: bool


class MarkCounts(MarkRequest):
    """What is stored now, and how many of the class's images are marked."""

    confirmed: int
    rejected: int


class Session(BaseModel):
    """What this server serves, and the token that its own page writes with."""

    version: str
    token: str
    index: str
    rows: int
    files: int
    workspace: str | None
    model: str | None
    similar: bool
    samples: list[str]
    scores: list[str]
    window: int
    examples: list[str]
    """Some names of the class list, to try."""


PROBLEMS: dict[int | str, dict[str, Any]] = {
    400: {"model": Problem, "description": "Not a request that makes sense."},
    403: {"model": Problem, "description": "Another host, site or token."},
    404: {"model": Problem, "description": "Not there."},
    405: {"model": Problem, "description": "Not with this method."},
    409: {"model": Problem, "description": "The workspace lacks what this needs."},
    413: {"model": Problem, "description": "Too large."},
    415: {"model": Problem, "description": "Not an image that can be read."},
    422: {"model": Problem, "description": "A value that can't be asked."},
    503: {"model": Problem, "description": "Too busy, too slow, or the Elasticsearch server is down."},
}
"""The answers that every operation can give besides its own."""
