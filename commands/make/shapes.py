"""What --json prints of the commands that make a list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NotRequired, TypedDict

from ..enough import UntilJson
from ..results import CountsJson, StageJson, VersionedJson


class IndexJson(TypedDict):
    """``rows`` are all of the index now; ``swapped`` (with --swap) says whether readers see it."""

    files_added: int
    files_skipped: int
    rows_added: int
    rows: int
    swapped: NotRequired[bool]


class IndexBackJson(TypedDict):
    """The index that readers see again, and the one that they saw."""

    index: str
    replaced: str
    rows: int


class IndexVectorsJson(TypedDict):
    """Files and rows with vectors; ``unindexed`` files aren't in the index. Rows are found by ``address``."""

    files: int
    rows: int
    unindexed: int
    address: Literal["row", "uid"]
    folder: str


class IndexedCorpusJson(TypedDict):
    """A corpus of an index."""

    corpus: str
    files: int
    rows: int


class IndexedFileJson(TypedDict):
    """A file of an index, and when it came in."""

    file: str
    rows: int
    added: str | None


class IndexFilesJson(TypedDict):
    """All rows of the index, its corpora and its files."""

    rows: int
    corpora: list[IndexedCorpusJson]
    files: list[IndexedFileJson]


class IndexRemoveJson(TypedDict):
    """The files that were taken out, and their rows."""

    files: list[str]
    rows: int


class IndexPushJson(TypedDict):
    """The rows and bytes of an index that was copied elsewhere, its files, and those that were sent now."""

    rows: int
    bytes: int
    files: int
    sent: int


class IndexPullJson(TypedDict):
    """The rows and bytes of an index that was brought here, its files, and those that were here already."""

    rows: int
    bytes: int
    files: int
    already: int


class ComparedClassJson(TypedDict):
    """A class's rows here, and in SWAT's metrics."""

    id: int
    name: str
    total: int
    actual_freq: int | None


class CompareJson(TypedDict):
    """Every class of the list."""

    classes: list[ComparedClassJson]


class DownloadJson(CountsJson):
    """What the stage counted, and with --until how each class ended."""

    until: NotRequired[UntilJson]


class PlanJson(TypedDict):
    """The path of urls.parquet."""

    plan: str


class SlowestHostJson(TypedDict):
    """The host with the most URLs to be asked; ``hours``: what it takes, two at once."""

    host: str
    urls: int
    hours: float


class SurvivalJson(TypedDict):
    """The share of URLs that give an image, and whose count that is."""

    share: float
    source: str


class HoursJson(TypedDict):
    """``embed`` is null where it couldn't be measured."""

    fetch: float
    embed: float | None


class ForecastJson(TypedDict):
    """What a run would do.

    Of ``urls``, ``ended`` need nothing, ``to_ask`` would be asked and ``in_archives`` are pictures without
    one; of ``expected_images``, ``images`` are there. ``refused`` URLs were refused, or are known to be:
    ``reasons``.
    """

    rows: int
    urls: int
    ended: int
    to_ask: int
    in_archives: int
    hosts: int
    slowest_host: SlowestHostJson
    survival: SurvivalJson
    images: int
    expected_images: int
    gigabytes: float
    gigabytes_free: float
    hours: HoursJson
    refused: int
    reasons: Mapping[str, int]


class StageCountsJson(TypedDict):
    """Counts by stage: ``embed`` and ``vectors``."""

    counts: Mapping[str, Mapping[str, int]]


class ClassKeptJson(TypedDict):
    """A class and the images kept for it."""

    id: int
    name: str
    kept: int


class SampleJson(TypedDict):
    """The sample by name, twice; ``short``: ids of classes below ``n``, ``list``: the list's path."""

    sample: str
    name: str
    kept: int
    n: int
    classes: Sequence[ClassKeptJson]
    short: Sequence[int]
    counts: Mapping[str, int]
    list: str


class JudgePlanJson(TypedDict):
    """What asking about the pictures in doubt would take, by an estimate."""

    questions: int
    classes: int
    prompt_tokens: int
    completion_tokens: int
    dollars: float | None


class JudgeJson(TypedDict):
    """Questions answered now and what they took; of all judged ``pictures``, those that fit which name."""

    questions: int
    pictures: int
    own: int
    other: int
    none: int
    declined: int
    prompt_tokens: int
    completion_tokens: int
    dollars: float | None


class RunSampleJson(TypedDict):
    """A sample of the run, the ids of classes below its n, and the path of its list."""

    name: str
    kept: int
    short: Sequence[int]
    list: str


class RunJson(TypedDict):
    """The stages that ran, every sample, and the path of the report."""

    stages: Sequence[StageJson]
    samples: Sequence[RunSampleJson]
    report: str
    until: NotRequired[UntilJson]


class TaxaJson(TypedDict):
    """How many names were added, and the ids of the classes that got none."""

    added: int
    without: list[int]


class FormJson(TypedDict):
    """A plural or singular that the index has."""

    class_id: int
    class_name: str
    synonym: str
    form: str
    kind: str
    rows: int


class FormsJson(TypedDict):
    """The forms, and whether --take put them into the list."""

    forms: list[FormJson]
    taken: bool


class QuestionJson(TypedDict):
    """A question to the language model."""

    class_id: int
    name: str
    question: str


class QuestionsJson(TypedDict):
    """What would be asked, and an estimate of what it takes; ``dollars`` where the price is known."""

    questions: list[QuestionJson]
    prompt_tokens: int
    completion_tokens: int
    dollars: float | None


class SynonymsJson(TypedDict):
    """How many classes, and synonyms in use and removed."""

    classes: int
    kept: int
    removed: int


class SensesJson(TypedDict):
    """How many classes, and the other senses of each one's name; class id → texts."""

    classes: int
    senses: dict[str, list[str]]


class SlurmJobJson(TypedDict):
    """A batch script; ``parts``: the tasks of its array, [] where it is none."""

    name: str
    script: str
    parts: list[int]


class SlurmJson(TypedDict):
    """The scripts in the order in which they run; ``submitted``: SLURM's numbers of them with --submit."""

    jobs: list[SlurmJobJson]
    submitted: list[str]


OUTPUTS: Mapping[str, tuple[type | str, ...]] = {
    "index captions": (IndexJson,),
    "index files": (IndexFilesJson,),
    "index vectors": (IndexVectorsJson,),
    "index remove": (IndexRemoveJson,),
    "index back": (IndexBackJson,),
    "index push": (IndexPushJson,),
    "index pull": (IndexPullJson,),
    "synonyms": (SynonymsJson,),
    "synonyms --senses": (SensesJson,),
    "synonyms --dry-run": (QuestionsJson,),
    "synonyms --forms": (FormsJson,),
    "synonyms --taxa": (TaxaJson,),
    "synonyms --review": (VersionedJson, "search.synonyms.review:Review"),
    "match": (CountsJson,),
    "match --compare": (CompareJson,),
    "download": (DownloadJson,),
    "download --plan-only": (PlanJson,),
    "embed": (StageCountsJson,),
    "judge": (JudgeJson,),
    "judge --dry-run": (JudgePlanJson,),
    "sample": (SampleJson,),
    "plan": (ForecastJson,),
    "run": (RunJson,),
    "slurm": (SlurmJson,),
    "run --dry-run": (ForecastJson,),
}
"""Command → what its --json prints: the keys of all parts, of which a text is a dataclass of the package."""
