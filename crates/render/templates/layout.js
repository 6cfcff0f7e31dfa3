// Adapts the page to the reader's screen: folded parts and tables as cards on a phone, the current section in the
// contents.

/** The style sheet's width of a phone. */
const PHONE = matchMedia("(max-width: 36rem)");

/** Folds the parts that are open on larger screens. A reader may open them again. */
function foldOnPhone() {
  for (const part of document.querySelectorAll(".fold-on-phone")) part.open = !PHONE.matches;
}

/** The headings of each column of `table`, from top to bottom; a heading may span several columns. */
function headingsOf(table) {
  const columns = [];
  for (const row of table.tHead?.rows ?? []) {
    let column = 0;
    for (const cell of row.cells) {
      const heading = shownIn(cell);
      for (let end = column + cell.colSpan; column < end; column++) {
        columns[column] ??= [];
        if (heading !== "") columns[column].push(heading);
      }
    }
  }
  return columns.map((headings) => headings.join(" · "));
}

/**
 * Gives each cell its column's heading in the current language, which the style sheet shows on a phone, where a row is
 * a card. The roles keep what the elements mean where the style sheet lays them out in another way.
 */
function labelCells() {
  for (const table of document.querySelectorAll(".table > .scroll > table")) {
    if (!table.tHead) continue;
    const headings = headingsOf(table);
    table.classList.add("cards");
    table.setAttribute("role", "table");
    for (const part of [table.tHead, ...table.tBodies]) part.setAttribute("role", "rowgroup");
    for (const row of table.rows) {
      row.setAttribute("role", "row");
      let column = 0;
      for (const cell of row.cells) {
        const isHeading = cell.tagName === "TH";
        const role = isHeading ? (cell.scope === "row" ? "rowheader" : "columnheader") : "cell";
        cell.setAttribute("role", role);
        // The first cell is the card's title.
        if (row.parentElement !== table.tHead && column > 0) cell.dataset.heading = headings[column] ?? "";
        cell.classList.toggle("blank", shownIn(cell) === "");
        column += cell.colSpan;
      }
    }
  }
}

/** Marks the section that the reader sees in the contents. */
function followSections() {
  const links = new Map(
    [...document.querySelectorAll("nav a")].map((link) => [link.getAttribute("href").slice(1), link]),
  );
  const sections = [...links.keys()].map((id) => document.getElementById(id)).filter(Boolean);
  const mark = () => {
    // The last section that begins above the middle of the window, or at the page's end the last one, which may be
    // short.
    const isAtEnd = scrollY > 0 && scrollY + innerHeight >= document.documentElement.scrollHeight - 2;
    const isAbove = (section) => isAtEnd || section.getBoundingClientRect().top < innerHeight / 2;
    const current = sections.findLast(isAbove) ?? sections[0];
    for (const [id, link] of links) {
      if (id === current?.id) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
  };
  let asked = 0;
  addEventListener("scroll", () => {
    cancelAnimationFrame(asked);
    asked = requestAnimationFrame(mark);
  });
  mark();
}

/** Opens a folded section when its link is followed. */
function openLinked() {
  // Sections have plain names. A view of the explorer is no section, and may hold any character.
  const section = document.getElementById(location.hash.slice(1));
  const folded = section?.querySelector(":scope > details.folded");
  if (folded) folded.open = true;
}

PHONE.addEventListener("change", foldOnPhone);
addEventListener("hashchange", openLinked);
// A link to the section that is already the page's address changes nothing there.
for (const link of document.querySelectorAll("nav a")) link.addEventListener("click", () => setTimeout(openLinked));
