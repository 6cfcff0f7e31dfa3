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
    text.correct ? "" : ` ${percent(text.probabilityOf(text.label))}`,
  );
  const verdict = element("span", { class: "verdict" }, say(text.correct ? "text.right" : "text.wrong"));
  const parts = [verdict, truth, predicted];
  if (text.baseline) {
    const [category, probability] = text.baseline;
    const right = text.baselineCorrect;
    const mark = element("span", { class: right ? "" : "wrong-mark" }, right ? "✓" : "✗");
    const name = element("b", {}, isolated(categories[category]));
    parts.push(element("span", {}, say("text.baseline"), " ", mark, " ", name, ` ${percent(probability)}`));
  }
  if (text.suggested !== undefined) {
    const category = `${FIRST_STRONG}${categories[text.suggested]}${POP}`;
    parts.push(element("span", { class: "doubted" }, say("text.doubted", { category })));
  }
  return element("p", { class: "outcome" }, ...parts);
}

/** The baseline's answer in a row of the list: a mark, and its category if that is wrong. */
function baselineInRow(text, categories) {
  if (!text.baseline) return null;
  const spoken = element("span", { class: "hidden" }, ` ${say(text.baselineCorrect ? "text.right" : "text.wrong")}`);
  const mark = element("span", { "aria-hidden": "true" }, text.baselineCorrect ? "✓" : "✗");
  const name = text.baselineCorrect ? null : isolated(categories[text.baseline[0]]);
  return element(
    "span",
    { class: text.baselineCorrect ? "baseline" : "baseline wrong-mark" },
    say("text.baseline_short"),
    " ",
    mark,
    spoken,
    name && " ",
    name,
  );
}

/**
 * One row of the list, with a short outcome and hidden words for screen readers. `instead` says that `source` is not
 * the chosen one, and is named.
 */
function rowOf(text, layout, source, categories, instead) {
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
    baselineInRow(text, categories),
    instead ? element("span", { class: "instead" }, say(`short.${source.name}`)) : null,
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
 * `instead` is the chosen source if the text has no weights of it, `rank` the place of `source` among the trusted ones,
 * and `command` explains the text again.
 */
function detailOf(text, layout, source, note, data, position, count, { instead, rank, command }) {
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
    instead && coloured
      ? element(
          "p",
          { class: "note fallback" },
          say("detail.fallback", { method: say(`source.${instead.name}`), next: say(`source.${source.name}`), rank }),
        )
      : null,
    line,
    coloured ? readout : element("p", { class: "readout" }, uncoloured(source)),
    coloured ? specialTokens(layout, source) : null,
    text.title === undefined ? null : element("p", { class: "title" }, say("detail.title"), " ", isolated(text.title)),
    probabilities(text, data.categories),
    coloured ? weightTable(layout, source, note) : null,
    commandOf(command),
  ].filter((part) => part !== null);
}

/** The reason why a text has no colour. */
const uncoloured = (source) =>
  source ? say("detail.uncoloured", { setting: source.setting }) : say("detail.sourceless");

/** All categories from the most probable to the least; of many the most probable ones, and the rest together. */
function probabilities(text, categories) {
  const order = [...text.probabilities.keys()].sort((a, b) => text.probabilities[b] - text.probabilities[a]);
  const row = (heading, probability, bar) => {
    bar.style.inlineSize = percent(probability);
    return element(
      "tr",
      {},
      element("th", { scope: "row" }, ...heading),
      element("td", { class: "bars" }, bar),
      element("td", {}, percent(probability)),
    );
  };
  const rows = order.map((at) => {
    const category = text.kept ? text.kept[at] : at;
    const isTrue = category === text.label;
    const mark = isTrue ? element("span", { class: "unit" }, ` ${say("text.true")}`) : "";
    const bar = element("i", { class: isTrue ? "bar true" : "bar" });
    return row([isolated(categories[category]), mark], text.probabilities[at], bar);
  });
  const others = categories.length - order.length;
  if (others > 0) {
    const rest = 1 - text.probabilities.reduce((sum, probability) => sum + probability, 0);
    const count = others.toLocaleString("en");
    rows.push(row([say("detail.other_categories", { count })], Math.max(0, rest), element("i", { class: "bar" })));
  }
  const key = others > 0 ? "detail.most_probable" : "detail.probabilities";
  const caption = element("caption", {}, say(key, { loss: decimal(text.loss, 3) }));
  return element("table", { class: "probabilities" }, caption, element("tbody", {}, ...rows));
}

/** The command that explains an edited version of the text, with a button that copies it. */
function commandOf(command) {
  const button = element("button", { type: "button", id: "copy-command" }, say("detail.copy_command"));
  const status = element("span", { role: "status" });
  copies(button, status, () => command);
  return element(
    "div",
    { class: "command" },
    element("p", { class: "note" }, say("detail.command")),
    element("pre", { class: "scroll", tabindex: "0" }, element("code", {}, command)),
    element("p", { class: "copying" }, status, " ", button),
  );
}

/** A word for a POSIX shell: in single quotes. */
const shellQuoted = (word) => `'${word.replaceAll("'", "'\\''")}'`;

/** The options of `midashi-predict` for the method of `source`; none for a method that it does not have. */
function explainOptions(source, layer, head) {
  const names = {
    cls_attention: "attention",
    best_head: "attention",
    layer_attention: "attention",
    all_attention: "attention",
    rollout: "rollout",
    gradient_x_input: "gradient-x-input",
    integrated_gradients: "integrated-gradients",
  };
  const name = names[source?.name];
  if (!name) return "";
  const numbers = { layer, head: source.measured?.head ?? head };
  const given = Object.entries(numbers).filter(([, number]) => number !== null);
  return ` --explain ${name}${given.map(([option, number]) => ` --${option} ${number}`).join("")}`;
}
