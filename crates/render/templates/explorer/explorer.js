// The explorer. Controls, list and open text show one view; the controls and the page's address change it.

/** A view is written into the address when it has not changed for this long: browsers limit the rate. */
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

  // The first source is of the most faithful method or, if none is better than chance, the article's attention.
  const usualSource = data.sources[0]?.name ?? "";
  const source = () => data.sources.find((source) => source.name === (view.source || usualSource));
  /** The sources of the methods that the report trusts, the best first. */
  const trusted = data.sources.filter((source) => rankOf(source) !== null);
  /**
   * The source that colours `text`: the chosen one. The best method may be computed for a sample only; the other texts
   * then have the next best of the methods that they have.
   */
  const sourceOf = (text) => {
    const chosen = source();
    if (!chosen || chosen.has(text) || chosen !== trusted[0]) return chosen;
    return trusted.find((source) => source.has(text)) ?? chosen;
  };
  /** Layer and head are of the chosen source. */
  const placeOf = (text) => (sourceOf(text) === source() ? [view.layer, view.head] : [null, null]);
  /** A link leaves out the default source. */
  const sourceInView = (source) => (source.name === usualSource ? "" : source.name);
  const units = () => view.units || data.units;
  const layoutOf = (text) => {
    const shown = sourceOf(text);
    const weights = shown?.has(text) ? shown.weightsOf(text, ...placeOf(text)) : null;
    return layOut(text, data.vocabulary, weights, units() === "words");
  };
  const list = openList(
    box,
    (text) => rowOf(text, layoutOf(text), sourceOf(text), data.categories, sourceOf(text) !== source()),
    (text) => change({ text: text.id }),
  );

  const layerName = (layer, layers) => say(layer === layers - 1 ? "layer.last" : "layer.one", { layer });
  const headName = (head, heads) => (head === null ? say("head.sum", { heads }) : say("head.one", { head }));
  /** Describes the weights that colour `text`. */
  const note = (text) => {
    const current = sourceOf(text);
    if (!current) return "";
    const { name, layers, heads, signed } = current;
    const [layer, head] = placeOf(text);
    const parts = [say(`source.${name}`)];
    if (layers > 1) parts.push(layerName(layer ?? layers - 1, layers));
    if (heads > 1) parts.push(headName(head, heads));
    const category = `${FIRST_STRONG}${data.categories[text.predicted]}${POP}`;
    return parts.join(say("note.comma")) + (signed ? say("note.signed", { category }) : "");
  };

  const whole = data.sources.find((source) => source.matrices);
  const heads =
    whole &&
    openHeads(
      whole,
      data.vocabulary,
      (layer, head) =>
        [layerName(layer ?? whole.layers - 1, whole.layers), headName(head, whole.heads)].join(say("note.comma")),
      (layer, head) => change({ source: sourceInView(whole), layer, head }),
    );

  const options = (select, choices) => {
    select.replaceChildren(...choices.map(([value, text]) => element("option", { value }, text)));
  };

  /** The methods as radio buttons, in the current language; the best is marked. */
  const showMethods = () => {
    const box = part("sources");
    if (box.dataset.language !== language) {
      box.dataset.language = language;
      const chips = data.sources.map((source) => {
        const best = source === trusted[0] ? element("b", { class: "best" }, say("trust.best_here")) : null;
        const radio = element("input", { type: "radio", name: "source", value: source.name });
        return element("label", { class: "chip" }, radio, element("span", {}, say(`short.${source.name}`)), best);
      });
      box.replaceChildren(...chips);
    }
    for (const radio of box.querySelectorAll("input")) radio.checked = radio.value === (view.source || usualSource);
    box.closest("fieldset").hidden = data.sources.length === 0;
  };

  /** Sets the controls to the view, in the current language. */
  const showControls = () => {
    for (const name of ["true", "predicted"]) {
      const select = control(name);
      // There may be thousands, so they are not made anew at every change.
      if (select.dataset.spoken === language) continue;
      select.dataset.spoken = language;
      options(select, [["", say("filter.any")], ...data.filters[name].map((category) => [category, category])]);
    }
    options(
      control("outcome"),
      outcomesOf(data).map((value) => [value, say(`outcome.${value || "any"}`)]),
    );
    options(
      control("order"),
      Object.keys(ORDERS).map((value) => [value, say(`order.${value}`)]),
    );
    showMethods();
    const { layers = 0, heads = 0 } = source() ?? {};
    const numbers = (count) => [...Array(count).keys()];
    options(
      control("layer"),
      numbers(layers).map((layer) => [layer, layerName(layer, layers)]),
    );
    options(
      control("head"),
      [null, ...numbers(heads)].map((head) => [head ?? "", headName(head, heads)]),
    );
    for (const name of ["true", "predicted", "outcome", "low", "high", "search", "order"]) {
      if (document.activeElement !== control(name)) control(name).value = view[name];
    }
    control("layer").value = view.layer ?? layers - 1;
    control("layer").parentElement.hidden = layers < 2;
    control("head").value = view.head ?? "";
    control("head").parentElement.hidden = heads < 2;
    control("pieces").checked = units() === "tokens";
    control("weighted").checked = view.weighted !== "";
    control("weighted").disabled = data.sources.length === 0;
    const coloured = open ? sourceOf(open) : source();
    for (const legend of root.querySelectorAll(".legend"))
      legend.hidden = !coloured || legend.classList.contains("signed") !== coloured.signed;
    part("view").querySelector(".within").hidden = layers < 2 && heads < 2;
    const active = activeFilters(view);
    part("active-filters").textContent = active > 0 ? say("filter.active", { count: active }) : "";
    for (const cell of document.querySelectorAll("#confusion button")) {
      const { true: label, predicted } = cell.dataset;
      cell.setAttribute("aria-pressed", view.true === label && view.predicted === predicted);
    }
  };

  /** Says in one line how far the chosen colours can be trusted. */
  const showTrust = () => {
    const line = part("trust");
    const current = source();
    line.hidden = !current;
    if (!current) return;
    const { text, kind } = trustIn(current, view, trusted[0] ?? null, data.chance);
    line.className = `trust ${kind}`;
    const how = element("a", { href: "#faithfulness" }, say("trust.how"));
    line.replaceChildren(text, ...(data.chance ? [say("note.space"), how] : []));
  };

  /** Describes the weights and how many texts have them. */
  const showSource = () => {
    const current = source();
    const number = (count) => count.toLocaleString("en");
    const all = number(data.texts.length);
    const computed = current && current.count + current.left_out;
    // The best method's texts without weights show another source.
    const next = current === trusted[0] && trusted.find((source) => source.count > current.count);
    const said = current
      ? [
          say(`about.${current.name}`, { head: current.measured?.head }),
          computed < data.texts.length &&
            say(next ? "source.fallback" : "source.count", {
              count: number(computed),
              all,
              setting: current.setting,
              next: next && say(`source.${next.name}`),
            }),
          current.left_out > 0 && say("source.left_out", { count: number(current.count), all: number(computed) }),
        ]
      : [say("detail.sourceless")];
    part("about-source").textContent = said.filter(Boolean).join(say("note.space"));
  };

  /** The pictures of all heads are drawn last, because they take the longest. */
  let drawing = 0;
  const showHeads = (fresh) => {
    const there = Boolean(open && whole?.has(open));
    part("heads").hidden = !there;
    part("no-heads").hidden = there;
    part("list-heads").hidden = !whole;
    part("heads-kept").textContent = whole ? say("heads.kept", { count: whole.count }) : say("heads.none");
    part("only-cls").checked = view.rows === "cls";
    clearTimeout(drawing);
    const wanted = { text: open, layer: view.layer, head: view.head, onlyCls: view.rows === "cls" };
    if (there) drawing = setTimeout(() => heads.show(wanted, fresh));
  };

  const commandFor = (text) =>
    `${data.command}${explainOptions(sourceOf(text), ...placeOf(text))} -- ${shellQuoted(written(text))}`;

  const showDetail = () => {
    const place = listed.indexOf(open);
    const parts = open
      ? detailOf(open, layoutOf(open), sourceOf(open), note(open), data, place + 1, listed.length, {
          instead: sourceOf(open) === source() ? null : source(),
          rank: rankOf(sourceOf(open)) + 1,
          command: commandFor(open),
        })
      : [element("p", {}, say("list.none"))];
    detail.replaceChildren(...parts);
    for (const id of ["save-svg", "save-png"]) part(id).disabled = open === null;
    part("save-weights").disabled = !open || !sourceOf(open)?.has(open);
  };

  const show = (fresh = false) => {
    listed = selectTexts(view, data, source());
    open = listed.find((text) => text.id === view.text) ?? listed[0] ?? null;
    showControls();
    list.show(listed, open);
    showDetail();
    showTrust();
    showSource();
    showHeads(fresh);
    const [count, all] = [listed.length, data.texts.length].map((number) => number.toLocaleString("en"));
    const lacking =
      unknown.length > 0 ? ` ${say("link.unknown", { words: unknown.join(say("list.comma")) })}` : "";
    part("count").textContent = say("list.count", { count, all }) + lacking;
    part("save-csv").disabled = listed.length === 0;
  };

  let settled = 0;
  /** The last fragment that was read or written. */
  let address = location.hash;
  const writeAddress = () => {
    // The reader followed a link in the meantime; it is read next.
    if (location.hash !== address) return;
    const shown = { ...view, text: open === listed[0] ? "" : (open?.id ?? "") };
    const fragment = fragmentOf(shown, chosenLanguage);
    if (fragment !== location.hash && (fragment !== "" || location.hash.startsWith(VIEW_MARK))) {
      history.replaceState(null, "", fragment || location.pathname + location.search);
      address = location.hash;
    }
  };
  const change = (changes) => {
    view = { ...view, ...changes };
    unknown = [];
    show();
    clearTimeout(settled);
    settled = setTimeout(writeAddress, SETTLED_MS);
  };

  const speakTo = (wanted) => {
    speak(wanted, root);
    labelCells();
  };
  const readAddress = () => {
    const asked = viewOf(location.hash, data);
    ({ view, unknown } = asked);
    chosenLanguage = asked.language ?? chosenLanguage;
    speakTo(chosenLanguage ?? usualLanguage());
    show();
    if (location.hash.startsWith(VIEW_MARK)) part("texts").scrollIntoView();
  };

  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", () => {
    const share = (name, usual) =>
      control(name).validity.valid && control(name).value !== "" ? Number(control(name).value) : usual;
    const [layer, head] = ["layer", "head"].map((name) => control(name).value);
    const named = form.querySelector("input[name=source]:checked")?.value ?? usualSource;
    // Sources differ in their layers and heads.
    const same = named === (view.source || usualSource);
    const wanted = control("pieces").checked ? "tokens" : "words";
    change({
      ...Object.fromEntries(
        ["true", "predicted", "outcome", "search", "order"].map((name) => [name, control(name).value]),
      ),
      low: share("low", VIEW.low),
      high: share("high", VIEW.high),
      weighted: control("weighted").checked ? "yes" : "",
      source: named === usualSource ? "" : named,
      layer: same && layer !== "" && Number(layer) !== source().layers - 1 ? Number(layer) : null,
      head: same && head !== "" ? Number(head) : null,
      units: wanted === data.units ? "" : wanted,
    });
  });
  /** The view without filters, in the order of the corpus, with the same colours. */
  const unfiltered = () => {
    const { source, layer, head, units, rows } = view;
    return { ...VIEW, source, layer, head, units, rows };
  };
  part("clear").addEventListener("click", () => change(unfiltered()));
  part("only-cls").addEventListener("change", (event) => change({ rows: event.target.checked ? "cls" : "" }));
  part("list-heads").addEventListener("click", () => {
    change({ ...VIEW, units: view.units, rows: view.rows, source: sourceInView(whole), weighted: "yes" });
    part("heads").scrollIntoView({ block: "nearest" });
  });
  part("save-csv").addEventListener("click", () => save(`${run}.csv`, "text/csv", textsCsv(listed, data.categories)));
  part("save-weights").addEventListener("click", () => save(`${open.id}.csv`, "text/csv", weightsCsv(layoutOf(open))));
  part("save-heads").addEventListener("click", () => save(`${open.id}-heads.svg`, "image/svg+xml", heads.overview()));
  part("save-matrix").addEventListener("click", () => save(`${open.id}-matrix.svg`, "image/svg+xml", heads.matrix()));
  const picture = () => pictureOf(open, layoutOf(open), sourceOf(open), data.categories, note(open));
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
      speakTo(chosenLanguage);
      change({});
    });
  }

  // A cell of the confusion matrix, or the number of a confused pair, lists its texts.
  for (const cell of document.querySelectorAll("#confusion td[data-true]")) {
    const { true: label, predicted } = cell.dataset;
    const button = element("button", { type: "button", "data-true": label, "data-predicted": predicted });
    button.append(...cell.childNodes);
    cell.append(button);
    button.addEventListener("click", () => {
      change({ ...unfiltered(), true: label, predicted });
      part("texts").scrollIntoView();
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
    const writes = event.target.closest?.("input:not([type=checkbox], [type=radio]), select, textarea");
    if (event.key === "Escape" && writes) writes.blur();
    if (writes || help.open || event.ctrlKey || event.metaKey || event.altKey) return;
    const keys = {
      j: () => move(1),
      k: () => move(-1),
      "/": () => {
        part("filters").open = true;
        control("search").focus();
      },
      "?": () => help.showModal(),
    };
    if (!(event.key in keys)) return;
    event.preventDefault();
    keys[event.key]();
  });

  for (const scripted of document.querySelectorAll("[data-scripted]")) scripted.hidden = false;
  foldOnPhone();
  readAddress();
  followSections();
  openLinked();
  addEventListener("hashchange", () => {
    address = location.hash;
    // A link to a section does not change the view.
    if (location.hash.startsWith(VIEW_MARK)) readAddress();
  });
  // Pictures use the colours of the current style.
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => show(true));
  performance.mark("explorer-ready");
  setTimeout(() => prepareSearch(data.texts, () => performance.mark("explorer-searchable")));
}

openExplorer();
