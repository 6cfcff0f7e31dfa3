// A list of any length that contains only the visible rows.

/** Extra rows above and below the visible ones, so that scrolling shows no gaps. */
const SPARE_ROWS = 4;
/** Maximum number of rows in print. */
const PRINTED_ROWS = 200;

/**
 * Fills the scrolling `box` with rows from `makeRow(item)`. The style sheet gives all rows the same height.
 * `choose(item)` is called when the reader clicks a row.
 */
function openList(box, makeRow, choose) {
  const sheet = element("div", { class: "sheet", role: "presentation" });
  box.append(sheet);
  let items = [];
  let chosen = null;
  let height = 0;
  /** The rows in the list, by place. */
  let rows = new Map();
  /** In print the box grows with its rows, which must not add more rows. */
  let printing = false;

  const rowAt = (place) => {
    const row = makeRow(items[place]);
    row.setAttribute("aria-posinset", place + 1);
    row.setAttribute("aria-setsize", items.length);
    row.setAttribute("aria-selected", items[place] === chosen);
    row.style.insetBlockStart = `${place * height}px`;
    row.addEventListener("click", () => choose(items[place]));
    return row;
  };

  /** Measures the height of a row, which depends on the reader's fonts. */
  const measure = () => {
    if (items.length === 0 || printing) return;
    const row = makeRow(items[0]);
    sheet.append(row);
    height = row.getBoundingClientRect().height;
    row.remove();
  };

  const draw = () => {
    if (printing) return;
    sheet.style.blockSize = `${items.length * height}px`;
    const first = Math.max(0, Math.floor(box.scrollTop / height) - SPARE_ROWS);
    const end = Math.min(items.length, Math.ceil((box.scrollTop + box.clientHeight) / height) + SPARE_ROWS);
    const kept = new Map();
    for (let place = first; place < end; place++) kept.set(place, rows.get(place) ?? rowAt(place));
    rows = kept;
    const wanted = [...kept.values()];
    if (wanted.length !== sheet.children.length || wanted.some((row, at) => row !== sheet.children[at]))
      sheet.replaceChildren(...wanted);
    const open = rows.get(items.indexOf(chosen));
    if (open) box.setAttribute("aria-activedescendant", open.id);
    else box.removeAttribute("aria-activedescendant");
  };

  const redraw = () => {
    rows = new Map();
    measure();
    draw();
  };

  const reveal = () => {
    const place = items.indexOf(chosen);
    if (place < 0) return;
    const [top, bottom] = [place * height, (place + 1) * height];
    if (top < box.scrollTop) box.scrollTop = top;
    else if (bottom > box.scrollTop + box.clientHeight) box.scrollTop = bottom - box.clientHeight;
  };

  box.addEventListener("scroll", () => requestAnimationFrame(draw));
  new ResizeObserver(redraw).observe(box);
  addEventListener("beforeprint", () => {
    printing = true;
    sheet.replaceChildren(...items.slice(0, PRINTED_ROWS).map((_, place) => rowAt(place)));
  });
  addEventListener("afterprint", () => {
    printing = false;
    redraw();
  });

  return {
    /** Shows other items and selects `open`. */
    show(newItems, open) {
      if (newItems.length !== items.length || newItems.some((item, at) => item !== items[at])) box.scrollTop = 0;
      items = newItems;
      chosen = open;
      redraw();
      reveal();
      draw();
    },
    /** The item `step` places from the selected one, or the first or last item. */
    beside: (step) => items[Math.min(items.length - 1, Math.max(0, items.indexOf(chosen) + step))],
    /** The number of rows that fit. */
    page: () => Math.max(1, Math.floor(box.clientHeight / (height || 1)) - 1),
  };
}
