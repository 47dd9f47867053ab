// Streams a generation to a page and comes back by itself after a cut, to the very next frame.
//
//   import { GenerationStream } from "./stream.js";
//   const stream = new GenerationStream("/textgen/generations/stream/", { body: { messages } });
//   stream.addEventListener("text", (event) => output.append(event.detail));
//   const end = await stream.start();

/**
 * @typedef {Object} Options
 * @property {Object} [body] What to generate. Without it, the URL is one to attach to.
 * @property {string} [csrfToken] Default: the page's `csrftoken` cookie.
 * @property {Record<string, string>} [headers] Sent along, an `Authorization` for instance.
 * @property {string} [lastEventId] Where to go on from.
 * @property {number} [retries] Failures in a row after which it gives up. Default: 10.
 * @typedef {Object} End
 * @property {string} id The generation.
 * @property {string} status One of FINAL; another where nobody streams and more may be found later.
 * @property {string | null} credits_used Null while unknown.
 * @property {string} error_code
 * @property {boolean} partial
 */

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15_000;
/** The server sends a heartbeat every 15 seconds; three missed ones are a dead connection. */
const SILENCE_MS = 45_000;
const FINAL = ["done", "failed", "cancelled"];

/** An answer that is no stream; `passing` where another try may do better, after `waitMs`. */
class Refused extends Error {
  /** @param {Response} response @param {{code?: string, error?: string} | null} body */
  constructor(response, body) {
    const message = body?.error ?? `The server answered ${response.status}.`;
    super(message);
    this.failure = { code: body?.code ?? `http_${response.status}`, message };
    this.passing = response.status === 429 || response.status >= 500;
    this.isOurs = body?.code !== undefined; // or a proxy's, who knows nothing of the generation
    this.waitMs = Number(response.headers.get("Retry-After") ?? 0) * 1000 || 0;
  }
}

/**
 * Fires `chunk` (the remote's JSON), `text` (a piece of the answer), `thoughts`, `reconnect`
 * ({attempt, waitMs}), `error` ({code, message}) and `end` (End); each detail is in `event.detail`.
 */
export class GenerationStream extends EventTarget {
  /** @param {string} url @param {Options} [options] */
  constructor(url, options = {}) {
    super();
    this.url = url;
    this.options = options;
    this.lastEventId = options.lastEventId ?? "";
    this.generationId = "";
    // The same key for each try, so that a create whose answer was lost isn't paid for twice.
    this.idempotencyKey = randomKey();
    this.failures = 0;
    this.controller = new AbortController();
    this.run = { stopped: false };
  }

  /** Reads to the end. @returns {Promise<End | null>} Null where it was stopped or gave up. */
  async start() {
    this.stop();
    this.failures = 0;
    const run = (this.run = { stopped: false });
    while (!run.stopped) {
      try {
        const end = await this.#readOnce(run);
        if (end !== undefined) return end;
        throw new Error("The stream was cut.");
      } catch (error) {
        if (run.stopped) break;
        if (!this.#mayRetry(error)) return this.#giveUp(error);
        await this.#pause(error);
      }
    }
    return null;
  }

  /** Stops reading. The generation goes on; `start()` resumes. */
  stop() {
    this.run.stopped = true;
    this.controller.abort();
  }

  /** @param {{stopped: boolean}} run @returns {Promise<End | null | undefined>} Undefined: cut. */
  async #readOnce(run) {
    this.controller = new AbortController();
    const response = await this.#listen(() => this.#request());
    const refusal = () => response.json().catch(() => null);
    if (!response.ok) throw new Refused(response, await this.#listen(refusal));
    if (response.status === 204 || !response.body) return null;
    this.generationId = response.headers.get("X-Generation-Id") ?? this.generationId;
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let pieces = [""]; // of a block that has not ended: joined once, or a long one would take long
    for (;;) {
      const { value, done } = await this.#listen(() => reader.read());
      if (done || run.stopped) return undefined;
      this.failures = 0; // a heartbeat is progress, too
      const seam = pieces[pieces.length - 1].slice(-1) + value;
      pieces.push(value);
      if (!seam.includes("\n\n")) continue;
      const blocks = pieces.join("").split("\n\n");
      pieces = [blocks.pop() ?? ""];
      for (const block of blocks) {
        const end = this.#take(block);
        if (end || run.stopped) return end;
      }
    }
  }

  /** Aborts where nothing is heard for too long. @template T @param {() => Promise<T>} action */
  async #listen(action) {
    const timer = setTimeout(() => this.controller.abort(), SILENCE_MS);
    try {
      return await action();
    } finally {
      clearTimeout(timer);
    }
  }

