// Calls the REST API, and says in words what went wrong.

const root = document.body.dataset.conversations.replace(/conversations\/$/, "");
const MOST_TRIES = 6;

const WORDS = {
  budget_reached: "The budget is used up. Ask the person who runs this site.",
  insufficient_credits: "There are no credits left. Ask the person who runs this site.",
  paused: "Sending is paused on this site for now. Try again later.",
  conversation_busy: "The last answer has not ended yet.",
  unconfirmed: "The answer is late and may still come. Don't send the message again.",
  may_have_been_charged: "The answer never came. It may have been charged.",
  remote_unavailable: "The model can't be reached. Nothing was sent. Try again in a while.",
  not_taken_up: "The site is busy, and nothing was sent. Try again in a while.",
  rate_limited: "The model gets too many requests. Try again in a minute.",
  stream_interrupted: "The answer broke off. Looking for the rest…",
  stopped: "Stopped. The whole answer is charged.",
  blocked: "The model refused to answer this.",
  limit_reached: "The assistant called too many functions, and was ended.",
  media_missing: "An attached file no longer exists. Attach it again.",
};
const BY_STATUS = {
  401: "You are logged out. Log in again in another tab, then send the message again.",
  402: WORDS.insufficient_credits,
  404: "This no longer exists.",
  413: "The file is too large.",
  415: "This kind of file can't be attached.",
  429: "Too many requests.",
  502: "The model gave no answer that can be read. Try again.",
  503: "The site can't answer now. Try again in a while.",
  504: WORDS.unconfirmed,
};

/** Return a sentence for a code of the app, such as "budget_reached". */
export const explain = (code) => WORDS[code] ?? (code ? `It failed: ${code}.` : "It failed.");

class ApiError extends Error {
  constructor(response, body) {
    const seconds = Number(response.headers.get("Retry-After"));
    const isLoggedOut = response.status === 401 || body.error?.includes("credentials");
    const status = isLoggedOut ? 401 : body.errors?.mime_type ? 415 : response.status;
    const known = WORDS[body.code] ?? BY_STATUS[status];
    super((known ?? body.error ?? "It failed.") + (seconds ? ` (in ${seconds} s)` : ""));
    this.code = body.code;
    // An error without a code is a proxy's: the site may be back in a moment.
    this.isPassing = !body.code && response.status >= 502;
  }
}

export const path = (rest) => root + rest;

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Call the API and return its JSON; `body` is an object or a FormData. Throws an Error in words.
 *  A GET, and what has a `key`, is tried again if the connection is lost. */
export async function call(method, rest, { body, key, onWait = () => {} } = {}) {
  const headers = { "X-CSRFToken": document.cookie.match(/csrftoken=(\w+)/)?.[1] ?? "" };
  if (key) headers["Idempotency-Key"] = key;
  if (body && !(body instanceof FormData)) {
    headers["Content-Type"] = "application/json";
    body = JSON.stringify(body);
  }
  for (let tries = 1; ; tries++) {
    try {
      const url = rest.startsWith("http") ? rest : path(rest);
      const response = await fetch(url, { method, headers, body, cache: "no-store" });
      const json = await response.json().catch(() => ({}));
      if (response.ok) return json;
      throw new ApiError(response, json);
    } catch (error) {
      const isLost = error instanceof TypeError;
      if (!isLost && !error.isPassing) throw error;
      const mayRepeat = method === "GET" || key;
      if (!mayRepeat || tries === MOST_TRIES) {
        throw isLost ? new Error("The connection is lost. Try again.") : error;
      }
      onWait();
      await sleep(Math.min(500 * 2 ** tries, 8000));
    }
  }
}
