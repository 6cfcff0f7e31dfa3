// The view: filters, order, colours and the open text, as a value that fits in a link.

const VIEW = {
  true: "",
  predicted: "",
  outcome: "",
  low: 0,
  high: 100,
  search: "",
  order: "corpus",
  /** `yes` to list only texts with weights, or empty. */
  weighted: "",
  source: "",
  /** A number, or null for the last layer. */
  layer: null,
  /** A number, or null for the sum of all heads. */
  head: null,
  /** `words` or `tokens`, or empty for the tokenizer's default. */
  units: "",
  /** The small pictures of all heads: `cls` for attention from `[CLS]` only, or empty for all tokens. */
  rows: "",
  /** The id of the open text, or empty for the first in the list. */
  text: "",
};

/** The outcomes by which texts are filtered; empty for all texts. */
const OUTCOMES = {
  right: (text) => text.correct,
  wrong: (text) => !text.correct,
  only_bert: (text) => text.correct && text.baselineCorrect === false,
  only_baseline: (text) => !text.correct && text.baselineCorrect === true,
  doubted: (text) => text.suggested !== undefined,
};

/** The outcomes that a report's texts can have: without a baseline it is not compared with. */
function outcomesOf(data) {
  const has = {
    only_bert: data.texts.some((text) => text.baselineCorrect !== null),
    doubted: data.texts.some(OUTCOMES.doubted),
  };
  has.only_baseline = has.only_bert;
  return ["", ...Object.keys(OUTCOMES).filter((outcome) => has[outcome] ?? true)];
}

/** The number of filters that are not at their defaults; the order is one. */
const activeFilters = (view) =>
  ["true", "predicted", "outcome", "low", "high", "search", "order", "weighted"].filter(
    (name) => view[name] !== VIEW[name],
  ).length;

/** Distinguishes a view in the page's address from a link to a section. */
const VIEW_MARK = "#texts?";

const ORDERS = {
  corpus: (a, b) => a.at - b.at,
  confident: (a, b) => b.confidence - a.confidence,
  unsure: (a, b) => a.confidence - b.confidence,
  loss: (a, b) => b.loss - a.loss,
  fitting: (a, b) => a.loss - b.loss,
};

/** The fragment that restores `view`, and the language if it was chosen. */
function fragmentOf(view, language) {
  const words = new URLSearchParams();
  for (const [name, usual] of Object.entries(VIEW)) {
    if (view[name] !== usual) words.set(name, view[name]);
  }
  if (language) words.set("language", language);
  const text = words.toString();
  return text ? VIEW_MARK + text : "";
}

/** The view in a fragment, and the values that this report does not have. */
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
    true: oneOf(data.filters.true),
    predicted: oneOf(data.filters.predicted),
    outcome: oneOf(outcomesOf(data).slice(1)),
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

/** Text normalised for search: width and case are ignored. */
const comparable = (text) => text.normalize("NFKC").toLowerCase();

/** The texts that match `view`, in its order. `source` has the weights. */
function selectTexts(view, data, source) {
  const label = data.categories.indexOf(view.true);
  const predicted = data.categories.indexOf(view.predicted);
  const wanted = comparable(view.search.trim());
  const found = data.texts.filter(
    (text) =>
      (view.true === "" || text.label === label) &&
      (view.predicted === "" || text.predicted === predicted) &&
      (view.outcome === "" || OUTCOMES[view.outcome](text)) &&
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

/** Number of texts that are prepared for search at a time, which takes a few milliseconds. */
const PREPARED = 200;

/** Prepares all texts for the first search in the background; `done` is called at the end. */
function prepareSearch(texts, done, from = 0) {
  for (const text of texts.slice(from, from + PREPARED)) searched(text);
  if (from + PREPARED < texts.length) setTimeout(() => prepareSearch(texts, done, from + PREPARED));
  else done();
}
