// Streams a generation to a page. After a cut it reconnects and continues with the next frame.
//
//   import { GenerationStream } from "/static/creatify_textgen/stream.js"
//   const stream = new GenerationStream("/textgen/generations/stream/", { body: { messages } });
//   stream.addEventListener("text", (event) => output.append(event.detail));
//   const end = await stream.start();

/**
 * @typedef {Object} Options
 * @property {Object} [body] The request to send, such as `{messages: "Hello"}`. Without it, `url`
 *   is the stream of an existing generation.
 * @property {string} [csrfToken] Default: the page's `csrftoken` cookie.
 * @property {Record<string, string>} [headers] Additional headers, such as `Authorization`.
 * @property {string} [lastEventId] The id of the last frame that the page has, such as "17-1042".
 * @property {number} [retries] It gives up after more failures in a row. Default: 10.
 * @typedef {Object} End
 * @property {string} id The generation.
 * @property {string} status One of FINAL. Another one if the stream ended without a result, which
 *   the site may still find later.
 * @property {string | null} credits_used Null while unknown.
 * @property {string} error_code Empty if there was no error.
 * @property {boolean} partial Whether the text is only what arrived before the stream was cut.
 */

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15_000;
/** The server sends a heartbeat every 15 seconds; if three are missing, the connection is dead. */
const SILENCE_MS = 45_000;
/** What a browser's timer can hold; a longer one would end at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;
const NOT_A_STREAM = {
  code: "not_a_stream",
  error: "The server answered with something else than a stream, such as a login page.",
};
const FINAL = ["done", "failed", "cancelled"];

/**
 * One call of `start()`; `wake` ends its pause.
 * @typedef {{stopped: boolean, wake: () => void}} Run
 * @returns {Run}
 */
const newRun = () => ({ stopped: false, wake: () => {} });

/** A response that is not a stream. If `passing`, another try after `waitMs` may succeed. */
class Refused extends Error {
  /** @param {Response} response @param {{code?: string, error?: string} | null} body */
  constructor(response, body) {
    const message = body?.error ?? `The server answered ${response.status}.`;
    super(message);
    this.failure = { code: body?.code ?? `http_${response.status}`, message };
    this.passing = response.status === 429 || response.status >= 500;
    // The site's errors have a code. An error of a proxy does not say whether the site has
    // received the request.
    this.isOurs = body?.code !== undefined;
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
    // One key for all tries, so a create whose response was lost is not paid for twice.
    this.idempotencyKey = randomKey();
    this.failures = 0;
    this.controller = new AbortController();
    this.run = newRun();
  }

  /**
   * Reads to the end. May be called again, to resume after `stop()` or after it gave up.
   * @returns {Promise<End | null>} Null if it was stopped, gave up, or nothing is left to read.
   */
  async start() {
    this.stop();
    this.failures = 0;
    const run = (this.run = newRun());
    while (!run.stopped) {
      try {
        const end = await this.#readOnce(run);
        if (end !== undefined) return end;
        throw new Error("The stream was cut.");
      } catch (error) {
        if (run.stopped) break;
        if (!this.#mayRetry(error)) return this.#giveUp(error);
        await this.#pause(error, run);
      }
    }
    return null;
  }

  /** Stops reading. The generation continues on the server, and `start()` resumes. */
  stop() {
    this.run.stopped = true;
    this.run.wake();
    this.controller.abort();
  }

  /** @param {Run} run @returns {Promise<End | null | undefined>} Undefined: cut. */
  async #readOnce(run) {
    this.controller = new AbortController();
    const response = await this.#listen(() => this.#request());
    const refusal = () => response.json().catch(() => null);
    if (!response.ok) throw new Refused(response, await this.#listen(refusal));
    if (response.status === 204 || !response.body) return null;
    // A login page, for example, also has the status 200.
    const kind = response.headers.get("Content-Type") ?? "";
    if (!kind.startsWith("text/event-stream")) throw new Refused(response, NOT_A_STREAM);
    this.generationId = response.headers.get("X-Generation-Id") ?? this.generationId;
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    // The pieces of a block that has not ended. They are joined once: to join them at each read
    // would take time that grows with the square of the block's length.
    let pieces = [""];
    for (;;) {
      const { value, done } = await this.#listen(() => reader.read());
      if (done || run.stopped) return undefined;
      this.failures = 0; // A heartbeat counts too: the connection works.
      // The two line feeds that end a block may arrive in two reads.
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

  /** Aborts if the server is silent for too long. @template T @param {() => Promise<T>} action */
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
      // From generations/stream/ or conversations/…/messages/stream/ to that of the generation.
      const attach = this.url
        .replace(/conversations\/[^/]+\/messages\/stream\/(?=[?#]|$)/, "generations/stream/")
        .replace(/stream\/(?=[?#]|$)/, `${this.generationId}/stream/`);
      const url = this.options.body === undefined ? this.url : attach;
      // The HTTP cache could answer with the frames of an earlier read.
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
      return undefined; // A heartbeat, or a frame that is not JSON.
    }
    // After an end without a result the old id is kept, so `start()` reads what was found since.
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

  /** Does not retry a create that the site refused. @param {unknown} error */
  #mayRetry(error) {
    if (++this.failures > (this.options.retries ?? 10)) return false;
    if (!(error instanceof Refused)) return true;
    return error.passing && (this.#isAttached() || !error.isOurs);
  }

  /** @param {unknown} error @param {Run} run */
  async #pause(error, run) {
    const backoff = Math.min(FIRST_WAIT_MS * 2 ** (this.failures - 1), LONGEST_WAIT_MS);
    const asked = error instanceof Refused ? error.waitMs : 0;
    const waitMs = Math.max(backoff * (0.5 + Math.random() / 2), asked);
    /** @type {Promise<void>} */
    const pause = new Promise((resolve) => {
      run.wake = resolve;
      setTimeout(resolve, Math.min(waitMs, LONGEST_TIMER_MS));
    });
    this.#fire("reconnect", { attempt: this.failures, waitMs });
    await pause;
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
