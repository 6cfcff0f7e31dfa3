// The page to try the model: panels with a text, its categories and its coloured words.

/** A text is sent when the reader has not typed for this long. */
const TYPED_MS = 150;
/** A longer unread end of a text is counted and not shown. */
const LONGEST_UNREAD = 40;

/** The parts and words of an answer, as they are coloured. */
function layoutOf(answer) {
  const characters = [...answer.text];
  const plain = (start, end) => characters.slice(start, end).join("");
  const [parts, units] = [[], []];
  let at = 0;
  for (const [place, word] of answer.words.entries()) {
    const [start, end] = word.characters;
    if (at < start) parts.push({ plain: plain(at, start) });
    const unit = { ...word, place, standsIn: word.shown !== word.text };
    units.push(unit);
    parts.push({ word: [unit] });
    at = end;
  }
  const unread = characters.length - at;
  if (unread > LONGEST_UNREAD) parts.push({ unread });
  else if (unread > 0) parts.push({ plain: plain(at, characters.length) });
  return { parts, units, special: answer.special };
}

/** A change with its sign, unless it rounds to 0. */
const points = (change) => (Math.abs(change) < 0.05 ? "0.0" : signed(change, change.toFixed(1)));

/**
 * The bars of the categories: of all in the model's order, or of the most probable ones of many. `before` are the scores with all
 * words on, or null; a category that was not among the most probable ones has none.
 */
function bars(scores, before, { labels, categories, listed }, label) {
  const heading = (key) => element("th", { scope: "col" }, say(key));
  const caption = say(before ? "page.changed" : "page.categories") + (labels ? "" : say("page.most", { listed, categories }));
  const rows = (labels ?? [...scores.keys()]).map((name) => {
    const bar = element("i", { class: name === label ? "bar true" : "bar" });
    bar.style.inlineSize = percent(scores.get(name));
    const cell = element("td", { class: "bars" }, bar);
    const had = before?.get(name);
    const change = had === undefined ? "" : points(100 * (scores.get(name) - had));
    if (had !== undefined) {
      const old = element("i", { class: "before" });
      old.style.inlineSize = percent(had);
      cell.append(old);
    }
    // Readers who see it know the prediction by the bar.
    const mark = name === label ? element("span", { class: "hidden" }, ` ${say("page.predicted")}`) : null;
    return element(
      "tr",
      { class: name === label ? "best" : null },
      element("th", { scope: "row" }, isolated(name), mark),
      cell,
      element("td", {}, percent(scores.get(name))),
      before ? element("td", {}, change) : null,
    );
  });
  return element(
    "table",
    { class: "probabilities" },
    element("caption", {}, caption),
    element(
      "thead",
      {},
      element(
        "tr",
        {},
        heading("page.category"),
        element("td", {}),
        heading("page.probability"),
        before ? heading("page.change") : null,
      ),
    ),
    element("tbody", {}, ...rows),
  );
}

/** A server that has no room. It may be asked again. */
class Busy extends Error {}

/** Asks the server. Errors have its message. */
async function ask(question, abort) {
  const response = await fetch("/explain", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(question),
    signal: abort,
  });
  const answer = await response.json();
  if (response.status === 503) throw new Busy(answer.error);
  if (!response.ok) throw new Error(say("page.failed", { error: answer.error }));
  return answer;
}

const scoresOf = (answer) => new Map(answer.predictions.map(({ label, score }) => [label, score]));

/** A panel. `options` are the controls' part of a question, and `note` describes the weights of an answer. */
function openPanel(root, known, options, note) {
  const find = (selector) => root.querySelector(selector);
  const [field, status, words, reset] = ["textarea", ".status", ".words", ".reset"].map(find);
  const [barsOf, details] = [".bars-of", ".details"].map(find);
  /** Places of the words that are off. */
  let off = new Set();
  /** The scores with all words on. */
  let before = null;
  let answer = null;
  let abort = null;
  let waiting = 0;
  /** The message instead of an answer's. */
  let message = () => say("page.empty");

  const toggle = (place) => {
    if (!off.delete(place)) off.add(place);
    send();
  };

  const show = () => {
    const focused = words.contains(document.activeElement) ? document.activeElement.dataset.place : null;
    reset.disabled = off.size === 0;
    if (!answer) {
      status.textContent = message();
      for (const part of [words, barsOf, details]) part.replaceChildren();
      return;
    }
    const [scores, layout] = [scoresOf(answer), layoutOf(answer)];
    const { label, tokens, truncated } = answer;
    const read = {
      label: `${FIRST_STRONG}${label}${POP}`,
      probability: percent(scores.get(label)),
      tokens,
      off: off.size,
    };
    const told = say(off.size > 0 ? "page.read_off" : "page.read", read) + (truncated ? say("page.truncated") : "");
    status.textContent = message ? message() : told;
    const line = colouredText(layout, answer, (unit, piece) => {
      piece.setAttribute("role", "button");
      piece.setAttribute("tabindex", "0");
      piece.setAttribute("aria-pressed", unit.off);
      piece.dataset.place = unit.place;
      if (unit.off) piece.classList.add("off");
    });
    words.replaceChildren(line);
    if (focused !== null) words.querySelector(`[data-place="${focused}"]`)?.focus();
    barsOf.replaceChildren(bars(scores, off.size > 0 ? before : null, known, label));
    const isOpen = details.querySelector("details")?.open ?? false;
    const weighed = { ...layout, units: layout.units.filter((unit) => unit.weight !== null) };
    details.replaceChildren(specialTokens(layout, answer), weightTable(weighed, answer, note(answer)));
    details.querySelector("details").open = isOpen;
  };

  const send = async () => {
    clearTimeout(waiting);
    abort?.abort();
    const current = new AbortController();
    abort = current;
    const text = field.value;
    if (text.trim() === "") {
      [answer, before, message] = [null, null, () => say("page.empty")];
      root.classList.remove("stale");
      show();
      return;
    }
    root.classList.add("stale");
    if (!answer) {
      message = () => say("page.working");
      show();
    }
    const question = { inputs: text, truncate: true, top_k: known.listed, ...options() };
    try {
      const found = await ask({ ...question, off: [...off] }, current.signal);
      if (off.size === 0) before = scoresOf(found);
      if (current.signal.aborted) return;
      [answer, message] = [found, null];
      root.classList.remove("stale");
    } catch (error) {
      if (current.signal.aborted) return;
      if (error instanceof Busy) {
        message = () => say("page.busy");
        waiting = setTimeout(send, 1000);
      } else {
        const told = error instanceof TypeError ? say("page.away") : error.message;
        [answer, message] = [null, () => told];
        root.classList.remove("stale");
      }
    }
    show();
  };

  field.addEventListener("input", () => {
    // The words of another text have other places.
    off = new Set();
    before = null;
    clearTimeout(waiting);
    abort?.abort();
    waiting = setTimeout(send, TYPED_MS);
  });
  words.addEventListener("click", (event) => {
    const piece = event.target.closest("[data-place]");
    if (piece) toggle(Number(piece.dataset.place));
  });
  words.addEventListener("keydown", (event) => {
    if (!(event.key === " " || event.key === "Enter") || !event.target.dataset.place) return;
    event.preventDefault();
    toggle(Number(event.target.dataset.place));
  });
  reset.addEventListener("click", () => {
    off = new Set();
    send();
  });
  show();
  return { send, show };
}

