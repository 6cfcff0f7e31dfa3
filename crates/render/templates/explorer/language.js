// The page's words in the reader's language: strings.json holds each of them in English and Japanese.

let strings = {};
let language = "en";

/** The string `key`, with `{name}` replaced by `values.name`. */
function say(key, values = {}) {
  return strings[key][language].replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

/**
 * Puts what stands in the page into `wanted`. The page's other text is English, so each element says its language, and
 * `root` that of what is yet to be made in it.
 */
function speak(wanted, root) {
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
