// The page's words in the reader's language: strings.json holds each of them in English and Japanese.

let strings = {};
let language = "en";

/** The string `key`, with `{name}` replaced by `values.name`. */
function say(key, values = {}) {
  return strings[key][language].replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

/**
 * Puts the page into `wanted`. What stands in the page is there in both languages, and the style sheet shows that of the
 * whole; a chart has an alternative text in each. What the script has made gets its words here, and `root` is for what
 * is yet to be made.
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

/** The language of the reader's browser, if the page has it. */
const usualLanguage = () => (navigator.language.toLowerCase().startsWith("ja") ? "ja" : "en");
