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
 *
 * @typedef {Object} End
 * @property {string} id The generation.
 * @property {string} status `done`, `failed`, …; `running` where the stream broke off upstream.
 * @property {string | null} credits_used Null while unknown.
 * @property {string} error_code
 * @property {boolean} partial
 */

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15_000;
/** The server sends a heartbeat every 15 seconds; three missed ones are a dead connection. */
const SILENCE_MS = 45_000;

/** An answer that is no stream: `failure`, whether it may pass, and after how long. */
class Refused extends Error {
  constructor(failure, passing, waitMs) {
    super(failure.message);
    Object.assign(this, { failure, passing, waitMs });
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
  }

  /** Reads to the end. @returns {Promise<End | null>} Null where it was stopped or gave up. */
  async start() {
    this.stopped = false;
    while (!this.stopped) {
      try {
        const end = await this.#readOnce();
        if (end !== undefined) return end;
        throw new Error("The stream was cut.");
      } catch (error) {
        if (this.stopped) break;
        if (!this.#mayRetry(error)) return this.#giveUp(error);
        await this.#pause(error);
      }
    }
    return null;
  }

  /** Stops reading. The generation goes on; `start()` resumes. */
  stop() {
    this.stopped = true;
    this.controller.abort();
  }

  /** @returns {Promise<End | null | undefined>} Undefined where the connection was cut. */
  async #readOnce() {
    this.controller = new AbortController();
    const response = await this.#listen(() => this.#request());
    if (response.status === 204) return null;
    if (!response.ok) throw await refusal(response, this.#isAttached());
    this.generationId = response.headers.get("X-Generation-Id") ?? this.generationId;
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let pending = "";
    for (;;) {
      const { value, done } = await this.#listen(() => reader.read());
      if (done) return undefined;
      const blocks = (pending + value).split("\n\n");
      pending = blocks.pop() ?? "";
      for (const block of blocks) {
        const end = this.#take(block);
        if (end) return end;
      }
    }
  }

  /** Aborts the connection where nothing at all is heard for too long. */
  async #listen(action) {
    const timer = setTimeout(() => this.controller.abort(), SILENCE_MS);
    try {
      return await action();
    } finally {
      clearTimeout(timer);
    }
  }

  #isAttached() {
    return this.options.body === undefined || this.generationId !== "";
  }

  #request() {
    const headers = { Accept: "text/event-stream", ...this.options.headers };
    const common = { signal: this.controller.signal, credentials: "same-origin" };
    if (this.#isAttached()) {
      if (this.lastEventId) headers["Last-Event-ID"] = this.lastEventId;
      return fetch(this.#attachUrl(), { ...common, headers, cache: "no-store" });
    }
    headers["Content-Type"] = "application/json";
    headers["Idempotency-Key"] = this.idempotencyKey;
    const token = this.options.csrfToken ?? cookie("csrftoken");
    if (token) headers["X-CSRFToken"] = token;
    const body = JSON.stringify(this.options.body);
    return fetch(this.url, { ...common, method: "POST", headers, body });
  }

  #attachUrl() {
    if (this.options.body === undefined) return this.url;
    return this.url.replace(/stream\/$/, `${this.generationId}/stream/`);
  }

  /** @param {string} block @returns {End | undefined} */
  #take(block) {
    const fields = { event: "", id: "", data: [] };
    for (const line of block.split("\n")) {
      const [, name, value] = /^([a-z]+): ?(.*)$/s.exec(line) ?? [];
      if (name === "data") fields.data.push(value);
      else if (name) fields[name] = value;
    }
    if (fields.id) this.lastEventId = fields.id;
    if (!fields.data.length) return undefined;
    this.failures = 0;
    const detail = JSON.parse(fields.data.join("\n"));
    this.#fire(fields.event || "chunk", detail);
    if (!fields.event) this.#fireTexts(detail);
    return fields.event === "end" ? detail : undefined;
  }

  #fireTexts(chunk) {
    const parts = chunk.candidates?.[0]?.content?.parts ?? [];
    for (const part of parts) {
      if (part.text) this.#fire(part.thought ? "thoughts" : "text", part.text);
    }
  }

  #mayRetry(error) {
    this.failures += 1;
    if (this.failures > (this.options.retries ?? 10)) return false;
    return !(error instanceof Refused) || error.passing;
  }

  async #pause(error) {
    const backoff = Math.min(FIRST_WAIT_MS * 2 ** (this.failures - 1), LONGEST_WAIT_MS);
    const waitMs = Math.max(backoff * (0.5 + Math.random() / 2), error.waitMs ?? 0);
    this.#fire("reconnect", { attempt: this.failures, waitMs });
    await new Promise((resolve) => setTimeout(resolve, waitMs));
  }

  #giveUp(error) {
    const cut = { code: "connection_lost", message: String(error.message ?? error) };
    this.#fire("error", error instanceof Refused ? error.failure : cut);
    return null;
  }

  #fire(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}

/** Reads an answer that is no stream. A create that was refused is not tried again. */
async function refusal(response, attached) {
  const body = await response.json().catch(() => ({}));
  const failure = {
    code: body.code ?? `http_${response.status}`,
    message: body.error ?? `The server answered ${response.status}.`,
  };
  const passing = attached && (response.status === 429 || response.status >= 500);
  return new Refused(failure, passing, Number(response.headers.get("Retry-After") ?? 0) * 1000);
}

function cookie(name) {
  const found = document.cookie.split("; ").find((pair) => pair.startsWith(`${name}=`));
  return found ? decodeURIComponent(found.slice(name.length + 1)) : "";
}

const randomKey = () => crypto.getRandomValues(new Uint32Array(4)).join("-");
