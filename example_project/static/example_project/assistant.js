// The assistant: opens a conversation, sends messages, and follows the run that answers.

import { call, explain, path, sleep } from "./api.js";
import { showCredits, showList, toggleList } from "./list.js";
import { keepAtEnd, lastArticle, showTurns } from "./log.js";
import * as view from "./view.js";

const streamModule = import(document.body.dataset.streamModule);

const TURNS = 20;
const OPEN = ["running", "waiting"];
const BUSY_TRIES = 40;
const $ = (id) => document.getElementById(id);
const say = (words) => ($("state").textContent = words);
const reconnecting = () => say("Reconnecting");

/** The conversation on the page. Another object for each that is opened: whoever still waits for
 *  an earlier one sees that it is not shown any more. */
let shown = { id: "", turns: [], keys: new Map() };
let attached = null;

/** Show a conversation, or an empty page for a new one; continue what goes on in it. */
async function open(id) {
  shown.stream?.stop();
  const mine = (shown = { id, turns: [], keys: new Map() });
  say("");
  setBusy(mine, false);
  $("turns").replaceChildren();
  $("earlier").hidden = $("delete").hidden = true;
  $("title").value = "";
  toggleList(false);
  await attempt(mine, async () => {
    await Promise.all([showList(), showCredits()]);
    if (!id) return;
    const conversation = await call("GET", `conversations/${id}/`, { onWait: reconnecting });
    if (mine !== shown) return;
    $("title").value = conversation.title;
    $("delete").hidden = false;
    await resume(mine);
  });
}

/** Do something that may fail, and say so in words. */
async function attempt(mine, action) {
  try {
    return await action();
  } catch (error) {
    if (mine === shown) say(error.message);
    if (error instanceof TypeError) reportError(error); // A fault of this page.
  }
}

/** Load the latest turns, or with `next` the page before them, and show them all. */
async function loadTurns(mine, next) {
  const first = `conversations/${mine.id}/messages/?ordering=-number&page_size=${TURNS}`;
  const page = await call("GET", next ?? first, { onWait: reconnecting });
  if (mine !== shown) return;
  const byNumber = new Map([...mine.turns, ...page.results].map((one) => [one.number, one]));
  mine.turns = [...byNumber.values()].sort((one, other) => one.number - other.number);
  if (next || mine.turns.length <= TURNS) {
    $("earlier").hidden = !page.next;
    $("earlier").onclick = () => attempt(mine, () => loadTurns(mine, page.next));
  }
  keepAtEnd(() => showTurns(mine, fork));
}

/** Load the turns, and follow the last one's run if it has not ended. */
async function resume(mine) {
  await loadTurns(mine);
  const runId = mine.turns.at(-1)?.run;
  if (!runId || mine !== shown) return;
  const run = await call("GET", `runs/${runId}/`, { onWait: reconnecting });
  if (OPEN.includes(run.state)) await follow(mine, run);
}

/** Show a run until it has ended: each answer as it is written, and the calls of functions. */
async function follow(mine, run) {
  const read = new Set();
  let calls = "";
  mine.run = run;
  setBusy(mine, true);
  for (let wait = 300; OPEN.includes(run.state) && mine === shown; wait = Math.min(wait * 1.5, 3000)) {
    const newest = run.generations.at(-1);
    if (!read.has(newest)) {
      await loadTurns(mine);
      read.add(newest);
      if (!(await stream(mine, newest))) read.delete(newest);
      wait = 300;
    } else {
      const step = run.calls.filter((one) => one.step === run.generations.length);
      if (calls !== (calls = JSON.stringify(step))) showCalls(mine, step);
      await sleep(wait);
    }
    mine.run = run = await call("GET", `runs/${run.id}/`, { onWait: reconnecting });
  }
  if (mine !== shown) return;
  setBusy(mine, false);
  await loadTurns(mine);
  if (run.state === "done") say(`Done, ${view.cost(run.credits_used)}`);
  else say(run.state === "stopped" ? "Stopped" : explain(run.error_code));
  await Promise.all([showList(), showCredits()]);
}

/** Append an answer's text as it arrives; whether nothing more of it can be read. */
async function stream(mine, generation) {
  const { GenerationStream } = await streamModule;
  const reader = (mine.stream = new GenerationStream(path(`generations/${generation}/stream/`)));
  const article = lastArticle(mine);
  let answer, problem, timer;
  let unshown = "";
  let pause = 0;
  const show = () => {
    const began = performance.now();
    timer = undefined;
    if (mine !== shown || !unshown) return;
    say("Writing");
    keepAtEnd(() => {
      if (!answer) article.append((answer = view.message("answer")));
      answer.append(unshown);
    });
    unshown = "";
    // The longer an answer is, the longer its layout takes: most of the time is for the reader.
    pause = 10 * (performance.now() - began);
  };
  say("Waiting for the answer");
  reader.addEventListener("text", ({ detail }) => {
    unshown += detail;
    timer ??= setTimeout(show, pause);
  });
  reader.addEventListener("reconnect", reconnecting);
  reader.addEventListener("error", ({ detail }) => (problem = detail.code));
  await reader.start();
  clearTimeout(timer);
  show();
  if (mine === shown && problem) say(explain(problem));
  return problem !== "connection_lost";
}

