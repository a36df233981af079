"""Folders of files become documents with stable ids and titles; what cannot be read is counted."""

import importlib.util
import zipfile
from collections import Counter
from pathlib import Path

import pytest

from dialekt.corpus.files import document_files, read_files, split_title
from dialekt.errors import MissingExtraError

needs_converter = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("markitdown", "pdfminer", "mammoth")),
    reason="needs the extra 'files'",
)


def test_hidden_and_foreign_files_are_left_out(tmp_path: Path) -> None:
    """Files are found in folders, in the order of their paths, without hidden ones and other formats."""
    for name in ("b/z.md", "b/a.txt", "c.HTML", ".git/x.md", ".hidden.md", "b/picture.png", "a.pdf"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = [file.relative_to(tmp_path).as_posix() for file in document_files(tmp_path)]
    assert found == ["a.pdf", "b/a.txt", "b/z.md", "c.HTML"]


def test_the_id_is_the_path_and_the_title_the_heading(tmp_path: Path) -> None:
    """Markdown is titled by its first heading, text by its file name."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "guide.md").write_text("# The *Guide*\n\nText.", encoding="utf-8")
    (tmp_path / "notes.txt").write_text("# no heading here", encoding="utf-8")
    files = document_files(tmp_path)
    found = list(read_files(files, tmp_path, unreadable=Counter()))
    assert [(item.id, item.title, item.text.strip()) for item in found] == [
        ("notes.txt", "notes", "# no heading here"),
        ("sub/guide.md", "The *Guide*", "Text."),
    ]


@pytest.mark.parametrize(
    ("markdown", "title", "text"),
    [
        ('---\ntitle: "From the front"\n---\n# Head\nbody', "From the front", "# Head\nbody"),
        ("Under\n=====\nbody", "Under", "body"),
        ("# Only a heading", "Only a heading", "# Only a heading"),
        ("plain", "", "plain"),
        ("see [the page](https://x.org/a_(b)) <!-- no -->now", "", "see the page now"),
        ("x " * 300 + "\n# Far below", "", "x " * 300 + "\n# Far below"),
    ],
)
def test_titles_are_split_from_markdown(markdown: str, title: str, text: str) -> None:
    """Front matter wins over the first heading; the heading leaves the text; links lose their targets."""
    found_title, found_text = split_title(markdown)
    assert (found_title, found_text.strip()) == (title, text.strip())


def test_unreadable_files_are_counted_by_reason(tmp_path: Path) -> None:
    """A file that is not UTF-8 is counted and the others are read; UTF-16 with its mark is read."""
    (tmp_path / "bad.txt").write_bytes(b"caf\xe9 latin")
    (tmp_path / "good.txt").write_bytes("grüße".encode("utf-16"))
    counts: Counter[str] = Counter()
    found = list(read_files(document_files(tmp_path), tmp_path, unreadable=counts))
    assert [item.text for item in found] == ["grüße"]
    assert counts == {"unreadable file: not UTF-8": 1}


@pytest.mark.skipif(importlib.util.find_spec("pdfminer") is not None, reason="the extra is installed")
def test_a_missing_converter_is_one_clear_error(tmp_path: Path) -> None:
    """A PDF without the extra says which extra to install."""
    (tmp_path / "a.pdf").write_bytes(b"%PDF-1.4")
    with pytest.raises(MissingExtraError, match=r"reading \.pdf files needs the optional dependency set 'files'"):
        list(read_files(document_files(tmp_path), tmp_path, unreadable=Counter()))


def write_pdf(path: Path, text: str) -> None:
    """Write a PDF of one page by hand."""
    stream = f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET"
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R"
        " /Resources << /Font << /F1 5 0 R >> >> >>",
        f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    body, places = "%PDF-1.4\n", []
    for number, content in enumerate(objects, start=1):
        places.append(len(body))
        body += f"{number} 0 obj\n{content}\nendobj\n"
    table = "".join(f"{place:010d} 00000 n \n" for place in places)
    end = f"xref\n0 6\n0000000000 65535 f \n{table}trailer\n<< /Size 6 /Root 1 0 R >>\nstartxref\n{len(body)}\n%%EOF\n"
    path.write_text(body + end, encoding="latin-1")


def write_docx(path: Path, text: str) -> None:
    """Write a Word file of one paragraph by hand."""
    main = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    package = "http://schemas.openxmlformats.org/package/2006"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"
    kind = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(
            "[Content_Types].xml",
            f'<Types xmlns="{package}/content-types"><Default Extension="rels" '
            'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
            f'<Override PartName="/word/document.xml" ContentType="{kind}"/></Types>',
        )
        archive.writestr(
            "_rels/.rels",
            f'<Relationships xmlns="{package}/relationships"><Relationship Id="r1" Type="{office}" '
            'Target="word/document.xml"/></Relationships>',
        )
        archive.writestr(
            "word/document.xml",
            f'<w:document xmlns:w="{main}"><w:body><w:p><w:r><w:t>{text}</w:t></w:r></w:p></w:body></w:document>',
        )


@needs_converter
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the converter's own dependencies
def test_html_pdf_and_word_are_converted(tmp_path: Path) -> None:
    """Each format gives its text; a damaged file is counted, scripts are no text."""
    (tmp_path / "a.html").write_text(
        "<html><head><title>T</title></head><body><script>x()</script><h1>Pumps</h1><p>They leak.</p></body></html>"
    )
    write_pdf(tmp_path / "b.pdf", "Valves are closed")
    write_docx(tmp_path / "c.docx", "Pipes are long")
    (tmp_path / "d.pdf").write_bytes(b"%PDF-1.4 cut short")
    counts: Counter[str] = Counter()
    found = list(read_files(document_files(tmp_path), tmp_path, unreadable=counts))
    assert [(item.id, item.title, item.text.strip()) for item in found] == [
        ("a.html", "Pumps", "They leak."),
        ("b.pdf", "b", "Valves are closed"),
        ("c.docx", "c", "Pipes are long"),
    ]
    assert counts == {"unreadable file: damaged or protected .pdf": 1}
