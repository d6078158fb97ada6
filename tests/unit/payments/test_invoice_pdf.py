"""A document as PDF shows what its JSON says, in any script that has a font, and nothing else."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pypdf import PdfReader

from opencode_cloud.contracts.ids import PaymentId
from opencode_cloud.kit import money
from opencode_cloud.kit.pdf.fonts import MISSING, REGULAR, width, writable
from opencode_cloud.kit.pdf.sheets import BOTTOM, LEFT, RIGHT, TOP, wrapped
from opencode_cloud.payments.invoice_pdf import pdf_of
from opencode_cloud.payments.models.documents import DocumentKind, DocumentLine, SaleDocument, sale_document

ISSUED = datetime(2026, 11, 30, 23, 59, 58)  # noqa: DTZ001 - UTC without a zone
SELLER = ["Example Software GmbH", "Hauptstraße 1", "10115 Berlin", "VAT ID: DE123456789"]
ROUNDED = 0.001
"""Points by which a place in the file may differ."""
NOTICE = f"{MISSING} stands for a character that this file cannot show."


def issued(kind: DocumentKind = DocumentKind.INVOICE, **changes: Any) -> SaleDocument:
    document = sale_document(
        kind,
        7,
        ISSUED,
        seller=SELLER,
        buyer=["Acme", "Ada Lovelace", "London"],
        currency="USD",
        credit=2000,
        fee=123,
        tax=212,
        paid_at=datetime(2026, 11, 29, 8, 5),  # noqa: DTZ001 - UTC without a zone
        payment_id=PaymentId("pi_3QabcdefghijKLMN"),
        corrects="INV-000006" if kind is DocumentKind.CREDIT_NOTE else None,
    )
    return document.model_copy(update=changes)


def read(document: SaleDocument) -> PdfReader:
    return PdfReader(BytesIO(pdf_of(document)))


def text_of(document: SaleDocument) -> str:
    return " ".join(" ".join(page.extract_text() for page in read(document).pages).split())


def marks(reader: PdfReader) -> list[tuple[float, float, float, str]]:
    """Return place, size and text of each line on all pages."""
    found: list[tuple[float, float, float, str]] = []

    def note(text: str, _user: Any, at: list[float], _font: Any, size: float) -> None:
        if text.strip():
            found.append((at[4], at[5], size, text.strip()))

    for page in reader.pages:
        page.extract_text(visitor_text=note)
    return found


def fonts_of(reader: PdfReader) -> list[Any]:
    return [font.get_object() for page in reader.pages for font in page["/Resources"]["/Font"].values()]  # pyright: ignore


@pytest.mark.parametrize("kind", list(DocumentKind))
def test_the_text_of_the_file_is_the_data_of_the_json(kind: DocumentKind) -> None:
    document = issued(kind)
    text = text_of(document)
    data = document.model_dump(mode="json")
    assert data.keys() == {
        *("number", "kind", "issued_at", "seller", "buyer", "currency", "lines", "tax_cents", "total_cents", "paid_at"),
        *("payment_id", "corrects"),
    }, "show the new member in the file"
    words = [data["number"], data["currency"], data["payment_id"], data["corrects"] or "", *data["seller"]]
    amounts = [data["tax_cents"], data["total_cents"], *(line["cents"] for line in data["lines"])]
    words += [*data["buyer"], *(line["text"] for line in data["lines"])]
    words += [money.shown(cents * money.CENT) for cents in amounts]
    words += ["30 November 2026, 23:59 UTC", "29 November 2026, 08:05 UTC", kind.replace("_", " ").capitalize()]
    assert [word for word in words if word not in text] == []
    assert NOTICE not in text


def test_the_same_document_has_the_same_bytes_whatever_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    first = pdf_of(issued())
    monkeypatch.setattr(time, "time", lambda: 4_000_000_000.0)
    monkeypatch.setenv("TZ", "Asia/Shanghai")
    assert pdf_of(issued()) == first
    assert pdf_of(issued(buyer=["Acme", "Ada"])) != first


def test_the_file_names_its_language_title_and_author_and_has_the_time_of_the_document() -> None:
    reader = read(issued())
    about, root = reader.metadata, reader.root_object
    assert about is not None
    assert (about.title, about.author) == ("Invoice INV-000007", SELLER[0])
    assert about.creation_date == about.modification_date == ISSUED.replace(tzinfo=UTC)
    assert root["/Lang"] == "en"
    assert root["/ViewerPreferences"]["/DisplayDocTitle"]  # pyright: ignore
    assert [round(float(side) / 72 * 25.4) for side in reader.pages[0].mediabox[2:]] == [210, 297]


@pytest.mark.parametrize(
    "name",
    [
        "Łódź Çelik Žižek Ðorđe ẞ Nguyễn Phước €",
        "Αθήνα Ελληνική Εταιρεία",
        "Київ Общество Ђорђе",
        "北京某某科技有限公司（上海分公司）",  # noqa: RUF001 - its own parentheses
        "臺灣電力股份有限公司",
        "株式会社テスト、ひらがな",
        "주식회사 한국",
    ],
)
def test_each_script_with_a_font_is_shown_by_glyphs_in_the_file(name: str) -> None:
    document = issued(seller=[name], buyer=[name])
    text = text_of(document)
    assert text.count(name) == 2
    assert NOTICE not in text
    for font in fonts_of(read(document)):
        assert "/FontFile2" in font["/FontDescriptor"], f"{font['/BaseFont']} is not embedded"


@pytest.mark.parametrize("name", ["مرحبا", "שלום", "สวัสดี", "नमस्ते", "😀", "\ue000"])
def test_a_character_without_a_font_is_replaced_and_the_file_says_so(name: str) -> None:
    text = text_of(issued(buyer=["Acme", f"Ada {name}"]))
    assert f"Ada {MISSING}" in text
    assert NOTICE in text


def test_a_text_is_written_as_one_line_without_controls_and_marks_of_direction() -> None:
    assert writable("A\u202e\u200bd\x00a\n\u00a0 Love\u00adlace\ufe0f") == "Ada Lovelace"
    assert writable("Cafe\u0301") == "Café"


@pytest.mark.parametrize(
    "name", ['<b>&amp;<img src="http://x">', "<a href='http://x'>pay</a>", "a) Tj (b \\", "%PDF ${x} {{ x }}", "&#65;"]
)
def test_a_hostile_name_appears_as_it_is_and_loads_nothing(name: str) -> None:
    document = issued(seller=[name], buyer=[name], lines=[DocumentLine(text=name, cents=1)])
    reader = read(document)
    assert text_of(document).count(name) == 3
    assert reader.metadata is not None
    assert reader.metadata.author == name
    assert "/Annots" not in reader.pages[0]
    assert list(reader.pages[0].images) == []
    assert not {"/OpenAction", "/AA", "/AcroForm"} & reader.root_object.keys()


@settings(max_examples=50, deadline=None)
@given(st.text(st.sampled_from("ab Wi中文、。한あ-é😀\u202e"), max_size=200), st.floats(30, 480))
def test_a_wrapped_text_fits_and_loses_nothing_but_spaces(text: str, room: float) -> None:
    lines = wrapped(text, room)
    assert "".join(lines).replace(" ", "") == writable(text).replace(" ", "")
    assert all(len(line) == 1 or line[1:] in "、。" or width(line, REGULAR, 10) <= room for line in lines)


def test_a_line_does_not_begin_with_closing_punctuation() -> None:
    assert all(line[0] != "、" for line in wrapped("中文、" * 40, 100))


def test_many_lines_flow_over_pages_with_numbers_and_heads() -> None:
    lines = [
        DocumentLine(text=f"Item {number}: {'prepaid credit ' * (number % 9)}", cents=-number) for number in range(120)
    ]
    document = issued(DocumentKind.CREDIT_NOTE, lines=lines)
    reader = read(document)
    texts = [page.extract_text() for page in reader.pages]
    assert len(texts) > 3
    for number, text in enumerate(texts, start=1):
        assert f"Page {number} of {len(texts)}" in text
        assert "Credit note CRN-000007" in text
        assert "Description" in text
    shown = " ".join(" ".join(texts).split())
    assert re.findall(r"Item (\d+):", shown) == [str(number) for number in range(120)]
    assert [text for text in shown.split() if text.startswith("-$0.5")] == [f"-$0.{cents}" for cents in range(50, 60)]


def test_long_names_stay_in_their_columns_and_pages() -> None:
    long = ["W" * 500, "中" * 300, "word " * 200, *(f"line {number}" for number in range(90))]
    reader = read(issued(seller=long, buyer=long, lines=[DocumentLine(text="W" * 5000, cents=10**12)]))
    assert len(reader.pages) > 3
    for x, y, size, text in marks(reader):
        end = x + width(text, REGULAR, size)
        assert LEFT - ROUNDED <= x < end <= RIGHT + ROUNDED
        assert end <= (LEFT + RIGHT) / 2 or x > LEFT + ROUNDED or "中" not in text
        assert BOTTOM <= y < TOP or text.startswith(("Page", "Invoice"))


def test_a_line_without_a_text_keeps_its_amount() -> None:
    assert "$0.42" in text_of(issued(lines=[DocumentLine(text=" ", cents=42)]))
