"""Names that no language model is asked for: a taxon table's, and plurals that the index has."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ...core.errors import UsageError
from ...core.wording import counted
from .shapes import FormJson, FormsJson, TaxaJson

if TYPE_CHECKING:
    from ...workspace.workspace import Workspace


def add_taxa(workspace: Workspace, source: Path, *, json: bool) -> None:
    """Add the names that a taxon table has, and name the classes that it has nothing for."""
    from ...classes.files import load_classes, save_classes
    from ...core.terminal import emit, emit_json, say
    from ...search.synonyms.taxa import taxon_names, with_taxon_names, without_names

    with workspace.locked("synonyms"):
        path = workspace.classes_path()
        classes = load_classes(path)
        names = taxon_names(classes, source)
        save_classes(with_taxon_names(classes, names, source.name), path)
    missing = without_names(classes, names)
    if missing:
        some = ", ".join(f"{entry.id} {entry.name}" for entry in missing[:5])
        say(f"warning: {source} has no further name for {counted(len(missing), 'class')}: {some}")
    if json:
        return emit_json(TaxaJson(added=len(names), without=[entry.id for entry in missing]))
    kinds = [one.kind for one in names]
    vernacular, synonym = kinds.count("vernacular"), kinds.count("synonym")
    return emit(f"{path}: {counted(vernacular, 'vernacular name')} and {counted(synonym, 'synonym')} added")


def show_forms(workspace: Workspace, forms: str, *, take: bool, json: bool) -> None:
    """Show the plurals and singulars that the index has, and put them into the list where that is asked."""
    from dataclasses import asdict

    from ...classes.files import load_classes, save_classes
    from ...core.terminal import emit, emit_json, number, out, table
    from ...indexer.match_stage import index_location, task_of
    from ...indexer.opening import open_index
    from ...search.synonyms.forms import FORMS, proposals, shown_forms, with_forms

    if forms not in FORMS:
        raise UsageError(
            f"--forms {forms}: choose {', '.join(FORMS)}" if forms else "--take needs --forms plural"
        )
    path = workspace.classes_path()
    with open_index(index_location(workspace)) as index:
        fresh = proposals(index, load_classes(path), task_of(workspace).scope)
    if take:
        with workspace.locked("synonyms"):
            save_classes(with_forms(load_classes(path), fresh), path)
    if json:
        return emit_json(FormsJson(forms=[FormJson(**asdict(one)) for one in fresh], taken=take))
    columns = [("class", "left"), ("synonym", "left"), ("form", "left"), ("rows", "right")]
    out().print(table("", columns, shown_forms(fresh)))
    outcome = "added to the class list" if take else "none of them added: --take does"
    return emit(f"{number(len(fresh))} forms that the index has; {outcome}")
