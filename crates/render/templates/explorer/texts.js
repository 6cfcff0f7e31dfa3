// Renders texts: a row of the list, and the open text with its details.

/** The outcome and both categories. */
function outcome(text, categories) {
  const predicted = element(
    "span",
    {},
    say("text.predicted"),
    " ",
    element("b", {}, isolated(categories[text.predicted])),
    ` ${percent(text.confidence)}`,
  );
  const truth = element(
    "span",
    {},
    say("text.true"),
    " ",
    element("b", {}, isolated(categories[text.label])),
    text.correct ? "" : ` ${percent(text.probabilities[text.label])}`,
  );
  return element(
    "p",
    { class: "outcome" },
    element("span", { class: "verdict" }, say(text.correct ? "text.right" : "text.wrong")),
    truth,
    predicted,
  );
}

/** One row of the list, with a short outcome and hidden words for screen readers. */
function rowOf(text, layout, source, categories) {
  const spoken = (key) => element("span", { class: "hidden" }, say(key));
  const category = (at) => element("b", {}, isolated(categories[at]));
  const predicted = text.correct
    ? []
    : [element("span", { "aria-hidden": "true" }, "→"), spoken("text.predicted"), category(text.predicted)];
  const short = element(
    "p",
    { class: "outcome" },
    element(
      "span",
      { class: "verdict" },
      element("span", { "aria-hidden": "true" }, text.correct ? "✓" : "✗"),
      spoken(text.correct ? "text.right" : "text.wrong"),
    ),
    spoken("text.true"),
    category(text.label),
    ...predicted,
    element("span", { class: "confidence" }, percent(text.confidence)),
  );
  return element(
    "div",
    { class: text.correct ? "row" : "row wrong", role: "option", id: `text-${text.at}` },
    short,
    colouredText(layout, source),
  );
}

/**
 * The details of the open text. `note` describes the weights of `source`; `position` is the place in the list, from 1.
 */
function detailOf(text, layout, source, note, data, position, count) {
  const readout = element("p", { class: "readout", "aria-hidden": "true" }, say("detail.hover"));
  const line = colouredText(layout, source, (unit, piece) => {
    piece.addEventListener("pointerenter", () => {
      readout.replaceChildren(element("b", {}, isolated(unit.shown)), " ", describe(unit, source));
    });
  });
  const coloured = layout.units.some((unit) => unit.weight !== null);
  return [
    element(
      "header",
      { class: text.correct ? "" : "wrong" },
      element(
        "p",
        { class: "position" },
        say("detail.position", { position: position.toLocaleString("en"), count: count.toLocaleString("en") }),
        " · ",
        isolated(text.id),
      ),
      outcome(text, data.categories),
    ),
    line,
    coloured ? readout : element("p", { class: "readout" }, uncoloured(source)),
    coloured ? specialTokens(layout, source) : null,
    text.title === undefined ? null : element("p", { class: "title" }, say("detail.title"), " ", isolated(text.title)),
    probabilities(text, data.categories),
    coloured ? weightTable(layout, source, note) : null,
  ].filter((part) => part !== null);
}

/** The reason why a text has no colour. */
const uncoloured = (source) =>
  source ? say("detail.uncoloured", { setting: source.setting }) : say("detail.sourceless");

/** All categories from the most probable to the least. */
function probabilities(text, categories) {
  const order = [...text.probabilities.keys()].sort((a, b) => text.probabilities[b] - text.probabilities[a]);
  const rows = order.map((at) => {
    const bar = element("i", { class: at === text.label ? "bar true" : "bar" });
    bar.style.inlineSize = percent(text.probabilities[at]);
    const mark = at === text.label ? element("span", { class: "unit" }, ` ${say("text.true")}`) : "";
    return element(
      "tr",
      {},
      element("th", { scope: "row" }, isolated(categories[at]), mark),
      element("td", { class: "bars" }, bar),
      element("td", {}, percent(text.probabilities[at])),
    );
  });
  const caption = element("caption", {}, say("detail.probabilities", { loss: decimal(text.loss, 3) }));
  return element("table", { class: "probabilities" }, caption, element("tbody", {}, ...rows));
}