function showCalls(mine, calls) {
  const article = lastArticle(mine);
  article.querySelectorAll(".call").forEach((old) => old.remove());
  const decide = ({ id }, verb) =>
    attempt(mine, async () => {
      $("prompt").focus();
      await call("POST", `runs/${mine.run.id}/calls/${id}/${verb}/`, { body: {} });
      if (!mine.isBusy) await resume(mine); // It was not followed while the user was logged out.
    });
  const made = calls.map((one) => view.toolCall(one, (verb) => decide(one, verb)));
  keepAtEnd(() => article.append(...made));
  const waiting = calls.filter((one) => one.state === "waiting").length;
  if (waiting) say("The assistant asks for your approval");
}

async function send() {
  const mine = shown;
  const text = $("prompt").value.trim();
  if (mine.isBusy || !(text || attached)) return;
  const content = [...(attached ? [attached] : []), ...(text ? [{ type: "text", text }] : [])];
  mine.run = null;
  setBusy(mine, true);
  say("Sending");
  await attempt(mine, async () => {
    if (!mine.id) {
      const started = await call("POST", "conversations/", { body: { title: text.slice(0, 60) } });
      mine.id = started.id;
      if (mine === shown) history.pushState(null, "", `#${mine.id}`);
      $("title").value = started.title;
      $("delete").hidden = false;
      await showList();
    }
    const run = await post(mine, content);
    if (mine !== shown) return;
    $("prompt").value = "";
    attach(null);
    await follow(mine, run);
  });
  setBusy(mine, false);
}

/** Send a message; while a stopped answer is still read for its cost, wait for its end. */
async function post(mine, content) {
  const key = crypto.getRandomValues(new Uint32Array(4)).join("-");
  for (let tries = 1; ; tries++) {
    try {
      const options = { body: { content }, key, onWait: reconnecting };
      return await call("POST", `conversations/${mine.id}/run/`, options);
    } catch (error) {
      if (error.code !== "conversation_busy" || tries === BUSY_TRIES || mine !== shown) throw error;
      await resume(mine); // Another tab's answer, perhaps.
      setBusy(mine, true);
      say("Waiting for the last answer to end");
      await sleep(1000);
    }
  }
}

async function stop() {
  const mine = shown;
  if (!mine.isBusy || !mine.run) return;
  say("Stopping");
  $("prompt").focus();
  const stopped = ["runs", mine.run.id, "generations", mine.run.generations.at(-1)];
  for (let at = 0; at < stopped.length; at += 2) {
    // Refused if it has ended meanwhile: then there is nothing to stop.
    await call("POST", `${stopped[at]}/${stopped[at + 1]}/stop/`).catch(() => {});
  }
}

async function fork(at) {
  await attempt(shown, async () => {
    const forked = await call("POST", `conversations/${shown.id}/fork/`, { body: { at } });
    location.hash = forked.id;
  });
}

async function erase() {
  if (!confirm("Delete this conversation?")) return;
  await attempt(shown, async () => {
    await call("DELETE", `conversations/${shown.id}/`);
    location.hash = "";
  });
}

async function upload(file) {
  if (!file) return;
  const body = new FormData();
  body.append("file", file);
  say("Uploading");
  await attempt(shown, async () => {
    const { id, kind } = await call("POST", "media/", { body });
    attach({ type: kind, media: id });
    say("");
  });
  $("file").value = "";
}

function attach(part) {
  attached = part;
  $("attached").hidden = !part;
  $("attached").replaceChildren();
  if (part) $("attached").append(view.medium(part), view.button("Remove", () => attach(null)));
}

function setBusy(mine, isBusy) {
  mine.isBusy = isBusy;
  if (mine !== shown) return;
  // Not hidden: the second click of a double click would hit Stop.
  $("send").disabled = $("delete").disabled = isBusy;
  $("stop").hidden = !isBusy;
  $("turns").ariaBusy = isBusy;
}

const openHash = () => open(location.hash.match(/^#([0-9a-f-]{36})$/)?.[1] ?? "");
const goOn = () => {
  if (!document.hidden && shown.id && !shown.isBusy) attempt(shown, () => resume(shown));
};

$("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  send();
});
$("prompt").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  send();
});
$("prompt").addEventListener("paste", (event) => upload(event.clipboardData.files[0]));
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || event.isComposing) return;
  toggleList(false);
  stop();
});
document.addEventListener("visibilitychange", goOn);
window.addEventListener("online", goOn);
window.addEventListener("hashchange", openHash);
$("file").addEventListener("change", () => upload($("file").files[0]));
$("stop").addEventListener("click", stop);
$("delete").addEventListener("click", erase);
$("new").addEventListener("click", () => {
  location.hash = "";
  $("prompt").focus();
});
$("menu").addEventListener("click", () => toggleList($("menu").ariaExpanded !== "true"));
$("title").addEventListener("change", () =>
  attempt(shown, async () => {
    if (!shown.id) return;
    await call("PATCH", `conversations/${shown.id}/`, { body: { title: $("title").value } });
    await showList();
  }),
);
await openHash();
