// Copies tables and the configuration. Tables become tab-separated values, which spreadsheets accept.

/** The visible text of `cell`: in the current language, without text for screen readers. */
function shownIn(cell) {
  const shown = cell.cloneNode(true);
  for (const other of shown.querySelectorAll(`.hidden, sup, .said:not([lang="${language}"])`)) other.remove();
  return shown.textContent.replace(/\s+/g, " ").trim();
}

/** The rows of `table`. A cell that spans columns is in the first of them. */
function tabSeparated(table) {
  const columns = (cell) => [shownIn(cell), ...Array(cell.colSpan - 1).fill("")];
  return [...table.rows].map((row) => [...row.cells].flatMap(columns).join("\t")).join("\n");
}

/**
 * Copies `text()` to the clipboard when `button` is clicked; `status`, which screen readers announce, says what happened.
 */
function copies(button, status, text) {
  button.addEventListener("click", async () => {
    const copying = navigator.clipboard.writeText(text()).then(() => "table.copied", () => "table.not_copied");
    status.textContent = say(await copying);
    setTimeout(() => (status.textContent = ""), 3000);
  });
}

for (const copied of document.querySelectorAll(".table")) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy";
  button.dataset.string = "table.copy";
  const status = document.createElement("span");
  status.setAttribute("role", "status");
  copies(button, status, () => {
    const table = copied.querySelector("table");
    return table ? tabSeparated(table) : copied.querySelector("pre").textContent;
  });
  const line = document.createElement("p");
  line.className = "copying";
  line.append(status, " ", button);
  copied.append(line);
}
