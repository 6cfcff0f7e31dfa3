// What a reader chose to see: filters, order, colours and the open text, as a value that a link can carry.

const VIEW = {
  true: "",
  predicted: "",
  outcome: "",
  low: 0,
  high: 100,
  search: "",
  order: "corpus",
  /** Whether only texts with weights are listed: `yes`, or empty. */
  weighted: "",
  source: "",
  /** A number, or null for the last. */
  layer: null,
  /** A number, or null for the sum over all heads. */
  head: null,
  /** `words` or `tokens`; empty for what suits the tokenizer. */
  units: "",
  /** What the small pictures of all heads show: `cls`, or empty for what all tokens attend to. */
  rows: "",
  /** The id of the open text; empty for the first of the list. */
  text: "",
};

/** Distinguishes a view in the page's address from the name of a section. */
const VIEW_MARK = "#texts?";

const ORDERS = {
  corpus: (a, b) => a.at - b.at,
  confident: (a, b) => b.confidence - a.confidence,
  unsure: (a, b) => a.confidence - b.confidence,
  loss: (a, b) => b.loss - a.loss,
  fitting: (a, b) => a.loss - b.loss,
};

/** The end of an address that restores `view`, and the language where it was chosen. */
function fragmentOf(view, language) {
  const words = new URLSearchParams();
  for (const [name, usual] of Object.entries(VIEW)) {
    if (view[name] !== usual) words.set(name, view[name]);
  }
  if (language) words.set("language", language);
  const text = words.toString();
  return text ? VIEW_MARK + text : "";
}

/** The view that an address asks for, with the parts of it that this report does not have. */
function viewOf(fragment, data) {
  const view = { ...VIEW };
  const unknown = [];
  if (!fragment.startsWith(VIEW_MARK)) return { view, unknown, language: null };
  const words = new URLSearchParams(fragment.slice(VIEW_MARK.length));
  const percent = (word) => (/^\d+(\.\d+)?$/.test(word) && Number(word) <= 100 ? Number(word) : undefined);
  const oneOf = (list) => (word) => (list.includes(word) ? word : undefined);
  const source = data.sources.find((source) => source.name === (words.get("source") ?? data.sources[0]?.name));
  const below = (count) => (word) => (/^\d+$/.test(word) && Number(word) < count ? Number(word) : undefined);
  const readers = {
    true: oneOf(data.categories),
    predicted: oneOf(data.categories),
    outcome: oneOf(["right", "wrong"]),
    low: percent,
    high: percent,
    search: (word) => word,
    order: oneOf(Object.keys(ORDERS)),
    source: oneOf(data.sources.map((source) => source.name)),
    weighted: oneOf(["yes"]),
    layer: below(source?.layers ?? 0),
    head: below(source?.heads ?? 0),
    units: oneOf(["words", "tokens"]),
    rows: oneOf(["cls"]),
    text: oneOf(data.texts.map((text) => text.id)),
    language: oneOf(["en", "ja"]),
  };
  for (const [name, word] of words) {
    const value = readers[name]?.(word);
    if (value === undefined) unknown.push(`${name}=${word}`);
    else view[name] = value;
  }
  const { language = null, ...rest } = view;
  return { view: rest, unknown, language };
}

/** Letters as a search compares them: full width is half width, capitals are small. */
const comparable = (text) => text.normalize("NFKC").toLowerCase();

/** The texts that `view` asks for, in its order; `source` is what colours them. */
function selectTexts(view, data, source) {
  const label = data.categories.indexOf(view.true);
  const predicted = data.categories.indexOf(view.predicted);
  const wanted = comparable(view.search.trim());
  const found = data.texts.filter(
    (text) =>
      (view.true === "" || text.label === label) &&
      (view.predicted === "" || text.predicted === predicted) &&
      (view.outcome === "" || text.correct === (view.outcome === "right")) &&
      100 * text.confidence >= view.low &&
      100 * text.confidence <= view.high &&
      (view.weighted === "" || source?.has(text)) &&
      (wanted === "" || searched(text).includes(wanted)),
  );
  return found.sort((a, b) => ORDERS[view.order](a, b) || a.at - b.at);
}

function searched(text) {
  text.searched ??= comparable(`${written(text)}\n${text.title ?? ""}\n${text.id}`);
  return text.searched;
}

/** Texts that are made ready for a search at a time, a few milliseconds' work. */
const PREPARED = 200;

/** Makes all texts ready for the first search, while the reader does other things; `done` is called at the end. */
function prepareSearch(texts, done, from = 0) {
  for (const text of texts.slice(from, from + PREPARED)) searched(text);
  if (from + PREPARED < texts.length) setTimeout(() => prepareSearch(texts, done, from + PREPARED));
  else done();
}
