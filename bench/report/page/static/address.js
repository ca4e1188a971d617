// What the reader has chosen is in the address, so that a link opens the same again:
// #<section>&<key>=<value>&..., runs by their folder and samples by their id.
"use strict";

const address = { section: "", values: new URLSearchParams() };
let followers = []; // what shows anew what the address says, each with the element that it is shown in

function readAddress() {
  const [section, ...rest] = location.hash.slice(1).split("&");
  const bare = section.includes("="); // values alone
  address.section = bare ? "" : section;
  address.values = new URLSearchParams((bare ? [section, ...rest] : rest).join("&"));
}

const chosen = (key, otherwise = "") => address.values.get(key) ?? otherwise;
const allChosen = key => address.values.getAll(key);

/** Puts values into the address: a text, a list, or null for what is as the page begins. With a section it is a step
 * that the browser's way back undoes. */
function choose(changes, section = null) {
  for (const [key, value] of Object.entries(changes)) {
    address.values.delete(key);
    for (const one of value === null ? [] : [value].flat()) address.values.append(key, one);
  }
  address.section = section ?? address.section;
  const hash = `#${address.section}${address.values.size ? `&${address.values}` : ""}`;
  if (hash !== location.hash) history[section === null ? "replaceState" : "pushState"](null, "", hash);
}

/** Shows now, and whenever the address changes by other means than `choose`, as long as the element is in the page. */
function follow(element, show) {
  followers.push({ element, show });
  show();
}

/** An element that is drawn anew when what it shows is chosen: `draw(set)` gives its children. */
function panel(draw) {
  const box = el("div"), controls = () => [...box.querySelectorAll("select, button, input")];
  const show = () => {
    const focused = controls().indexOf(document.activeElement);
    box.replaceChildren(...draw(changes => { choose(changes); show(); }));
    if (focused >= 0) controls()[focused]?.focus({ preventScroll: true });
  };
  follow(box, show);
  return box;
}

/** Goes to a section, without losing what is chosen elsewhere. */
function goTo(section) {
  choose({}, section);
  byId(section).scrollIntoView();
}

readAddress();
addEventListener("hashchange", () => {
  readAddress();
  followers = followers.filter(({ element }) => element.isConnected);
  for (const { show } of followers) show();
  byId(address.section)?.scrollIntoView();
});
document.addEventListener("click", event => {
  const link = event.target.closest("nav a[href^='#']");
  if (!link) return;
  event.preventDefault();
  goTo(link.hash.slice(1));
});
