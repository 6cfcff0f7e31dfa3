// The texts and weights that the page carries, and how a text is cut and coloured.

/** The JSON of the data block `id`, which no policy forbids, since nothing runs it. */
const embedded = (id) => JSON.parse(document.getElementById(id).textContent);

function bytesOf(base64) {
  const binary = atob(base64);
  const bytes = new Uint8Array(binary.length);
  for (let at = 0; at < bytes.length; at++) bytes[at] = binary.charCodeAt(at);
  return bytes;
}

/**
 * Texts, categories and sources of weights, ready to be asked.
 *
 * Arrays are little-endian, as every processor that runs a browser today.
 */
function openData(data) {
  const count = data.categories.length;
  const probabilities = new Float32Array(bytesOf(data.probabilities).buffer);
  const texts = data.texts.map((text, at) => {
    const own = probabilities.subarray(at * count, (at + 1) * count);
    return {
      ...text,
      at,
      probabilities: own,
      correct: text.label === text.predicted,
      confidence: own[text.predicted],
      /** Cross-entropy in nats. */
      loss: -Math.log(own[text.label]),
      written: text.parts.map(writtenPart).join(""),
    };
  });
  const sources = data.sources.map((row) => openSource(row, texts));
  return { ...data, texts, sources };
}

function writtenPart(part) {
  if (typeof part === "string") return part;
  if (!Array.isArray(part)) return "";
  return part.map((piece) => (typeof piece === "string" ? piece : piece.text)).join("");
}

/** A source of weights; its numbers are decoded when they are first asked for. */
function openSource(row, texts) {
  let weights = null;
  const starts = new Map();
  const decode = () => {
    weights = new Uint16Array(bytesOf(row.weights).buffer);
    let start = 0;
    for (const place of row.texts) {
      starts.set(place, start);
      start += row.heads * texts[place].tokens.length;
    }
  };
  return {
    name: row.name,
    heads: row.heads,
    /** Weights of the tokens of `text` in one head, or summed where `head` is null; null where there are none. */
    weightsOf(text, head) {
      if (weights === null) decode();
      const start = starts.get(text.at);
      if (start === undefined) return null;
      const count = text.tokens.length;
      const sums = new Float64Array(count);
      const [first, end] = head === null ? [0, row.heads] : [head, head + 1];
      for (let at = first; at < end; at++) {
        for (let token = 0; token < count; token++) sums[token] += weights[start + at * count + token];
      }
      return sums.map((sum) => (sum * row.scale) / 65535);
    },
  };
}

/**
 * A text as it is shown: `parts` are `{plain}`, `{unread}` or `{word}`, a list of units that stand together, and
 * `special` the tokens that stand for nothing in the text.
 *
 * A unit is a piece or, with `joined`, all pieces of a word. Its `weight` is the sum of its tokens', `share` that of all
 * the text's weight, `strength` relative to the text's strongest unit; null where `weights` is.
 */
function layOut(text, vocabulary, weights, joined) {
  const total = weights ? weights.reduce((sum, weight) => sum + weight, 0) : 0;
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
    const strongest = Math.max(0, ...units.map((unit) => unit.weight));
    for (const unit of units) {
      unit.share = relative(unit.weight, total);
      unit.strength = relative(unit.weight, strongest);
    }
  }
  const special = text.special.map((place) => ({
    token: spelling(place),
    share: weights ? relative(weights[place], total) : null,
  }));
  return { parts, units, special };
}
