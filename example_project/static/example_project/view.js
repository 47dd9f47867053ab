// Builds the elements of the page. Text is always set as text: a model's answer is never HTML.

import { explain, path } from "./api.js";

/** Return a new element, such as `element("p", { className: "note" }, "Text", child)`. */
export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

export const button = (text, onclick) => element("button", { type: "button", onclick }, text);

export const message = (kind, ...children) =>
  element("div", { className: `message ${kind}`, dir: "auto" }, ...children);

export function medium({ type, media }) {
  const src = path(`media/${media}/`);
  if (type === "video") return element("video", { src, controls: true });
  return element("img", { src, alt: "The attached image" });
}

/** A call of a function: `state` and `result` if they are known; `decide(verb)` if it waits. */
export function toolCall({ name, args, state = "", result }, decide) {
  const entries = Object.entries(args).map(([key, value]) => `${key}: ${asText(value)}`);
  const made = message("call", element("b", {}, name.replaceAll("_", " ")), "\n", entries.join("\n"));
  if (result !== undefined) made.append(`\n→ ${asText(result)}`);
  else if (state !== "waiting") made.append(state && `\n${state}`);
  else {
    const approve = button("Approve", () => decide("approve"));
    const reject = button("Refuse", () => decide("reject"));
    made.append(element("div", { className: "decision" }, "Allow this? ", approve, " ", reject));
  }
  return made;
}

const asText = (value) => (typeof value === "string" ? value : JSON.stringify(value));

export const cost = (credits) => (credits === null ? "cost not known yet" : `${credits} credits`);

/** A turn of a conversation: what was said, what was answered, and what it cost. The results of
 *  functions are what the `next` turn adds. */
export function turn(shown, next, onFork) {
  const said = shown.messages.filter((one) => one.content).map(({ content }) => {
    const pieces = typeof content === "string" ? [{ type: "text", text: content }] : content;
    return message("mine", ...pieces.map((one) => (one.type === "text" ? one.text : medium(one))));
  });
  const responses = next?.messages.filter((one) => one.function_response) ?? [];
  const calls = shown.response_function_calls.map((call, at) =>
    toolCall({ ...call, result: responses[at]?.function_response.response }),
  );
  const answer = shown.response_text ? [message("answer", shown.response_text)] : [];
  const made = element("article", {}, ...said, ...answer, ...calls);
  const hasEnded = ["done", "failed", "cancelled", "expired"].includes(shown.status);
  if (hasEnded) made.append(note(shown, onFork));
  return made;
}

function note(shown, onFork) {
  const problem = shown.error_code ? `${explain(shown.error_code)} ` : "";
  const made = element("p", { className: "note" }, `${problem}${cost(shown.credits_used)} `);
  if (shown.response_text) made.append(button("Fork from here", () => onFork(shown.number)));
  return made;
}
