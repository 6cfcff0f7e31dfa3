// The head view of a text whose attention was kept for all heads: a small picture of every head, and one head's matrix
// token by token.

/** Sizes of the matrix's cells and letters in pixels. Many tokens make them smaller. */
const MATRIX = { cell: 18, smallest: 8, most: 460, letters: 12, longest: 120, margin: 12 };
/** Sizes in the picture of all heads, in pixels. */
const OVERVIEW = { head: 56, row: 14, gap: 4, label: 28, letters: 12, margin: 16 };
/** Number of colours for weights. */
const COLOURS = 256;

/** The style sheet's current scale, light or dark, in fine steps from no colour to the full colour. */
function finePalette() {
  const style = getComputedStyle(document.documentElement);
  const shades = [...Array(LEVELS + 1).keys()].map((level) => {
    const colour = style.getPropertyValue(`--l${level}`).trim();
    return [1, 3, 5].map((at) => Number.parseInt(colour.slice(at, at + 2), 16));
  });
  return [...Array(COLOURS).keys()].map((step) => {
    const place = (step / (COLOURS - 1)) * LEVELS;
    const below = Math.min(LEVELS - 1, Math.floor(place));
    const between = (from, to) => Math.round(from + (place - below) * (to - from));
    return shades[below].map((from, at) => between(from, shades[below + 1][at]));
  });
}

const strongestOf = (rows) => rows.reduce((most, row) => row.reduce((most, weight) => Math.max(most, weight), most), 0);
const stepOf = (weight, strongest) => (strongest > 0 ? Math.round(((COLOURS - 1) * weight) / strongest) : 0);

/** One pixel for each weight of `rows`, coloured relative to the strongest. */
function paint(canvas, rows, palette) {
  const [width, height] = [rows[0].length, rows.length];
  [canvas.width, canvas.height] = [width, height];
  const brush = canvas.getContext("2d");
  const image = brush.createImageData(width, height);
  const strongest = strongestOf(rows);
  let at = 0;
  for (const row of rows) {
    for (const weight of row) {
      const [red, green, blue] = palette[stepOf(weight, strongest)];
      image.data[at++] = red;
      image.data[at++] = green;
      image.data[at++] = blue;
      image.data[at++] = 255;
    }
  }
  brush.putImageData(image, 0, 0);
}

/** Attention from each token, `[tokens, tokens]`, or from `[CLS]` only. */
function rowsOf(text, source, layer, head, onlyCls) {
  const from = onlyCls ? [0] : [...text.tokens.keys()];
  return from.map((token) => source.weightsOf(text, layer, head, token));
}

/** A matrix with its tokens on both axes as an SVG element, with functions for its cells. */
function matrixPicture(labels, rows, note) {
  const { margin, longest } = MATRIX;
  const count = labels.length;
  const side = Math.max(MATRIX.smallest, Math.min(MATRIX.cell, Math.floor(MATRIX.most / count)));
  const letters = Math.min(MATRIX.letters, side - 1);
  const { ink, paper, font } = pageStyle();
  const widthOf = measure(letters, font);
  const cut = (label) => {
    let characters = [...label];
    if (widthOf(label) <= longest) return label;
    while (characters.length > 0 && widthOf(`${characters.join("")}…`) > longest) characters.pop();
    return `${characters.join("")}…`;
  };
  const shown = labels.map(cut);
  const room = Math.ceil(Math.max(...shown.map(widthOf))) + 8;
  const line = PICTURE.small * 1.6;
  const [left, top] = [margin + room, margin + 2 * line + room];
  const width = Math.ceil(Math.max(left + count * side, margin + measure(PICTURE.small, font, 600)(note)) + margin);
  const height = Math.ceil(top + count * side + margin);
  const svg = svgElement("svg", { width, height, viewBox: `0 0 ${width} ${height}` });
  const draw = (name, attributes, content) => {
    const made = svgElement(name, attributes, content);
    svg.append(made);
    return made;
  };
  const palette = finePalette().map(([red, green, blue]) => `rgb(${red},${green},${blue})`);
  const write = (attributes, content) =>
    draw("text", { fill: ink, "font-family": font, "font-size": letters, ...attributes }, content);
  draw("rect", { width, height, fill: paper });
  write({ x: margin, y: margin + PICTURE.small, "font-size": PICTURE.small, "font-weight": 600 }, note);
  write({ x: margin, y: margin + PICTURE.small + line, "font-size": PICTURE.small }, say("matrix.axes"));
  draw("rect", { x: left, y: top, width: count * side, height: count * side, fill: palette[0] });
  const strongest = strongestOf(rows);
  rows.forEach((row, from) => {
    row.forEach((weight, to) => {
      const step = stepOf(weight, strongest);
      const [x, y] = [left + to * side, top + from * side];
      if (step > 0) draw("rect", { x, y, width: side, height: side, fill: palette[step] });
    });
  });
  shown.forEach((label, at) => {
    const middle = at * side + side / 2 + letters * 0.35;
    write({ x: left - 5, y: top + middle, "text-anchor": "end" }, label);
    write({ transform: `translate(${left + middle} ${top - 5}) rotate(-90)` }, label);
  });
  return {
    svg,
    /** The cell [from, to] at a point relative to the picture's corner; null outside the cells. */
    cellAt(x, y) {
      const [to, from] = [Math.floor((x - left) / side), Math.floor((y - top) / side)];
      return Math.min(from, to) >= 0 && Math.max(from, to) < count ? [from, to] : null;
    },
    /** A frame around a cell. */
    frame: ([from, to]) =>
      svgElement("rect", {
        ...{ x: left + to * side, y: top + from * side, width: side, height: side },
        ...{ fill: "none", stroke: ink, "stroke-width": 2 },
      }),
  };
}