function openPage() {
  strings = embedded("strings");
  const known = embedded("known");
  const { layers, heads, masks } = known.midashi;
  const part = (id) => document.getElementById(id);
  const [root, form] = [part("page"), part("controls")];
  const control = (name) => form.elements.namedItem(name);
  const isAttention = () => control("method").value === "attention";
  const layer = () => Number(control("layer").value);
  const head = () => (control("head").value === "" ? null : Number(control("head").value));

  const options = () => ({
    method: control("method").value,
    layer: isAttention() ? layer() : null,
    head: isAttention() ? head() : null,
    switch: control("switch").value,
  });
  const layerName = (at) => say(at === layers - 1 ? "layer.last" : "layer.one", { layer: at });
  const headName = (at) => (at === null ? say("head.sum", { heads }) : say("head.one", { head: at }));
  const methodName = (method) => say(method === "attention" ? "page.attention" : `source.${method}`);
  const note = (answer) => {
    const parts = [methodName(answer.method)];
    if (answer.layer !== null) parts.push(layerName(answer.layer), headName(answer.head));
    const category = `${FIRST_STRONG}${answer.label}${POP}`;
    return parts.join(say("note.comma")) + (answer.signed ? say("note.signed", { category }) : "");
  };
  const panels = ["first", "second"].map((id) => openPanel(part(id), known, options, note));

  /** Fills a control with choices in the current language and keeps its value. */
  const choices = (name, list) => {
    const { value } = control(name);
    control(name).replaceChildren(...list.map(([choice, text]) => element("option", { value: choice }, text)));
    if (list.some(([choice]) => String(choice) === value)) control(name).value = value;
  };
  const count = (number) => [...Array(number).keys()];
  const fill = () => {
    const methods = ["attention", "rollout", "gradient_x_input"];
    if (masks) methods.push("integrated_gradients");
    const [layerBefore] = [control("layer").value];
    choices("method", methods.map((method) => [method, methodName(method)]));
    choices("layer", count(layers).map((at) => [at, layerName(at)]));
    if (layerBefore === "") control("layer").value = layers - 1;
    choices("head", [null, ...count(heads)].map((at) => [at ?? "", headName(at)]));
    choices("switch", (masks ? ["mask", "delete"] : ["delete"]).map((kind) => [kind, say(`page.${kind}`)]));
  };
  const showControls = () => {
    control("layer").parentElement.hidden = !isAttention() || layers < 2;
    control("head").parentElement.hidden = !isAttention() || heads < 2;
    const isUsual = layer() === layers - 1 && head() === null;
    const about = isAttention() ? (isUsual ? "cls_attention" : "all_attention") : control("method").value;
    part("about").textContent = say(`about.${about}`);
    const isSigned = ["gradient_x_input", "integrated_gradients"].includes(control("method").value);
    for (const legend of root.querySelectorAll(".legend"))
      legend.hidden = legend.classList.contains("signed") !== isSigned;
    part("second").hidden = !control("compare").checked;
  };
  const speakAs = (wanted) => {
    speak(wanted, root);
    fill();
    showControls();
    for (const panel of panels) panel.show();
  };

  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", (event) => {
    showControls();
    if (event.target.name !== "compare") for (const panel of panels) panel.send();
  });
  for (const button of document.querySelectorAll("[data-language]"))
    button.addEventListener("click", () => speakAs(button.dataset.language));
  speakAs(usualLanguage());
  // A browser may have kept the texts of a page that was loaded again.
  for (const panel of panels) panel.send();
}

openPage();
