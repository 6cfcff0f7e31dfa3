// The page's strings in the reader's language.

let strings = {};
let language = "en";

/** The JSON of the data block `id`. The page's policy allows it because it is not executed. */
const embedded = (id) => JSON.parse(document.getElementById(id).textContent);

/** The string `key`, with `{name}` replaced by `values.name`. */
function say(key, values = {}) {
  return strings[key][language].replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

/**
 * Switches the page to the language `wanted`. The page has its strings in both languages, and the style sheet shows those
 * of the document's language. Charts have a text alternative in each language. Elements made by the script get their
 * strings here; `root` contains those that are made later.
 */
function speak(wanted, root) {
  document.documentElement.lang = wanted;
  for (const { id } of document.querySelectorAll("svg.chart"))
    document.getElementById(id).setAttribute("aria-labelledby", `${id}-title-${wanted} ${id}-desc-${wanted}`);
  language = wanted;
  root.lang = wanted;
  for (const element of document.querySelectorAll("[data-string]")) {
    element.textContent = say(element.dataset.string);
    element.lang = wanted;
  }
  for (const element of document.querySelectorAll("[data-label]"))
    element.setAttribute("aria-label", say(element.dataset.label));
}

/** Japanese if the reader's browser uses it, otherwise English. */
const usualLanguage = () => (navigator.language.toLowerCase().startsWith("ja") ? "ja" : "en");