/** All heads as one SVG picture, composed of the page's pictures. */
function overviewPicture(canvases, heads, note, onlyCls) {
  const { head: wide, gap, label, letters, margin } = OVERVIEW;
  const high = onlyCls ? OVERVIEW.row : wide;
  const { ink, paper, font } = pageStyle();
  const layers = canvases.length / heads;
  const [left, top] = [margin + label, margin + PICTURE.small * 1.6 + label];
  const width = left + heads * (wide + gap) + margin;
  const height = top + layers * (high + gap) + margin;
  const svg = svgElement("svg", { width, height, viewBox: `0 0 ${width} ${height}` });
  const write = (x, y, content, attributes = {}) =>
    svg.append(
      svgElement("text", { x, y, fill: ink, "font-family": font, "font-size": letters, ...attributes }, content),
    );
  svg.append(svgElement("rect", { width, height, fill: paper }));
  write(margin, margin + PICTURE.small, note, { "font-size": PICTURE.small, "font-weight": 600 });
  for (let head = 0; head < heads; head++)
    write(left + head * (wide + gap) + wide / 2, top - 6, head, { "text-anchor": "middle" });
  for (let layer = 0; layer < layers; layer++)
    write(left - 8, top + layer * (high + gap) + high / 2 + letters * 0.35, layer, { "text-anchor": "end" });
  canvases.forEach((canvas, at) => {
    const [x, y] = [left + (at % heads) * (wide + gap), top + Math.floor(at / heads) * (high + gap)];
    const box = { x, y, width: wide, height: high, preserveAspectRatio: "none", "image-rendering": "pixelated" };
    svg.append(svgElement("image", { ...box, href: canvas.toDataURL() }));
  });
  return svg;
}

/**
 * Opens the head view in the page. `choose(layer, head)` is called when the reader selects a head; `noteOf(layer, head)`
 * names it.
 */
