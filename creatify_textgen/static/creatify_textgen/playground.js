// The admin's playground: sends the form, and shows each answer while it is written.
// Without this script the form works, too: the site then shows the new generation's page.

const form = /** @type {HTMLFormElement} */ (document.getElementById("textgen-playground"));
const columns = /** @type {HTMLElement} */ (document.getElementById("textgen-columns"));
const template = /** @type {HTMLTemplateElement} */ (document.getElementById("textgen-column"));
const button = /** @type {HTMLInputElement} */ (form.querySelector("[type=submit]"));
const words = form.dataset;
// Not waited for here: a form that is sent before it has loaded must find the handler below.
const loading = import(new URL(words.streamModule, document.baseURI).href);

/** Seconds between the polls of what became of a generation: its cost may arrive later. */
const PAUSES = [0, 1, 2, 4, 8, ...Array(20).fill(15)];
/** What a line may hold without a space: Chromium lays out longer ones very slowly. By code points,
 *  because half of an emoji would be shown as an unknown character. */
const LINE = /[^]{1,500}/gu;
// Control characters, and those that are invisible or change the direction of reading.
const HIDDEN = /(?![\n\r\t\u200c\u200d])[\p{Cc}\p{Cf}\u2028\u2029]/gu;
/** The streams of the last request. @type {Set<{stop(): void}>} */
const running = new Set();

/** Returns the text with hidden characters as `[U+202E]`. @param {string} text */
function visible(text) {
  const name = (/** @type {string} */ found) =>
    `[U+${found.codePointAt(0)?.toString(16).toUpperCase().padStart(4, "0")}]`;
  return text.replace(HIDDEN, name);
}

/** @param {HTMLElement} output @param {string} text */
function write(output, text) {
  const lines = visible(text).match(LINE) ?? [];
  for (const [at, line] of lines.entries()) {
    if (at) output.append(document.createElement("wbr"));
    output.append(line);
  }
}

/** @param {Record<string, string[]>} errors */
function showErrors(errors) {
  for (const list of form.querySelectorAll(".errorlist")) list.remove();
  for (const [name, texts] of Object.entries(errors)) {
    const list = document.createElement("ul");
    list.className = "errorlist";
    for (const text of texts) list.appendChild(document.createElement("li")).append(text);
    const row = form.querySelector(`[data-field="${name}"]`);
    (row ?? form.querySelector('[data-field="__all__"]'))?.prepend(list);
    row?.closest("details")?.setAttribute("open", "");
  }
  form.querySelector(".errorlist")?.scrollIntoView({ block: "center" });
}

/** Shows one answer. @param {Record<string, string>} answer @param {any} GenerationStream */
async function follow(answer, GenerationStream) {
  const part = /** @type {DocumentFragment} */ (template.content.cloneNode(true));
  const find = (/** @type {string} */ name) => /** @type {any} */ (part.querySelector(name));
  const [status, output] = [find("[role=status]"), find(".textgen-text")];
  const [calls, link] = [find(".textgen-json"), find("a")];
  find("h2 bdi").append(answer.model);
  columns.append(part);
  status.textContent = answer.refusal ?? words.waiting;
  if (answer.refusal !== undefined) return status.classList.add("errornote");
  link.href = answer.page;
  link.hidden = !answer.page;
  const stream = new GenerationStream(answer.stream);
  running.add(stream);
  stream.addEventListener("text", (/** @type {CustomEvent} */ event) => {
    status.textContent = words.writing;
    write(output, event.detail);
  });
  stream.addEventListener("reconnect", () => (status.textContent = words.reconnecting));
  await stream.start();
  if (!running.has(stream)) return; // Another request was sent meanwhile.
  for (const seconds of PAUSES) {
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
    if (!running.has(stream)) return;
    const response = await fetch(answer.outcome, { cache: "no-store" }).catch(() => null);
    const outcome = response?.ok ? await response.json() : null;
    if (outcome === null) continue;
    status.textContent = visible(outcome.line);
    if (outcome.is_final && outcome.text !== "") {
      output.replaceChildren();
      write(output, outcome.text);
    }
    if (outcome.calls) {
      calls.hidden = false;
      calls.replaceChildren();
      write(calls, outcome.calls);
    }
    if (outcome.is_settled) return;
  }
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  button.disabled = true;
  for (const stream of running) stream.stop();
  running.clear();
  columns.replaceChildren();
  const note = columns.appendChild(document.createElement("p"));
  note.setAttribute("role", "status");
  note.textContent = words.sending ?? "";
  try {
    const { GenerationStream } = await loading;
    const headers = { Accept: "application/json" };
    const body = new FormData(form);
    const response = await fetch(location.href, { method: "POST", headers, body });
    const answer = await response.json();
    columns.replaceChildren();
    /** @type {HTMLInputElement} */ (form.elements.namedItem("ticket")).value = answer.ticket;
    showErrors(answer.errors);
    for (const one of answer.columns) follow(one, GenerationStream);
    columns.scrollIntoView({ block: "nearest" });
  } catch {
    // The old ticket stays: if the site has received the request, it is not paid for twice.
    note.textContent = words.unreachable ?? "";
  } finally {
    button.disabled = false;
  }
});

function showEstimates() {
  const names = ["model_name", "compare_with"].map(
    (name) => /** @type {HTMLSelectElement} */ (form.elements.namedItem(name)).value,
  );
  for (const line of /** @type {NodeListOf<HTMLElement>} */ (form.querySelectorAll("[data-model]")))
    line.hidden = !names.includes(line.dataset.model ?? "");
}

form.addEventListener("change", showEstimates);
showEstimates();
