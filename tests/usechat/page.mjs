// usage: node page.mjs SCENARIO SITE COOKIE CONVERSATION
// Renders the component of the how-to page with React, in the DOM of jsdom, uses it as a person
// does, and prints what is on the page.
import { readFile, writeFile } from 'node:fs/promises';
import { transform } from 'esbuild';
import { JSDOM } from 'jsdom';
import { visit } from './site.mjs';

const [scenario, site, cookie, conversation] = process.argv.slice(2);

visit(site, cookie);
const { window } = new JSDOM('<main></main>', { url: site });
const { document, navigator } = window;
for (const [name, value] of Object.entries({ window, document, navigator })) {
  Object.defineProperty(globalThis, name, { value }); // a later Node has a navigator, read-only
}
const complaints = [];
console.error = (...words) => complaints.push(words.join(' '));
document.cookie = cookie.match(/csrftoken=\w+/)[0];

const source = await readFile('page.jsx', 'utf8');
const { code } = await transform(source, { loader: 'jsx', jsx: 'automatic' });
await writeFile('built.mjs', code.replaceAll('./textgen.js', './textgen.mjs'));
const { createElement, Fragment, StrictMode } = await import('react');
const { createRoot } = await import('react-dom/client');
const { Page } = await import('./built.mjs');
const { csrf } = await import('./textgen.mjs');

const $ = (selector) => document.querySelector(selector);
const all = (selector) => [...document.querySelectorAll(selector)];
const shown = () => ({
  messages: all('p:not([role])').map((one) => one.textContent),
  costs: all('small').length,
  alert: $('p[role=alert]')?.textContent ?? null,
  button: $('button').textContent,
  complaints,
});

async function until(isTrue) {
  while (!isTrue()) await new Promise((resolve) => setTimeout(resolve, 5));
}

/** Open the page; with an id it shows that conversation. */
async function open(id, Mode = Fragment) {
  const root = createRoot($('main'));
  root.render(createElement(Mode, null, createElement(Page, { id })));
  await until(() => $('form'));
  return root;
}

async function ask(text) {
  // React notes a value that was set by itself, so the setter of the element's class sets it.
  const { set } = Object.getOwnPropertyDescriptor(window.HTMLInputElement.prototype, 'value');
  set.call($('input:not([type])'), text);
  $('input:not([type])').dispatchEvent(new window.Event('input', { bubbles: true }));
  const before = all('p').length;
  $('form').requestSubmit();
  await until(() => all('p').length > before);
}

const isReady = () => $('button').textContent === 'Send';
const isAnswered = () => isReady() && all('small').length > 0;

const scenarios = {
  async talk() {
    const root = await open();
    await ask('Hello');
    await until(isAnswered);
    const first = shown();
    root.unmount();
    await open(conversation);
    return [first, shown()];
  },

  async strict() {
    const root = await open(undefined, StrictMode);
    await ask('Hello');
    await until(isAnswered);
    const first = shown();
    root.unmount();
    return [first];
  },

  async resumeStrict() {
    const headers = { 'Content-Type': 'application/json', ...csrf() };
    const body = JSON.stringify({ content: 'What is the weather in Rome?' });
    const url = `/textgen/conversations/${conversation}/run/`;
    const response = await fetch(url, { method: 'POST', headers, body });
    if (!response.ok) throw new Error(await response.text());
    await open(conversation, StrictMode);
    await until(isAnswered);
    return [shown()];
  },

  async loaded() {
    await open(conversation);
    await until(() => all('p').length > 0);
    return [shown()];
  },

  async attach() {
    await open(conversation);
    const png = Buffer.from(process.env.PNG, 'base64');
    const files = [new File([png], 'a.png', { type: 'image/png' })];
    Object.defineProperty($('input[type=file]'), 'files', { value: files });
    $('input[type=file]').dispatchEvent(new window.Event('change', { bubbles: true }));
    await ask('Who?');
    await until(isAnswered);
    return [shown()];
  },

  async stop() {
    await open(conversation);
    await ask('Hello');
    await until(() => $('button').textContent === 'Stop');
    const streaming = shown();
    $('button').click();
    await until(isReady);
    return [streaming, shown()];
  },

  async fail() {
    await open(conversation);
    await ask('Hello');
    await until(() => $('p[role=alert]'));
    return [shown()];
  },
};

console.log(JSON.stringify(await scenarios[scenario]()));
process.exit(); // React keeps a channel open.
