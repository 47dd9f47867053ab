// The list of conversations, and what is left of the credits.

import { call } from "./api.js";
import { element } from "./view.js";

const $ = (id) => document.getElementById(id);

/** Show the user's conversations, or with `next` add the page after them. */
export async function showList(next) {
  const page = await call("GET", next ?? "conversations/?page_size=30");
  const items = page.results.map(({ id, title }) => {
    const link = element("a", { href: `#${id}`, dir: "auto" }, title || "Without a title");
    if (`#${id}` === location.hash) link.ariaCurrent = "true";
    return element("li", {}, link);
  });
  if (next) $("conversations").append(...items);
  else $("conversations").replaceChildren(...items);
  $("older").hidden = !page.next;
  $("older").onclick = () => showList(page.next);
}

/** Show the workspace's balance to who may see it, and to others what they have used. */
export async function showCredits() {
  const { remaining, used_this_month: used } = await call("GET", "credits/");
  $("credits").textContent = remaining ? `${remaining} credits left` : `${used} credits this month`;
}

/** On a phone, show or hide the list of conversations. */
export function toggleList(isShown) {
  document.body.classList.toggle("listing", isShown);
  $("menu").ariaExpanded = isShown;
}
