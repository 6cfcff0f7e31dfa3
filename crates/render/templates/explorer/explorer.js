// The explorer: controls, list and open text follow one view, and the view follows them and the page's address.

/** How long a view must last before it is written into the address: browsers refuse when that happens too often. */
const SETTLED_MS = 200;

function openExplorer() {
  strings = embedded("strings");
  const data = openData(embedded("explorer-data"));
  const part = (id) => document.getElementById(id);
  const [root, form, box, detail, help] = ["explorer", "view", "list", "detail", "help"].map(part);
  const run = root.dataset.run;
  const control = (name) => form.elements.namedItem(name);
  let view = { ...VIEW };
  let chosenLanguage = null;
  let listed = [];
  let open = null;
  let unknown = [];

  const usualSource = data.sources[0]?.name ?? "";
  const source = () => data.sources.find((source) => source.name === (view.source || usualSource));
  const units = () => view.units || data.units;
  const layoutOf = (text) =>
    layOut(text, data.vocabulary, source()?.weightsOf(text, view.head) ?? null, units() === "words");
  const list = openList(
    box,
    (text) => rowOf(text, layoutOf(text), data.categories),
    (text) => change({ text: text.id }),
  );

  /** Says in words what colours the texts. */
  const note = () => {
    const current = source();
    if (!current) return "";
    const head =
      view.head === null ? say("head.sum", { heads: current.heads }) : say("head.one", { head: view.head });
    return current.heads > 1 ? `${say(`source.${current.name}`)}, ${head}` : say(`source.${current.name}`);
  };

  const options = (select, choices) => {
    select.replaceChildren(...choices.map(([value, text]) => element("option", { value }, text)));
  };

  /** Puts the controls in the state of the view; their words depend on the language. */
  const showControls = () => {
    const categories = data.categories.map((name) => [name, name]);
    options(control("true"), [["", say("filter.any")], ...categories]);
    options(control("predicted"), [["", say("filter.any")], ...categories]);
    options(
      control("outcome"),
      ["", "right", "wrong"].map((value) => [value, say(`outcome.${value || "any"}`)]),
    );
    options(
      control("order"),
      Object.keys(ORDERS).map((value) => [value, say(`order.${value}`)]),
    );
    options(
      control("source"),
      data.sources.map((source) => [source.name, say(`source.${source.name}`)]),
    );
    const heads = source()?.heads ?? 0;
    const single = heads > 1 ? [...Array(heads).keys()] : [];
    options(control("head"), [
      ["", say("head.sum", { heads })],
      ...single.map((head) => [head, say("head.one", { head })]),
    ]);
    for (const name of ["true", "predicted", "outcome", "low", "high", "search", "order"]) {
      if (document.activeElement !== control(name)) control(name).value = view[name];
    }
    control("source").value = view.source || usualSource;
    control("head").value = view.head ?? "";
    control("pieces").checked = units() === "tokens";
    for (const name of ["source", "head", "pieces"]) control(name).disabled = data.sources.length === 0;
    for (const cell of document.querySelectorAll("#confusion button")) {
      const { true: label, predicted } = cell.dataset;
      cell.setAttribute("aria-pressed", view.true === label && view.predicted === predicted);
    }
  };

  const showDetail = () => {
    const place = listed.indexOf(open);
    const parts = open
      ? detailOf(open, layoutOf(open), data, place + 1, listed.length)
      : [element("p", {}, say("list.none"))];
    detail.replaceChildren(...parts);
    for (const id of ["save-svg", "save-png"]) part(id).disabled = open === null;
  };

  const show = () => {
    listed = selectTexts(view, data);
    open = listed.find((text) => text.id === view.text) ?? listed[0] ?? null;
    showControls();
    list.show(listed, open);
    showDetail();
    const [count, all] = [listed.length, data.texts.length].map((number) => number.toLocaleString("en"));
    const lacking = unknown.length > 0 ? ` ${say("link.unknown", { words: unknown.join(", ") })}` : "";
    part("count").textContent = say("list.count", { count, all }) + lacking;
    part("save-csv").disabled = listed.length === 0;
  };

  let settled = 0;
  const writeAddress = () => {
    const shown = { ...view, text: open === listed[0] ? "" : (open?.id ?? "") };
    const fragment = fragmentOf(shown, chosenLanguage);
    if (fragment !== location.hash && (fragment !== "" || location.hash.startsWith(VIEW_MARK))) {
      history.replaceState(null, "", fragment || location.pathname + location.search);
    }
  };
  const change = (changes) => {
    view = { ...view, ...changes };
    unknown = [];
    show();
    clearTimeout(settled);
    settled = setTimeout(writeAddress, SETTLED_MS);
  };

  const readAddress = () => {
    const asked = viewOf(location.hash, data);
    ({ view, unknown } = asked);
    chosenLanguage = asked.language;
    speak(asked.language ?? usualLanguage(), root);
    show();
    if (location.hash.startsWith(VIEW_MARK)) part("attention").scrollIntoView();
  };

  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", () => {
    const share = (name, usual) =>
      control(name).validity.valid && control(name).value !== "" ? Number(control(name).value) : usual;
    const named = control("source").value;
    const head = control("head").value;
    const wanted = control("pieces").checked ? "tokens" : "words";
    change({
      ...Object.fromEntries(
        ["true", "predicted", "outcome", "search", "order"].map((name) => [name, control(name).value]),
      ),
      low: share("low", VIEW.low),
      high: share("high", VIEW.high),
      source: named === usualSource ? "" : named,
      // Another source has other heads.
      head: head === "" || named !== (view.source || usualSource) ? null : Number(head),
      units: wanted === data.units ? "" : wanted,
    });
  });
  part("clear").addEventListener("click", () => {
    const { source, head, units } = view;
    change({ ...VIEW, source, head, units });
  });
  part("save-csv").addEventListener("click", () => save(`${run}.csv`, "text/csv", csvOf(listed, data.categories)));
  const picture = () => pictureOf(open, layoutOf(open), data.categories, note());
  part("save-svg").addEventListener("click", () => save(`${open.id}.svg`, "image/svg+xml", picture()));
  part("save-png").addEventListener("click", async () => {
    const name = `${open.id}.png`;
    save(name, "image/png", await pngOf(picture()));
  });
  part("show-help").addEventListener("click", () => help.showModal());
  part("close-help").addEventListener("click", () => help.close());
  for (const button of document.querySelectorAll("[data-language]")) {
    button.addEventListener("click", () => {
      chosenLanguage = button.dataset.language;
      speak(chosenLanguage, root);
      change({});
    });
  }

  // A cell of the confusion matrix shows its texts.
  for (const cell of document.querySelectorAll("#confusion td[data-true]")) {
    const { true: label, predicted } = cell.dataset;
    const button = element("button", { type: "button", "data-true": label, "data-predicted": predicted });
    button.append(...cell.childNodes);
    cell.append(button);
    button.addEventListener("click", () => {
      change({ ...VIEW, true: label, predicted, source: view.source, head: view.head, units: view.units });
      part("attention").scrollIntoView();
      box.focus({ preventScroll: true });
    });
  }

  const move = (step) => {
    const text = list.beside(step);
    if (text) change({ text: text.id });
  };
  box.addEventListener("keydown", (event) => {
    const steps = {
      ArrowDown: 1,
      ArrowUp: -1,
      PageDown: list.page(),
      PageUp: -list.page(),
      Home: -listed.length,
      End: listed.length,
    };
    if (!(event.key in steps)) return;
    event.preventDefault();
    move(steps[event.key]);
  });
  document.addEventListener("keydown", (event) => {
    const writes = event.target.closest?.("input:not([type=checkbox]), select, textarea");
    if (event.key === "Escape" && writes) writes.blur();
    if (writes || help.open || event.ctrlKey || event.metaKey || event.altKey) return;
    const keys = {
      j: () => move(1),
      k: () => move(-1),
      "/": () => control("search").focus(),
      "?": () => help.showModal(),
    };
    if (!(event.key in keys)) return;
    event.preventDefault();
    keys[event.key]();
  });

  for (const scripted of document.querySelectorAll("[data-scripted]")) scripted.hidden = false;
  readAddress();
  addEventListener("hashchange", readAddress);
}

openExplorer();
