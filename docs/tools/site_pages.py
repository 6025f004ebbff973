"""What MkDocs shows beside the pages of docs/: documents of other folders, notebooks, and the API.

Links in documents are those of the repository, so that they work wherever one
reads them. A page that lies outside docs/ and is linked to comes along, with
what it links to; every link is then written anew for the site.
"""

import ast
import functools
import json
import pathlib
import posixpath
import re

ROOT = pathlib.Path(__file__).parents[2]
DOCS = "docs/"
LINK = re.compile(r"(\]\()([^)#\s]*)(#[^)\s]*)?(\))")
API = {
    "layers": "Layers",
    "models": "Models",
    "tasks": "Tasks",
    "text": "Text",
    "training": "Training",
    "data": "Data",
    "decoding": "Decoding",
    "recipes": "Recipes",
    "export": "Export",
    "visualization": "Pictures",
    "conversion": "Results",
    "dates": "Columns of dates",
    "testing": "Checks for your models",
}


def on_config(config):
    """Puts the pages that are found, not listed, into the navigation."""
    decisions = sorted((ROOT / DOCS / "decisions").glob("0*.md"))
    examples = sorted((ROOT / "examples").glob("*/README.md"))
    notebooks = sorted((ROOT / DOCS / "notebooks").glob("*.ipynb"))
    found = {
        "API": [{title: f"reference/{module}.md"} for module, title in API.items()],
        "Decisions": ["decisions/README.md", *(f"decisions/{file.name}" for file in decisions)],
        "Examples": [
            "start/examples.md",
            *(f"examples/{file.parent.name}/README.md" for file in examples),
            *(f"notebooks/{file.stem}.md" for file in notebooks if file.stem != "dates_ko"),
        ],
    }
    config.nav = filled(config.nav, found)
    return config


def filled(nav, found):
    """A navigation with the sections of these names filled."""
    return [
        {
            title: found.get(title, filled(place, found) if isinstance(place, list) else place)
            for title, place in each.items()
        }
        if isinstance(each, dict)
        else each
        for each in nav
    ]


def on_files(files, config):
    """Adds what is linked to from outside docs/, the notebooks and the API."""
    from mkdocs.structure.files import File

    for place in linked():
        page = page_of(place)
        if page.endswith(".md") and place.endswith(".ipynb"):
            files.append(File.generated(config, page, content=notebook_page(ROOT / place)))
        elif files.get_file_from_path(page) is None:
            files.append(File.generated(config, page, abs_src_path=str(ROOT / place)))
    for module, title in API.items():
        files.append(File.generated(config, f"reference/{module}.md", content=api_page(module, title)))
    return files


def on_page_markdown(markdown, page, config, files):
    """Writes the links of a page for the site."""
    return relinked(markdown, page.file.src_uri)


def linked():
    """Paths in the repository of what the documents of docs/ link to and what lies elsewhere, or is a notebook."""
    waiting = [path.relative_to(ROOT).as_posix() for path in sorted((ROOT / DOCS).rglob("*.md"))]
    waiting += ["CONTRIBUTING.md", "CHANGELOG.md"]
    found, seen = [], set()
    while waiting:
        place = waiting.pop()
        if place in seen or not (ROOT / place).is_file():
            continue
        seen.add(place)
        if not place.startswith(DOCS) or place.endswith(".ipynb"):
            found.append(place)
        if place.endswith(".md"):
            text = (ROOT / place).read_text(encoding="utf-8")
            waiting += [target_of(place, link) for _, link, _, _ in LINK.findall(text) if link and "://" not in link]
    return sorted(found)


def target_of(place, link):
    """The path in the repository that a link in a document leads to."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(place), link))


def page_of(place):
    """Where a file of the repository is in the site."""
    page = "index.md" if place == "README.md" else place.removeprefix(DOCS)
    return re.sub(r"\.ipynb$", ".md", page)


def place_of(page):
    """The file of the repository that a page of the site is made of."""
    notebook = ROOT / DOCS / re.sub(r"\.md$", ".ipynb", page)
    if notebook.is_file():
        return notebook.relative_to(ROOT).as_posix()
    return f"{DOCS}{page}" if (ROOT / DOCS / page).is_file() else page


def relinked(markdown, page):
    """Markdown whose relative links are those of the site."""

    def link(match):
        before, target, anchor, after = match.groups()
        if not target or "://" in target or target.startswith("mailto:"):
            return match[0]
        goal = page_of(target_of(place_of(page), target))
        return f"{before}{posixpath.relpath(goal, posixpath.dirname(page) or '.')}{anchor or ''}{after}"

    return LINK.sub(link, markdown)


def api_page(module, title):
    """A page of every public name of a module."""
    names = "\n".join(f"::: keras_attention.{module}.{name}\n" for name in public_names(module))
    return f"# {title}\n\n`keras_attention.{module}`\n\n{names}"


def public_names(module):
    """The classes and functions of `__all__`; of a module without one all that it defines and that are public."""
    tree = parsed(f"keras_attention.{module}")
    for node in tree.body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", None) == "__all__":
            names = ast.literal_eval(node.value)
            return sorted((name for name in names if is_defined(tree, name)), key=str.casefold)
    return sorted(name for name in defined(tree) if not name.startswith("_"))


def is_defined(tree, name):
    """Whether a name is a class or a function, there or where it is imported from."""
    sources = (
        node.module
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and name in {alias.name for alias in node.names}
    )
    return name in defined(tree) or any(is_defined(parsed(source), name) for source in sources)


def defined(tree):
    return {node.name for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)}


@functools.cache
def parsed(module):
    path = ROOT.joinpath(*module.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return ast.parse(file.read_text(encoding="utf-8"))


def notebook_page(file):
    """A notebook as Markdown, with its printed results and pictures."""
    cells = json.loads(file.read_text(encoding="utf-8"))["cells"]
    return "\n\n".join(part for cell in cells for part in cell_parts(cell))


def cell_parts(cell):
    source = "".join(cell["source"])
    if cell["cell_type"] == "markdown":
        return [source]
    return [f"```python\n{source}\n```", *filter(None, map(output_part, cell["outputs"]))]


def output_part(output):
    """What a cell printed, returned or drew."""
    data = output.get("data", {})
    if "image/png" in data:
        picture = "".join(data["image/png"]).replace("\n", "")
        return f'<img alt="what the cell above draws" src="data:image/png;base64,{picture}">'
    text = "".join(output.get("text") or data.get("text/plain", ""))
    return f"```text\n{text.rstrip()}\n```" if text.strip() else None
