// The messages on the page.

import { turn } from "./view.js";

const $ = (id) => document.getElementById(id);

/** Show what has changed, and leave the rest as it is: a selected text, a video that plays. */
export function showTurns(mine, onFork) {
  let previous;
  mine.turns.forEach((one, at) => {
    const next = mine.turns[at + 1];
    const key = JSON.stringify([one, next?.messages]);
    const old = $(`turn-${one.number}`);
    if (old && mine.keys.get(one.number) === key) return (previous = old);
    const made = turn(one, next, onFork);
    made.id = `turn-${one.number}`;
    mine.keys.set(one.number, key);
    if (old) old.replaceWith(made);
    else if (previous) previous.after(made);
    else $("turns").prepend(made);
    previous = made;
  });
}

/** Return the article of the last turn, to add to it; it is made again when the turn has ended. */
export function lastArticle(mine) {
  const { number } = mine.turns.at(-1);
  mine.keys.delete(number);
  return $(`turn-${number}`);
}

/** Change the log, and stay at its end unless the reader has scrolled up. */
export function keepAtEnd(change) {
  const log = $("log");
  const isAtEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 60;
  change();
  const height = log.scrollHeight;
  if (isAtEnd) log.scrollTop = height;
}
