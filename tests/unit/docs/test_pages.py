"""What holds for all pages: links lead somewhere, every page can be found, examples of files can be read."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from coreconfig.model.documents import MEMBERS, from_document, to_document
from coreconfig.wire.yaml import dump, load

ROOT = Path(__file__).parents[3]
PAGES = [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md", ROOT / "CHANGELOG.md"]
PAGES += sorted((ROOT / "examples").rglob("*.md"))
FENCE = re.compile(r"^```(\w+)[^\n]*\n((?s:.*?))^```$", re.MULTILINE)


def blocks(page: Path, *languages: str) -> list[str]:
    return [text for language, text in FENCE.findall(page.read_text("utf-8")) if language in languages]


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as they are made for links."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    """To a file that is there, and a heading in it."""
    text = FENCE.sub("", page.read_text("utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target


def test_every_page_can_be_reached_from_the_readme() -> None:
    """By following links, so that nobody has to know where to look."""
    seen: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in seen or page.suffix != ".md":
            continue
        seen.add(page)
        targets = re.findall(r"\]\(([^)\s#]+)", page.read_text("utf-8"))
        waiting += [(page.parent / target).resolve() for target in targets if "://" not in target]
    reachable = {page for page in PAGES if page.is_relative_to(ROOT / "docs")} - {
        ROOT / "docs/adr/0000-template.md"
    }
    assert reachable <= seen


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_examples_of_files_can_be_read(page: Path) -> None:
    """YAML and JSON as the product reads them; environments as `export` would write them again."""
    for text in blocks(page, "json"):
        msgspec.json.decode(text)
    for text in blocks(page, "yaml"):
        document = load(text)
        if isinstance(document, dict) and "id" in document:
            written = dump(to_document(from_document(document)))
            assert dump(to_document(from_document(load(written)))) == written


def test_every_member_of_an_environment_file_is_explained_in_order() -> None:
    """As `export` writes them."""
    text = (ROOT / "docs/reference/environment-files.md").read_text("utf-8")
    assert tuple(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)) == MEMBERS
    assert all(re.search(rf"^{name}:", text, re.MULTILINE) for name in MEMBERS)


def test_pages_speak_of_the_project_alone() -> None:
    """No path of somebody's machine stands in them."""
    for page in PAGES:
        assert not re.search(r"/(root|work|home|tmp)/", page.read_text("utf-8")), page