function openHeads(source, vocabulary, noteOf, choose) {
  const part = (id) => document.getElementById(id);
  const [small, matrix, readout] = ["all-heads", "matrix", "cell"].map(part);
  /** Identifies the small pictures that are drawn; they are redrawn only when it changes. */
  let drawn = null;
  let buttons = [];
  let picture = null;
  let cell = null;
  let frame = null;
  let shown = null;

  const place = (layer, head) => layer * source.heads + head;

  const drawAll = () => {
    const { text, onlyCls } = shown;
    const palette = finePalette();
    const heads = [...Array(source.heads).keys()];
    const label = (content) => element("span", { "aria-hidden": "true" }, content);
    small.style.gridTemplateColumns = `auto repeat(${source.heads}, minmax(0, 1fr))`;
    small.classList.toggle("only-cls", onlyCls);
    buttons = [];
    const cells = [label(""), ...heads.map((head) => label(`${head}`))];
    for (let layer = 0; layer < source.layers; layer++) {
      cells.push(label(`${layer}`));
      for (const head of heads) {
        const name = say("heads.one", { layer, head });
        const canvas = element("canvas", {});
        paint(canvas, rowsOf(text, source, layer, head, onlyCls), palette);
        const button = element("button", { type: "button", role: "radio", "aria-label": name, title: name }, canvas);
        button.addEventListener("click", () => choose(layer, head));
        buttons.push(button);
        cells.push(button);
      }
    }
    small.replaceChildren(...cells);
  };

  const mark = () => {
    const { layer, head } = shown;
    const chosen = head === null ? -1 : place(layer ?? source.layers - 1, head);
    buttons.forEach((button, at) => {
      button.setAttribute("aria-checked", at === chosen);
      button.tabIndex = at === Math.max(0, chosen) ? 0 : -1;
    });
  };

  const labels = () => shown.text.tokens.map((token) => vocabulary[token]);
  const matrixNow = () => {
    const { text, layer, head } = shown;
    const rows = rowsOf(text, source, layer, head, false);
    return { rows, ...matrixPicture(labels(), rows, noteOf(layer, head)) };
  };

  const point = (wanted) => {
    if (!picture || `${wanted}` === `${cell}`) return;
    cell = wanted;
    frame?.remove();
    if (cell === null) {
      readout.textContent = say("matrix.hover");
      return;
    }
    frame = picture.frame(cell);
    picture.svg.append(frame);
    const [from, to] = cell;
    const token = (at) => `${at} ${FIRST_STRONG}${labels()[at]}${POP}`;
    const weight = picture.rows[from][to].toFixed(4);
    readout.textContent = say("matrix.cell", { from: token(from), to: token(to), weight });
  };

  const drawMatrix = () => {
    picture = matrixNow();
    picture.svg.setAttribute("aria-hidden", "true");
    matrix.replaceChildren(picture.svg);
    matrix.setAttribute("aria-label", say("matrix.label", { note: noteOf(shown.layer, shown.head) }));
    const wanted = cell;
    cell = undefined;
    point(wanted && Math.max(...wanted) < shown.text.tokens.length ? wanted : null);
  };

  matrix.addEventListener("pointermove", (event) => {
    const corner = picture.svg.getBoundingClientRect();
    point(picture.cellAt(event.clientX - corner.x, event.clientY - corner.y));
  });
  const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
  matrix.addEventListener("keydown", (event) => {
    if (!(event.key in steps)) return;
    event.preventDefault();
    const last = shown.text.tokens.length - 1;
    const [from, to] = cell ?? [0, -1];
    const within = (at) => Math.max(0, Math.min(last, at));
    point(cell === null ? [0, 0] : [within(from + steps[event.key][0]), within(to + steps[event.key][1])]);
    frame.scrollIntoView({ block: "nearest", inline: "nearest" });
  });
  small.addEventListener("keydown", (event) => {
    if (!(event.key in steps)) return;
    event.preventDefault();
    const at = Math.max(0, buttons.indexOf(document.activeElement));
    const within = (number, count) => Math.max(0, Math.min(count - 1, number));
    const layer = within(Math.floor(at / source.heads) + steps[event.key][0], source.layers);
    const head = within((at % source.heads) + steps[event.key][1], source.heads);
    choose(layer, head);
    buttons[place(layer, head)].focus();
  });

  return {
    /** Shows a text, head and mode; `fresh` redraws everything. */
    show(wanted, fresh) {
      shown = wanted;
      const small = [shown.text.at, shown.onlyCls, language].join();
      if (fresh || small !== drawn) drawAll();
      drawn = small;
      mark();
      drawMatrix();
    },
    /** The selected head's matrix as a file. */
    matrix: () => alone(matrixNow().svg, written(shown.text)),
    /** All heads as a file. */
    overview() {
      const canvases = buttons.map((button) => button.firstChild);
      const note = say(shown.onlyCls ? "heads.saved_cls" : "heads.saved");
      return alone(overviewPicture(canvases, source.heads, note, shown.onlyCls), written(shown.text));
    },
  };
}
