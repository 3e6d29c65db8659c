"""The section of the report's page on the download: reasons, examples, hosts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..filters import Reason
from .counts import DownloadNumbers, Numbers
from .examples import Picked, Picks
from .figures import bar
from .markup import Html, foreign, join, tag
from .page_parts import Column, table

LOST_EXAMPLES = 3


def download(numbers: Numbers, picks: Sequence[Picks]) -> Html | None:
    """Why URLs gave no image, with examples of the first sample's pool, and the hosts that fail most."""
    found = numbers.download
    if not found.urls:
        return None
    most = max([1, *(failure.urls for failure in found.failures)])
    rows = [
        [
            tag("span", failure.reason, class_="reason"),
            failure.state,
            f"{failure.urls:,}",
            f"{failure.urls / found.urls:.1%}",
            bar(failure.urls, most, "downloaded"),
        ]
        for failure in found.failures
    ]
    columns: list[Column] = [
        ("reason", False),
        ("state", False),
        ("URLs", True),
        ("of all", True),
        ("", False),
    ]
    waiting = f" {found.waiting:,} URLs are still to be asked." if found.waiting else ""
    text = (
        f"{found.packed:,} of {found.urls:,} URLs gave a usable image ({found.packed / found.urls:.1%}), "
        f"{found.images:,} distinct ones.{waiting} Failed: nothing came; refused: we or the site declined; "
        "dropped: what came is no usable image."
    )
    parts = [tag("p", text, class_="soft"), table(columns, rows, "Reasons")]
    if picks:
        parts.append(_lost(picks[0].examples))
    parts.append(_hosts(found))
    return join(parts)


def _lost(examples: Mapping[str, Sequence[Picked]]) -> Html:
    """Captions and addresses of a few rows of each reason, folded away."""
    listed = [
        join(
            [
                tag("dt", reason.partition(": ")[2], class_="reason"),
                *(
                    tag("dd", foreign(row.caption), tag("div", foreign(row.url), class_="url"))
                    for row in rows[:LOST_EXAMPLES]
                ),
            ]
        )
        for reason, rows in sorted(examples.items())
        if reason.startswith(f"{Reason.NO_IMAGE}: ")
    ]
    if not listed:
        return Html()
    return tag("details", tag("summary", "Examples"), tag("dl", *listed))


def _hosts(found: DownloadNumbers) -> Html:
    rows = [
        [
            foreign(host.host or "(no host)", 80),
            f"{host.urls:,}",
            f"{host.failed:,}",
            f"{host.failed / host.urls:.0%}",
            ", ".join(f"{reason} {number:,}" for reason, number in host.reasons[:6]),
        ]
        for host in found.hosts
    ]
    if not rows:
        return Html()
    columns: list[Column] = [("host", False), ("URLs", True), ("no image", True), ("share", True)]
    filled = table([*columns, ("reasons", False)], rows, "Hosts")
    hosts = f"{len(rows):,} hosts" if len(rows) > 1 else "host"
    return tag("details", tag("summary", f"The {hosts} with most failures"), filled)
