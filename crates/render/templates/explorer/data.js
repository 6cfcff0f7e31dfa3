// The page's texts and weights, and how a text is cut and coloured.

function bytesOf(base64) {
  const binary = atob(base64);
  const bytes = new Uint8Array(binary.length);
  for (let at = 0; at < bytes.length; at++) bytes[at] = binary.charCodeAt(at);
  return bytes;
}

/**
 * Opens texts, categories and sources of weights. Of many categories each text has the probabilities of some, `kept`.
 *
 * Arrays are little-endian, like all processors that run browsers today.
 */
function openData(data) {
  const probabilities = new Float32Array(bytesOf(data.probabilities).buffer);
  const kept = data.kept === undefined ? null : new Uint16Array(bytesOf(data.kept).buffer);
  const count = probabilities.length / data.texts.length;
  const texts = data.texts.map((text, at) => {
    const range = [at * count, (at + 1) * count];
    const categories = kept?.subarray(...range) ?? null;
    const own = probabilities.subarray(...range);
    /** The probability of `category`, which must be the label, the prediction or another kept one. */
    const probabilityOf = (category) => own[categories ? categories.indexOf(category) : category];
    return {
      ...text,
      at,
      probabilities: own,
      /** The category of each probability; null if they are those of all categories. */
      kept: categories,
      probabilityOf,
      correct: text.label === text.predicted,
      /** Whether the baseline's answer is correct; null without a baseline. */
      baselineCorrect: text.baseline ? text.baseline[0] === text.label : null,
      confidence: probabilityOf(text.predicted),
      /** Cross-entropy in nats. */
      loss: -Math.log(probabilityOf(text.label)),
    };
  });
  const sources = data.sources.map((row) => openSource(row, texts));
  /** The categories by which texts can be filtered: all, or of many those that occur. */
  const offered = (category) => {
    if (kept === null) return data.categories;
    const places = [...new Set(texts.map(category))].sort((a, b) => a - b);
    return places.map((place) => data.categories[place]);
  };
  const filters = { true: offered((text) => text.label), predicted: offered((text) => text.predicted) };
  return { ...data, texts, sources, filters };
}

/** The text as its author wrote it, without the end that the page does not have. */
const written = (text) => text.parts.map(writtenPart).join("");

function writtenPart(part) {
  if (typeof part === "string") return part;
  if (!Array.isArray(part)) return "";
  return part.map((piece) => (typeof piece === "string" ? piece : piece.text)).join("");
}

/** A source of weights. Its numbers are decoded when they are first needed. */
function openSource(row, texts) {
  let numbers = null;
  let starts = null;
  const find = () => {
    starts = new Map();
    let start = 0;
    for (const place of row.texts) {
      starts.set(place, start);
      const tokens = texts[place].tokens.length;
      start += row.layers * row.heads * (row.matrices ? tokens : 1) * tokens;
    }
  };
  const decode = () => {
    const { buffer } = bytesOf(row.weights);
    numbers = row.scale === null ? new Float32Array(buffer) : new Uint16Array(buffer);
  };
  const unit = row.scale === null ? 1 : row.scale / 65535;
  return {
    ...row,
    count: row.texts.length,
    /** Whether there are weights for `text`. */
    has(text) {
      if (starts === null) find();
      return starts.has(text.at);
    },
    /**
     * Weights of the tokens of `text`, which must have weights. `from` is the token that attends (0 is `[CLS]`), `layer`
     * is null for the last layer, and `head` is null for the sum of all heads.
     */
    weightsOf(text, layer, head, from = 0) {
      if (starts === null) find();
      if (numbers === null) decode();
      const count = text.tokens.length;
      const sums = new Float64Array(count);
      const [first, end] = head === null ? [0, row.heads] : [head, head + 1];
      for (let at = first; at < end; at++) {
        const place = (layer ?? row.layers - 1) * row.heads + at;
        const start = starts.get(text.at) + (row.matrices ? place * count + from : place) * count;
        for (let token = 0; token < count; token++) sums[token] += numbers[start + token];
      }
      return sums.map((sum) => sum * unit);
    },
  };
}

/**
 * Lays out a text. `parts` are `{plain}`, `{unread}` or `{word}`, a list of units that are shown together. `special` are
 * the special tokens.
 *
 * A unit is a piece or, with `joined`, all pieces of a word. Its `weight` is the sum of its tokens' weights, `share` is
 * relative to the sum of all tokens' absolute weights, and `strength` is relative to the text's strongest unit. All have
 * the sign of the weight, and are null if `weights` is null.
 */
function layOut(text, vocabulary, weights, joined) {
  const total = weights ? weights.reduce((sum, weight) => sum + Math.abs(weight), 0) : 0;
  const relative = (weight, whole) => (whole > 0 ? weight / whole : 0);
  const isSpecial = new Set(text.special);
  const places = [...text.tokens.keys()].filter((place) => !isSpecial.has(place));
  const spelling = (place) => vocabulary[text.tokens[place]];
  const units = [];
  let next = 0;
  const unitOf = (pieces) => {
    const unit = { shown: "", standsIn: false, tokens: [], weight: weights ? 0 : null, share: null, strength: null };
    for (const piece of pieces) {
      const { text: written, shown, tokens = 1 } = typeof piece === "string" ? { text: piece } : piece;
      unit.shown += shown ?? written;
      unit.standsIn ||= shown !== undefined;
      for (const place of places.slice(next, next + tokens)) {
        unit.tokens.push(spelling(place));
        if (weights) unit.weight += weights[place];
      }
      next += tokens;
    }
    units.push(unit);
    return unit;
  };
  const parts = text.parts.map((part) => {
    if (typeof part === "string") return { plain: part };
    if (!Array.isArray(part)) return part;
    return { word: joined ? [unitOf(part)] : part.map((piece) => unitOf([piece])) };
  });
  if (weights) {
    const strongest = Math.max(0, ...units.map((unit) => Math.abs(unit.weight)));
    for (const unit of units) {
      unit.share = relative(unit.weight, total);
      unit.strength = relative(unit.weight, strongest);
    }
  }
  const special = text.special.map((place) => ({
    token: spelling(place),
    weight: weights ? weights[place] : null,
    share: weights ? relative(weights[place], total) : null,
  }));
  return { parts, units, special };
}
