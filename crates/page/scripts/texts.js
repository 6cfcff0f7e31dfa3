// Shows a text coloured by weights, and its weights as a table: shared by the report and the server's page.

/** Shades in the style sheet, from l0 (none) to l10 (the full colour). */
const LEVELS = 10;

/** An element with attributes and children, which are text or elements. Null values are left out. */
function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [attribute, value] of Object.entries(attributes)) if (value !== null) made.setAttribute(attribute, value);
  made.append(...children.filter((child) => child !== null));
  return made;
}

/** The classes of a unit's colour; empty without a weight. */
function shadeOf(unit) {
  if (unit.strength === null) return "";
  const level = Math.round(LEVELS * Math.abs(unit.strength));
  return unit.strength < 0 && level > 0 ? ` l${level} against` : ` l${level}`;
}

const percent = (share) => `${(100 * share).toFixed(1)}%`;
/** A number with its sign, unless it is 0. */
const signed = (number, text) => (number > 0 ? `+${text}` : text.replace("-", "−"));
/** A weight as text; small signed weights in scientific notation. */
function weightText(weight, source) {
  if (!source.signed) return weight.toFixed(4);
  const isSmall = weight !== 0 && Math.abs(weight) < 0.001;
  return signed(weight, isSmall ? weight.toExponential(1) : weight.toFixed(4));
}
const shareText = (share, source) => (source.signed ? signed(share, percent(share)) : percent(share));
const decimal = (number, digits) => (Number.isFinite(number) ? number.toFixed(digits) : "∞");
/** Text isolated from the direction of its neighbours. */
const isolated = (text) => element("bdi", { lang: "ja" }, text);
const FIRST_STRONG = "\u2068",
  POP = "\u2069";

/** A unit's tokens, weight and share for its tooltip. */
function describe(unit, source) {
  const spelling = unit.tokens.map((token) => FIRST_STRONG + token + POP).join(" + ");
  if (unit.weight === null) return spelling;
  return `${spelling} · ${weightText(unit.weight, source)} · ${shareText(unit.share, source)}`;
}

/** The text coloured by `source`. `made` is called with each unit and its element. */
function colouredText(layout, source, made = () => {}) {
  const line = element("p", { class: "tokens", lang: "ja" });
  for (const part of layout.parts) {
    if (part.plain !== undefined) {
      line.append(element("bdi", {}, part.plain));
    } else if (part.unread !== undefined) {
      line.append(
        element("span", { class: "unread" }, say("text.unread", { count: part.unread.toLocaleString("en") })),
      );
    } else {
      const word = element("span", { class: "word" });
      for (const unit of part.word) {
        const classes = `piece${shadeOf(unit)}${unit.standsIn ? " stand-in" : ""}`;
        const piece = element("span", { class: classes, title: describe(unit, source) }, unit.shown);
        made(unit, piece);
        word.append(piece);
      }
      line.append(word);
    }
  }
  return line;
}

function specialTokens(layout, source) {
  const sum = layout.special.reduce((sum, token) => sum + Math.abs(token.share), 0);
  const chips = layout.special.flatMap((token) => [
    element("span", { class: "special" }, isolated(token.token), ` ${shareText(token.share, source)}`),
    " ",
  ]);
  return element("p", { class: "apart" }, ...chips, say("detail.special", { share: percent(sum) }));
}

/** The weights as numbers, for readers who cannot see the colours or want to copy them. */
function weightTable(layout, source, note) {
  const heading = (name) => element("th", { scope: "col" }, say(name));
  const codePoint = (character) => `U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`;
  const visible = (text) => (text.trim() === "" ? [...text].map(codePoint).join(" ") : text);
  const rows = layout.units.map((unit) =>
    element(
      "tr",
      {},
      element("th", { scope: "row" }, isolated(visible(unit.shown))),
      element("td", {}, isolated(unit.tokens.join(" + "))),
      element("td", {}, weightText(unit.weight, source)),
      element("td", {}, shareText(unit.share, source)),
    ),
  );
  const head = ["weights.unit", "weights.tokens", "weights.weight", "weights.share"].map(heading);
  return element(
    "details",
    { class: "weights" },
    element("summary", {}, say("detail.weights")),
    element(
      "table",
      {},
      element("caption", {}, note),
      element("thead", {}, element("tr", {}, ...head)),
      element("tbody", {}, ...rows),
    ),
  );
}