  #isAttached = () => this.options.body === undefined || this.generationId !== "";

  #request() {
    const headers = new Headers({ Accept: "text/event-stream", ...this.options.headers });
    /** @type {RequestInit} */
    const common = { signal: this.controller.signal, credentials: "same-origin", headers };
    if (this.lastEventId) headers.set("Last-Event-ID", this.lastEventId);
    if (this.#isAttached()) {
      const attach = this.url.replace(/stream\/(?=[?#]|$)/, `${this.generationId}/stream/`);
      const url = this.options.body === undefined ? this.url : attach;
      return fetch(url, { ...common, cache: "no-store" });
    }
    headers.set("Content-Type", "application/json");
    headers.set("Idempotency-Key", this.idempotencyKey);
    const token = this.options.csrfToken ?? cookie("csrftoken");
    if (token) headers.set("X-CSRFToken", token);
    return fetch(this.url, { ...common, method: "POST", body: JSON.stringify(this.options.body) });
  }

  /** @param {string} block @returns {End | undefined} */
  #take(block) {
    const lines = block.split("\n");
    const values = (/** @type {string} */ name) =>
      lines.flatMap((line) => (line.startsWith(`${name}: `) ? [line.slice(name.length + 2)] : []));
    const [event = "chunk"] = values("event");
    const [id = this.lastEventId] = values("id");
    let detail;
    try {
      detail = JSON.parse(values("data").join("\n"));
    } catch {
      return undefined; // a heartbeat, or a frame that is no JSON
    }
    // Whoever has an end that is open keeps its place, and `start()` brings what was found since.
    if (event !== "end" || FINAL.includes(detail?.status)) this.lastEventId = id;
    this.#fire(event, detail);
    if (event === "chunk") this.#fireTexts(detail);
    return event === "end" ? detail : undefined;
  }

  #fireTexts(/** @type {any} */ chunk) {
    for (const part of [chunk?.candidates?.[0]?.content?.parts].flat()) {
      if (part?.text) this.#fire(part.thought ? "thoughts" : "text", part.text);
    }
  }

  /** A create that the site itself refused is not tried again. @param {unknown} error */
  #mayRetry(error) {
    if (++this.failures > (this.options.retries ?? 10)) return false;
    if (!(error instanceof Refused)) return true;
    return error.passing && (this.#isAttached() || !error.isOurs);
  }

  async #pause(/** @type {unknown} */ error) {
    const backoff = Math.min(FIRST_WAIT_MS * 2 ** (this.failures - 1), LONGEST_WAIT_MS);
    const asked = error instanceof Refused ? error.waitMs : 0;
    const waitMs = Math.max(backoff * (0.5 + Math.random() / 2), asked);
    this.#fire("reconnect", { attempt: this.failures, waitMs });
    await new Promise((resolve) => setTimeout(resolve, waitMs));
  }

  #giveUp(/** @type {unknown} */ error) {
    const message = error instanceof Error ? error.message : String(error);
    const cut = { code: "connection_lost", message };
    this.#fire("error", error instanceof Refused ? error.failure : cut);
    return null;
  }

  #fire(/** @type {string} */ name, /** @type {unknown} */ detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}

function cookie(/** @type {string} */ name) {
  const found = document.cookie.split("; ").find((pair) => pair.startsWith(`${name}=`));
  return found ? decodeURIComponent(found.slice(name.length + 1)) : "";
}

const randomKey = () => crypto.getRandomValues(new Uint32Array(4)).join("-");
