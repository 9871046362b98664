"""Hooks of mkdocs: pages made of notebooks and of files at the root, links that work there and here, and the board."""

from __future__ import annotations

import json
import posixpath
import re
import runpy
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

ROOT = Path(__file__).parents[1]
PAGES = {
    "README.md": "index.md",
    "LEADERBOARD.md": "leaderboard.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
LINK = re.compile(r"(?<=\]\()(?!https?:|#|mailto:)([^)\s#]+)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are files at the root, and those of the notebooks in docs/."""
    from mkdocs.structure.files import File

    as_page = runpy.run_path(str(ROOT / "docs" / "notebook.py"))["as_page"]
    for path in (ROOT / "docs").glob("*.ipynb"):
        page = as_page(json.loads(path.read_text(encoding="utf-8")))
        files.append(File.generated(config, path.with_suffix(".md").name, content=page))
    for source, page in PAGES.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=relink(text, "", config.repo_url)))
    return files


def on_page_markdown(markdown: str, page: Any, config: MkDocsConfig, files: Files) -> str:
    """Point the links of a page in docs/ that leave the folder to where their targets are on the site."""
    if page.file.src_uri in PAGES.values():
        return markdown
    folder = posixpath.join("docs", posixpath.dirname(page.file.src_uri)).rstrip("/")
    return relink(markdown, folder, config.repo_url)


def relink(text: str, folder: str, repository: str) -> str:
    """Return a text of a file in `folder` (from the root) with links to pages of the site, or into the repository."""

    def target(match: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(folder, match[1]))
        if path in PAGES:
            return posixpath.relpath(PAGES[path], posixpath.relpath(folder, "docs") if folder else "")
        if path.startswith("docs/"):
            return posixpath.relpath(path, folder or "docs")
        return f"{repository}/blob/main/{path}"

    return LINK.sub(target, text)


def on_post_build(config: MkDocsConfig) -> None:
    """Build the published board's page below board/."""
    from leaderboard.build import build

    build([ROOT / "leaderboard" / "published"], Path(config.site_dir) / "board")
