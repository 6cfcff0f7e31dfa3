// Export: a text's picture as SVG and PNG, the listed texts and the weights as CSV.

const SVG = "http://www.w3.org/2000/svg";
/** Sizes in pixels. */
const PICTURE = { width: 800, margin: 28, text: 22, small: 14, line: 42, gap: 4 };
/** Resolution of a PNG relative to the picture, for print and high-resolution screens. */
const PNG_SCALE = 2;

/** An element of a picture. */
function svgElement(name, attributes, content) {
  const made = document.createElementNS(SVG, name);
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
  if (content !== undefined) made.textContent = content;
  return made;
}

/** A picture as a standalone file with a title. */
function alone(svg, title) {
  svg.prepend(svgElement("title", {}, title));
  return new XMLSerializer().serializeToString(svg);
}

/** The page's current colours and font, light or dark. */
function pageStyle() {
  const page = getComputedStyle(document.body);
  return { ink: page.color, paper: page.backgroundColor, font: page.fontFamily };
}

/** Returns a function that measures the width of a line of text at `size`. */
function measure(size, font, weight = 400) {
  const brush = document.createElement("canvas").getContext("2d");
  brush.font = `${weight} ${size}px ${font}`;
  return (content) => brush.measureText(content).width;
}

/**
 * The picture of a text in the page's colours: the outcome, the text, its special tokens, and `note`, which describes the
 * weights. It needs no style sheet and uses the system's fonts.
 */
function pictureOf(text, layout, source, categories, note) {
  const { ink, paper, font } = pageStyle();
  const { width, margin, line, gap } = PICTURE;
  const svg = svgElement("svg", {});
  const draw = (name, attributes, content) => {
    const made = svgElement(name, attributes, content);
    svg.append(made);
    return made;
  };
  const write = (x, y, size, fill, content, more = {}) =>
    draw("text", { x, y, fill, "font-size": size, "font-family": font, "xml:space": "preserve", ...more }, content);
  const widthOf = measure(PICTURE.text, font);
  const smallWidth = measure(PICTURE.small, font);

  const ground = draw("rect", { x: 0, y: 0, width, fill: paper });
  const truth = `${say("text.true")} ${categories[text.label]}`;
  const answer = `${say("text.predicted")} ${categories[text.predicted]} ${percent(text.confidence)}`;
  write(
    margin,
    margin + PICTURE.small,
    PICTURE.small,
    ink,
    `${say(text.correct ? "text.right" : "text.wrong")} · ${truth} · ${answer}`,
  );

  let [x, y] = [margin, margin + PICTURE.small + line];
  const place = (content, colours) => {
    const wide = widthOf(content);
    if (x > margin && x + wide > width - margin) [x, y] = [margin, y + line];
    if (colours)
      draw("rect", {
        x,
        y: y - PICTURE.text * 1.05,
        width: wide + 2,
        height: PICTURE.text * 1.4,
        rx: 3,
        fill: colours.ground,
      });
    const underlined = colours?.against ? { "text-decoration": "underline" } : {};
    write(x + (colours ? 1 : 0), y, PICTURE.text, colours?.ink ?? ink, content, underlined);
    x += wide + (colours ? 3 : 0);
  };
  for (const part of layout.parts) {
    // Lines break between words and between uncoloured characters; a longer word overflows.
    if (part.plain !== undefined) {
      for (const line of part.plain.split(/(\n)/)) {
        if (line === "\n") [x, y] = [margin, y + PICTURE.line];
        else for (const character of line) place(character, null);
      }
    } else if (part.unread !== undefined) {
      place("…", null);
    } else {
      for (const unit of part.word) place(unit.shown, coloursOf(unit));
      x += gap;
    }
  }
  const special = layout.special.map((token) =>
    token.share === null ? token.token : `${token.token} ${shareText(token.share, source)}`,
  );
  y += line;
  write(margin, y, PICTURE.small, ink, special.join("  "));
  y += PICTURE.small * 1.7;
  // The note is the longest line, so it is broken to fit the picture.
  for (const line of brokenLines(note, smallWidth, width - 2 * margin)) {
    write(margin, y, PICTURE.small, ink, line);
    y += PICTURE.small * 1.7;
  }

  const height = y + margin - PICTURE.small;
  ground.setAttribute("height", height);
  for (const [name, value] of Object.entries({ width, height, viewBox: `0 0 ${width} ${height}` }))
    svg.setAttribute(name, value);
  return alone(svg, written(text));
}

/** Lines of at most `room` pixels, broken between characters. */
function brokenLines(content, widthOf, room) {
  const lines = [""];
  for (const character of content) {
    if (widthOf(lines.at(-1) + character) > room) lines.push("");
    lines[lines.length - 1] += character;
  }
  return lines;
}

/** The style sheet's current colours of a unit, light or dark; null for a unit without weights. */
function coloursOf(unit) {
  if (unit.strength === null) return null;
  const shade = shadeOf(unit);
  const sample = element("span", { class: `piece${shade}` });
  document.body.append(sample);
  const style = getComputedStyle(sample);
  const colours = { ground: style.backgroundColor, ink: style.color, against: shade.endsWith("against") };
  sample.remove();
  return colours;
}

/** The picture as a PNG. */
async function pngOf(svg) {
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(svg)}`;
  await image.decode();
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [image.width * PNG_SCALE, image.height * PNG_SCALE];
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}

/** What a spreadsheet would compute instead of showing it: OWASP, "CSV Injection". Numbers are no texts and stay. */
const FORMULA = /^[=+\-@\t\r\n＝＋－＠]/;

/** A table in the format of RFC 4180, with a byte order mark, by which spreadsheets detect UTF-8. */
function csvOf(head, rows) {
  const shown = (value) => (typeof value === "string" && FORMULA.test(value) ? `'${value}` : value);
  const quoted = (value) => (/[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);
  const field = (value) => quoted(shown(value));
  return `\uFEFF${[head, ...rows].map((row) => row.map(field).join(",")).join("\r\n")}\r\n`;
}

/** The listed texts. Of many categories there is one column of probabilities, that of the true category. */
function textsCsv(texts, categories) {
  const few = texts.every((text) => text.kept === null);
  const probabilities = few ? categories.map((name) => `p(${name})`) : ["p(true)"];
  const hasBaseline = texts.some((text) => text.baseline);
  const baseline = (text) => (hasBaseline ? [categories[text.baseline[0]], text.baselineCorrect] : []);
  const beside = hasBaseline ? ["baseline", "baseline_correct"] : [];
  const head = ["id", "true", "predicted", "correct", "confidence", "loss", ...beside, ...probabilities, "text"];
  const rows = texts.map((text) => [
    text.id,
    categories[text.label],
    categories[text.predicted],
    text.correct,
    text.confidence,
    text.loss,
    ...baseline(text),
    ...(few ? text.probabilities : [text.probabilityOf(text.label)]),
    written(text),
  ]);
  return csvOf(head, rows);
}

/** The weights of a text's units and of its special tokens. */
function weightsCsv(layout) {
  const units = layout.units.map((unit) => [unit.shown, unit.tokens.join(" "), unit.weight, unit.share]);
  const special = layout.special.map((token) => ["", token.token, token.weight, token.share]);
  return csvOf(["text", "tokens", "weight", "share"], [...units, ...special]);
}

function save(name, type, content) {
  const address = URL.createObjectURL(new Blob([content], { type }));
  element("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}
